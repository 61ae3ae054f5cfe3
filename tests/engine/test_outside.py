"""Where Countersign calls, and above all where it does not."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pytest

from orchestrator.outside import NotReached, Refused, Unreachable, is_public, place_of, post
from tests.engine.listener import Listener, certificate_for

PUBLIC = "93.184.216.34"

# Each of them is a way that somebody got into a network by.
URLS = [
    "http://example.com/",
    "https://127.0.0.1/",
    "https://127.0.0.1:8000/admin",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://100.100.100.200/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254/computeMetadata/v1/",
    "https://168.63.129.16/machine",
    "https://192.0.0.192/opc/v2/",
    "https://2852039166/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a9fe:a9fe]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:0:0:0:0:80ff:fffe]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25lo]/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://198.18.0.1/",
    "https://user@127.0.0.1/",
    "https://example.com@127.0.0.1/",
    "https://hooks.example.com:secret@93.184.216.34/",
    "https://127.0.0.1#@example.com/",
    "https://127.0.0.1\\@example.com/",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://ⅼocalhost/",
    "https://%31%32%37.0.0.1/",
    "https://example.com\t.evil/",
    "https://exa mple.com/",
    "https:///etc/passwd",
    "https://[::1/",
    "https://example.com:99999/",
    "https://example.com:0/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://example.com/",
    "dict://127.0.0.1:11211/",
    "unix:///var/run/docker.sock",
    "javascript:alert(1)",
    "//example.com/",
    "example.com",
    "",
]


def resolves_to(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda host, port: addresses


def real(host: str, port: int) -> Sequence[str]:
    """What the machine itself makes of a name or a number, and nothing that is not on this machine."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(address[0]) for *_, address in found]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where a connection was asked for; none is made."""
    asked: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError(111, "refused by the test")

    monkeypatch.setattr(socket, "create_connection", connect)
    return asked


@pytest.mark.parametrize("url", URLS, ids=range(len(URLS)))
def test_no_way_leads_inside(url: str, connected: list[tuple[str, int]]) -> None:
    def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if "localhost" in host else real(host, port)

    with pytest.raises((Refused, Unreachable)):
        post(url, b"{}", {}, resolve=resolve)
    assert connected == []


def test_there_are_enough_of_them() -> None:
    assert len(set(URLS)) >= 60


@pytest.mark.parametrize(
    "inside",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "fd00::1",
        "fe80::1%eth0",
        "::ffff:10.0.0.1",
    ],
)
def test_a_name_that_means_an_address_inside_is_not_called(
    inside: str, connected: list[tuple[str, int]]
) -> None:
    with pytest.raises(Refused, match="WEBHOOK_HOSTS_TRUSTED"):
        post("https://hooks.example.com/", b"", {}, resolve=resolves_to(inside))
    with pytest.raises(Refused):
        post("https://hooks.example.com/", b"", {}, resolve=resolves_to(PUBLIC, inside))
    assert connected == []


def test_a_name_that_changes_its_mind_is_asked_once(connected: list[tuple[str, int]]) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    with pytest.raises(Unreachable):
        post("https://rebind.example.com/", b"", {}, resolve=lambda host, port: next(answers))
    assert connected == [(PUBLIC, 443)]
    assert next(answers) == ["127.0.0.1"]


