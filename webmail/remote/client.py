"""GET for a picture or a policy, POST for one-click unsubscription (RFC 8058), towards hosts that nobody vouches for."""

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar, cast
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

from webmail.mail.sanitize import urls
from webmail.remote.model import Failed, Fetched, Limits, Stop
from webmail.remote.names import Names, look_up
from webmail.remote.reach import PUBLIC, IPAddress, Reach
from webmail.remote.wire import Deadline, Wire, open_socket, secure

PICTURE_AGENT = "mtumail picture fetch"
POLICY_AGENT = "mtumail policy check"
UNSUBSCRIBE_AGENT = "mtumail one-click unsubscribe"
_ACCEPT = "image/webp,image/png,image/jpeg,image/gif,image/*;q=0.1"
_UNSURE_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STEP = 65_536
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Client:
    """Asks strangers' servers. `reach` says which may be asked, `names` resolves, `tls` is for authorities of one's own."""

    reach: Reach = PUBLIC
    names: Names = look_up
    tls: ssl.SSLContext | None = None

    def get(self, url: str, limits: Limits | None = None) -> Fetched | Failed:
        """The picture at `url`. Follows `limits.redirects` redirects, each as careful as the first. Never raises."""
        return _never_raises(lambda: self._get(url, limits or Limits()))

    def get_text(self, url: str, limits: Limits | None = None) -> str | Failed:
        """The plain text at an https address, as a policy is fetched (RFC 8461, 3.3). Never redirected, never raises."""
        return _never_raises(lambda: self._get_text(url, limits or Limits(body=65_536)))

    def post_form(self, url: str, form: Mapping[str, str], limits: Limits | None = None) -> int | Failed:
        """POST a form to an https address and give the status of the answer, whatever it is. Never redirected, never raises.

        RFC 8058, 3.2: no cookies, no authentication, nothing but the form. Its body is not read.
        """
        return _never_raises(lambda: self._post(url, form, limits or Limits()))

    def _get(self, url: str, limits: Limits) -> Fetched:
        deadline = Deadline(limits.whole)
        headers = {"Accept": _ACCEPT, "User-Agent": PICTURE_AGENT}
        for _ in range(limits.redirects + 1):
            target = _read_url(url)
            with self._ask(target, "GET", None, headers, limits, deadline) as (response, wire):
                if response.status not in _REDIRECTS:
                    return _picture(response, wire, limits)
                url = _next_url(target, response.getheader("Location"))
        raise Stop("redirects")

    def _get_text(self, url: str, limits: Limits) -> str:
        target = _read_url(url)
        if target.scheme != "https":
            raise Stop("url")
        headers = {"Accept": "text/plain", "User-Agent": POLICY_AGENT}
        with self._ask(target, "GET", None, headers, limits, Deadline(limits.whole)) as (response, wire):
            if response.status != 200:
                raise Stop("status", response.status)
            if _content_type(response) != "text/plain":
                raise Stop("type")
            return _body(response, wire, limits).decode("utf-8", "replace")

    def _post(self, url: str, form: Mapping[str, str], limits: Limits) -> int:
        target = _read_url(url)
        if target.scheme != "https":
            raise Stop("url")
        body = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": UNSUBSCRIBE_AGENT}
        with self._ask(target, "POST", body, headers, limits, Deadline(limits.whole)) as (response, _wire):
            return response.status

    @contextmanager
    def _ask(
        self, target: SplitResult, method: str, body: bytes | None, headers: Mapping[str, str], limits: Limits, deadline: Deadline
    ) -> Iterator[tuple[http.client.HTTPResponse, Wire]]:  # fmt: skip
        """One request over a connection of its own; the head of the reply has been read."""
        port = target.port
        if port is None:
            port = 443 if target.scheme == "https" else 80
        host = (target.hostname or "").removesuffix(".")
        addresses = self._addresses(host, port, limits, deadline)
        sock = open_socket(addresses, port, limits.connect, deadline)
        if target.scheme == "https":
            sock = secure(sock, host, self.tls, deadline)
        wire = Wire(sock, deadline, limits.head)
        try:
            connection = _Connection(host, wire)
            asked = {
                "Host": _host_header(target, host),
                **headers,
                "Accept-Encoding": "identity",
                "Connection": "close",
            }
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            connection.request(method, path, body=body, headers=asked)
            yield connection.getresponse(), wire
        finally:
            wire.hang_up()

    def _addresses(self, host: str, port: int, limits: Limits, deadline: Deadline) -> list[IPAddress]:
        """Where to connect. One address that strangers may not send us to spoils them all."""
        if not self.reach.port(port):
            raise Stop("port")
        try:
            found = [ip_address(host)]
        except ValueError:
            if "." not in host:
                raise Stop("name") from None  # hosts of one's own network are called like this
            found = list(self.names(host, deadline.within(limits.connect)))
        if not found:
            raise Stop("name")
        if not all(self.reach.address(address, port) for address in found):
            raise Stop("private")
        return found


