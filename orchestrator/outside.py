"""Calls to addresses that somebody typed in: never into the network that Countersign itself stands in.

The name is looked up once, every address it has must be a public one, and the connection goes to the
one that was checked; so a name that means something else a moment later changes nothing. Redirects are
not followed, and proxies of the environment are not used. Hosts in WEBHOOK_HOSTS_TRUSTED may be
anywhere, and may be asked by http.
"""

import http.client
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Resolver = Callable[[str, int], Sequence[str]]

TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 65_536
URL_LENGTH_MAX = 2_000
_PLAIN_URL = re.compile(r"[!-~]+")
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
# What C libraries take for an address: 127.1, 2130706433, 0x7f.1, 0177.0.0.1.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")
# Global by the registry, and yet a way into somebody's own network.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(block)
    for block in (
        "168.63.129.16/32",  # the platform itself, inside Azure
        "192.88.99.0/24",  # relays of 6to4
        "::/96",  # IPv4 addresses in an old disguise
        "64:ff9b::/96",  # and translated ones
        "2002::/16",  # and tunnelled ones
        "2001::/32",
        "fec0::/10",  # site-local
        "5f00::/16",
        "3fff::/20",
    )
)


class Refused(Exception):
    """The address may not be called; trying again would not help."""


class Unreachable(Exception):
    """Nobody answered, or not in time."""


class NotReached(Unreachable):
    """And nothing was sent: asking again later does nothing twice."""


class Answer(NamedTuple):
    status: int
    retry_after_s: int | None
    text: str


class Sent(NamedTuple):
    """A request as it goes out. Without a body, None."""

    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]


class Place(NamedTuple):
    """A URL, taken apart and found fit to be called."""

    host: str
    port: int
    path: str
    is_tls: bool
    is_trusted: bool

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def place_of(url: str, trusted: Collection[str]) -> Place:
    """Raises Refused with what is wrong with the URL itself. Nothing is looked up."""
    parts = _split(url)
    host = (parts.hostname or "").removesuffix(".")
    is_trusted = host in {name.lower() for name in trusted}
    if parts.scheme not in ({"https", "http"} if is_trusted else {"https"}):
        raise Refused("it has to begin with https://.")
    if parts.username is not None or parts.password is not None:
        raise Refused("it must not hold a user name or a password.")
    _check_host(host)
    is_tls = parts.scheme == "https"
    return Place(
        host=host,
        port=parts.port or (443 if is_tls else 80),
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        is_tls=is_tls,
        is_trusted=is_trusted,
    )


def _split(url: str) -> SplitResult:
    if len(url) > URL_LENGTH_MAX or not _PLAIN_URL.fullmatch(url) or "\\" in url:
        raise Refused("it has to be a plain URL; a name in other letters is written as xn--….")
    try:
        parts = urlsplit(url)
        is_port = parts.port is None or parts.port > 0
    except ValueError as error:
        raise Refused(f"it is no URL: {error}.") from error
    if not is_port:
        raise Refused("port 0 is none.")
    return parts


def _check_host(host: str) -> None:
    if ":" in host or _literal(host):
        if _literal(host) is None:
            raise Refused("its address cannot be read.")
        return
    if not _NAME.fullmatch(host):
        raise Refused("its host is no name.")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise Refused("its host is a number; write an address as four numbers with dots.")


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return False
    if any(address in block for block in _NOT_PUBLIC if block.version == address.version):
        return False
    return address.is_global and not address.is_multicast