@pytest.mark.parametrize("address", ["8.8.8.8", PUBLIC, "2606:4700::1111", "2001:4860:4860::8888"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_a_trusted_host_may_be_anywhere_and_speak_http() -> None:
    trusted = ["chat.intern", "127.0.0.1"]
    assert place_of("http://chat.intern:8065/hooks/x?y=1", trusted) == (
        ("chat.intern", 8065, "/hooks/x?y=1", False, True)
    )
    with pytest.raises(Refused, match="https"):
        place_of("http://chat.intern.example.com/", trusted)
    with pytest.raises(Refused, match="https"):
        place_of("ftp://chat.intern/", trusted)
    with pytest.raises(Refused, match="password"):
        place_of("http://a:b@chat.intern/", trusted)


# What is said, to a real listener ---------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as one:
        yield one


HERE = ["127.0.0.1", "hooks.test"]


def test_it_says_what_it_was_given(listener: Listener) -> None:
    listener.answers = [(200, {"Retry-After": "7"}, b"thanks")]
    answer = post(f"{listener.url}/a?b=c", b'{"x":1}', {"Webhook-Id": "dlv_1"}, trusted=HERE)
    assert answer == (200, 7, "thanks")
    (request,) = listener.requests
    assert request.line == "POST /a?b=c HTTP/1.1"
    assert request.body == b'{"x":1}'
    assert request.headers["webhook-id"] == "dlv_1"
    assert request.headers["host"] == f"127.0.0.1:{listener.port}"


@pytest.mark.parametrize("value", ["hush\nX-More: 1", "hush-•••"])
def test_a_header_that_cannot_be_sent_is_not_quoted(listener: Listener, value: str) -> None:
    with pytest.raises(NotReached, match="a header of the request cannot be sent") as caught:
        post(listener.url, b"", {"Authorization": value}, trusted=HERE)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert all(request.line == "" for request in listener.requests)


def test_it_calls_the_address_it_checked_in_the_name_it_was_given(listener: Listener) -> None:
    post(
        f"http://hooks.test:{listener.port}/",
        b"",
        {},
        trusted=HERE,
        resolve=resolves_to("127.0.0.1"),
    )
    assert listener.requests[0].headers["host"] == f"hooks.test:{listener.port}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(listener: Listener, status: int) -> None:
    with Listener() as inside:
        listener.answers = [(status, {"Location": inside.url}, b"")]
        assert post(listener.url, b"", {}, trusted=HERE).status == status
        assert inside.requests == []


def test_proxies_of_the_environment_are_not_used(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Listener() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert post(listener.url, b"", {}, trusted=HERE).status == 200
        assert proxy.requests == []


def test_of_a_long_answer_only_the_beginning_is_read(listener: Listener) -> None:
    listener.answers = [(200, {}, b"x" * 5_000_000)]
    assert len(post(listener.url, b"", {}, trusted=HERE).text) == 65_536


def drips(pieces: Iterator[bytes], every_s: float) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(every_s)

    return serve


@pytest.mark.parametrize(
    "pieces",
    [
        [b""] * 20,
        [b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 1000],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000,
    ],
    ids=["silence", "headers without end", "continue without end"],
)
def test_whoever_draws_an_answer_out_is_left(pieces: list[bytes]) -> None:
    with Listener(serve=drips(iter(pieces), 0.05)) as slow:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"no answer within 0\.5 s"):
            post(slow.url, b"", {}, trusted=HERE, timeout_s=0.5)
        assert time.monotonic() - began < 1.5


def test_a_name_server_that_is_silent_is_left() -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable, match="not found within"):
        post(
            "https://hooks.example.com/",
            b"",
            {},
            resolve=lambda host, port: time.sleep(2) or [PUBLIC],
            timeout_s=0.2,
        )
    assert time.monotonic() - began < 1


def test_what_is_no_http_is_said_to_be_none() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with (
        Listener(serve=serve) as odd,
        pytest.raises(Unreachable, match="no HTTP"),
    ):
        post(odd.url, b"", {}, trusted=HERE)


def test_nobody_there() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        post(f"http://127.0.0.1:{port}/", b"", {}, trusted=HERE)


# TLS --------------------------------------------------------------------------------------------


@pytest.fixture
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listener, str]]:
    """A listener with a certificate for hooks.test, and the authority that signed it."""
    folder = tmp_path_factory.mktemp("tls")
    certificate_for("hooks.test", folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, _: names.append(name)
    with Listener(context=context) as listener:
        listener.names = names
        yield listener, str(folder / "certificate.pem")


def test_tls_is_checked_against_the_name(
    secured: tuple[Listener, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, authority = secured
    monkeypatch.setenv("SSL_CERT_FILE", authority)
    here = resolves_to("127.0.0.1")
    url = f"https://hooks.test:{listener.port}/"
    assert post(url, b"", {}, trusted=HERE, resolve=here).status == 200
    assert listener.names == ["hooks.test"]
    other = f"https://other.test:{listener.port}/"
    with pytest.raises(Unreachable, match="certificate"):
        post(other, b"", {}, trusted=["other.test"], resolve=here)
    assert len(listener.requests) == 1


def test_a_certificate_that_nobody_knows_is_refused(secured: tuple[Listener, str]) -> None:
    listener, _ = secured
    url = f"https://hooks.test:{listener.port}/"
    with pytest.raises(Unreachable, match="certificate"):
        post(url, b"", {}, trusted=HERE, resolve=resolves_to("127.0.0.1"))
    assert listener.requests == []


def test_a_handshake_that_is_drawn_out_is_left() -> None:
    with Listener(serve=drips(iter([b"\x16"] + [b""] * 40), 0.05)) as slow:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            post(f"https://127.0.0.1:{slow.port}/", b"", {}, trusted=HERE, timeout_s=0.5)
        assert time.monotonic() - began < 1.5


def test_no_thread_stays_behind(listener: Listener) -> None:
    before = threading.active_count()
    for _ in range(20):
        post(listener.url, b"", {}, trusted=HERE)
    time.sleep(0.1)
    assert threading.active_count() <= before + 1