class _Connection(http.client.HTTPConnection):
    """Speaks over a connection that stands already, and never makes one by itself."""

    auto_open = 0

    def __init__(self, host: str, wire: Wire) -> None:
        super().__init__(host, 80)
        self.sock = cast("socket.socket", wire)


def _never_raises(act: Callable[[], Answer]) -> Answer | Failed:
    try:
        return act()
    except Stop as stop:
        return stop.failed
    except TimeoutError:
        return Failed("slow")
    except (
        OSError
    ):  # also a connection that closes without a word, which http.client counts among bad replies
        return Failed("connect")
    except http.client.LineTooLong:
        return Failed("headers")
    except http.client.IncompleteRead:
        return Failed("cut")
    except http.client.HTTPException as error:
        return Failed("headers" if str(error).startswith("got more than") else "reply")
    except ValueError:
        return Failed("reply")


def _read_url(text: str) -> SplitResult:
    """The address as a browser reads it, so that what is checked is what is asked. Raises Stop."""
    address = urls.canonical(text)
    if address is None or address.scheme == "mailto" or address.odd:
        raise Stop("url")
    return urlsplit(address.url)


def _next_url(target: SplitResult, location: str | None) -> str:
    """Where a redirect leads. Raises Stop for one to nowhere, and for one that leaves TLS."""
    if not location:
        raise Stop("reply")
    text = location.encode("latin-1", "replace").decode("utf-8", "replace")  # as http.client read the header
    url = urljoin(target.geturl(), text)
    if target.scheme == "https" and urls.scheme_of(url) == "http":
        raise Stop("downgrade")
    return url


def _host_header(target: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if target.port is None else f"{shown}:{target.port}"


def _picture(response: http.client.HTTPResponse, wire: Wire, limits: Limits) -> Fetched:
    """The body, if the head speaks of a picture. What it is in truth, its bytes say later."""
    if response.status != 200:
        raise Stop("status", response.status)
    content_type = _content_type(response)
    if content_type == "image/svg+xml" or not (
        content_type.startswith("image/") or content_type in _UNSURE_TYPES
    ):
        raise Stop("type")
    return Fetched(_body(response, wire, limits), content_type)


def _content_type(response: http.client.HTTPResponse) -> str:
    return (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()


def _body(response: http.client.HTTPResponse, wire: Wire, limits: Limits) -> bytes:
    """All of it, within the limits. Raises Stop."""
    if (response.getheader("Content-Encoding") or "identity").strip().lower() != "identity":
        raise Stop("encoding")
    declared = response.length
    if declared is not None and declared > limits.body:
        raise Stop("large")
    # With what frames chunks; the body itself is counted below.
    wire.allow(limits.body + limits.body // 4 + _STEP)
    parts, size = [], 0
    while part := response.read(_STEP):
        size += len(part)
        if size > limits.body or (limits.budget is not None and not limits.budget.take(len(part))):
            raise Stop("large")
        parts.append(part)
    if declared is not None and size < declared:
        raise Stop("cut")
    return b"".join(parts)
