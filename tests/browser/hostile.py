"""Twenty things an agent, or whoever wrote to it, might put into a proposal."""

# Any request whose address has this word was caused by one of them; `watched.py` looks for it.
MARK = "hacked"

PAYLOADS = {
    "script": "<script>alert('hacked')</script>",
    "broken-out-script": "--></textarea></title></style></script><script>alert('hacked')</script>",
    "image": "<img src=/hacked onerror=alert('hacked')>",
    "svg": "<svg onload=alert('hacked')><use href='/hacked#x'></use></svg>",
    "svg-animation": "<svg><a xlink:href=javascript:alert('hacked')><animate onbegin=alert('hacked') attributeName=x dur=1s>",
    "mathml": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=/hacked onerror=alert(1)&gt;'>",
    "frame": "<iframe srcdoc='<script>parent.alert(\"hacked\")</script>' src=/hacked></iframe>",
    "script-link": "javascript:alert('hacked')//https://example.org",
    "data-link": "data:text/html,<script>alert('hacked')</script>",
    "double-quote": "\" autofocus onfocus=alert('hacked') data-key=\"a",
    "single-quote": "' onmouseover='alert(\"hacked\")' style='position:fixed;inset:0'",
    "form": "</form><form action=/hacked method=post><button data-key=a autofocus>Approve</button>",
    "base": "<base href=//hacked.example/><link rel=stylesheet href=/hacked><meta http-equiv=refresh content='0;url=/hacked'>",
    "style": "<style>@import '/hacked'; * { display: none !important }</style>",
    "htmx-get": "<div hx-get=/hacked hx-trigger='load, every 1s' hx-target=body>x</div>",
    "htmx-on": "<i hx-on:load=alert('hacked') hx-on::after:init=alert('hacked') data-live=0 hx-post=/hacked hx-trigger=tick>",
    "htmx-partial": "<hx-partial hx-target='#decide' hx-swap=outerHTML><img src=/hacked></hx-partial>",
    "template": "{% include '/etc/passwd' %}{{ settings.SECRET_KEY }}{{constructor.constructor('alert(1)')()}}${alert(1)}",
    "terminal-and-direction": "\x1b]8;;http://hacked\x07\x1b[2J\x1b[31mred \u202egnp.exe\u2066 \u200bzero\ufeff \U000e0041",
    "unbroken": "W" * 19_000,
}