def _look_up(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def address_of(
    place: Place,
    *,
    resolve: Resolver = _look_up,
    timeout_s: float = TIMEOUT_S,
    listed_in: str = "WEBHOOK_HOSTS_TRUSTED",
) -> str:
    """One that was checked, out of those that the name has just now."""
    found = _within(timeout_s, lambda: resolve(place.host, place.port))
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    if not addresses:
        raise NotReached(f"{place.host} has no address")
    if not place.is_trusted and not all(map(is_public, addresses)):
        raise Refused(
            f"{place.host} lies in a private network, or is this machine. If that is meant, "
            f"name it in {listed_in}."
        )
    return found[0]


def _within(timeout_s: float, ask: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Looking a name up knows no timeout of its own."""
    answers: queue.SimpleQueue[Sequence[str] | OSError] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(ask())
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError("its name cannot be looked up"))

    threading.Thread(target=work, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty as error:
        raise NotReached(f"its name was not found within {timeout_s:g} s") from error
    if isinstance(answer, OSError):
        raise NotReached(f"its name was not found: {answer.strerror or answer}")
    return answer


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    trusted: Collection[str] = (),
    resolve: Resolver = _look_up,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """One request and its answer, within the timeout as a whole. Raises Refused or Unreachable."""
    sent = Sent("POST", url, body, headers)
    return ask(sent, trusted=trusted, resolve=resolve, timeout_s=timeout_s)


def ask(
    sent: Sent,
    *,
    trusted: Collection[str] = (),
    listed_in: str = "WEBHOOK_HOSTS_TRUSTED",
    resolve: Resolver = _look_up,
    timeout_s: float = TIMEOUT_S,
    bytes_max: int = ANSWER_BYTES_MAX,
) -> Answer:
    """The same with any method. What an answer has beyond `bytes_max` is not read."""
    deadline = time.monotonic() + timeout_s
    place = place_of(sent.url, trusted)
    address = address_of(place, resolve=resolve, timeout_s=timeout_s, listed_in=listed_in)
    try:
        with (
            _connected(place, address, deadline) as connection,
            _watched(connection, deadline),
        ):
            return _ask(connection, place, sent, bytes_max)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {timeout_s:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(_legible(error)) from error


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connected(place: Place, address: str, deadline: float) -> socket.socket:
    """To the address that was checked, and for TLS in the name that was asked for."""
    try:
        raw = socket.create_connection((address, place.port), timeout=_left(deadline))
    except TimeoutError:
        raise NotReached("nobody took the connection in time") from None
    except OSError as error:
        raise NotReached(_legible(error)) from error
    if not place.is_tls:
        return raw
    # The handshake comes later, when the conversation is watched.
    return ssl.create_default_context().wrap_socket(
        raw, server_hostname=place.host, do_handshake_on_connect=False
    )


@contextmanager
def _watched(connection: socket.socket, deadline: float) -> Iterator[None]:
    """Ends a conversation that is drawn out: each byte may be in time, and the whole too late."""
    has_struck = threading.Event()

    def strike() -> None:
        has_struck.set()
        with suppress(OSError):
            # Not the method of a TLS socket, which would pull its state away from under the reader.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(_left(deadline), strike)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        if has_struck.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    # An answer that was broken off may look like one that is complete.
    if has_struck.is_set():
        raise TimeoutError


def _ask(connection: socket.socket, place: Place, sent: Sent, bytes_max: int) -> Answer:
    if isinstance(connection, ssl.SSLSocket):
        connection.do_handshake()
    client = http.client.HTTPConnection(place.host, place.port)
    client.sock = connection
    fixed = {"Host": place.host_header, "Connection": "close", "Accept-Encoding": "identity"}
    try:
        client.request(sent.method, place.path, sent.body, {**sent.headers, **fixed})
    except ValueError:
        # Its text quotes the header, which may hold a secret.
        raise NotReached("a header of the request cannot be sent; nothing was") from None
    response = client.getresponse()
    text = response.read(bytes_max).decode("utf-8", "replace")
    after = response.headers.get("Retry-After", "")
    return Answer(response.status, int(after) if re.fullmatch(r"[0-9]{1,6}", after) else None, text)


def _legible(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS as expected"
    if isinstance(error, OSError):
        return str(error.strerror or error) or "the connection broke"
    return f"its answer is no HTTP ({type(error).__name__})"
