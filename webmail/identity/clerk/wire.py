"""An HTTP connection that ends in time, whatever the other side does."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from urllib.parse import SplitResult


class Deadline:
    """A moment by which several steps together have to be done."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._ends_at - self._clock())

    @property
    def passed(self) -> bool:
        return self.left == 0.0

    def within(self, seconds: float) -> float:
        """`seconds`, or what is left if that is less. Raises TimeoutError when nothing is."""
        if self.passed:
            raise TimeoutError
        return min(seconds, self.left)


@contextmanager
def open_connection(
    base: SplitResult, deadline: Deadline, *, connect: float, read: float
) -> Iterator[http.client.HTTPConnection]:
    """Connect to an http or https origin; certificates are checked. Raises OSError (ConnectionError if nobody is there).

    Timeouts of a socket begin anew with every byte, so a second thread hangs up when the deadline has passed.
    Resolving the name is the one step that only the system's resolver limits."""
    host = base.hostname or ""
    sock = _dial(host, base.port or (443 if base.scheme == "https" else 80), deadline, connect)
    connection = http.client.HTTPConnection(host, base.port)
    watchdog: threading.Timer | None = None
    try:
        if base.scheme == "https":
            sock = _tls().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        watchdog = threading.Timer(deadline.left, _hang_up, (sock,))
        watchdog.daemon = True
        watchdog.start()
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        sock.settimeout(deadline.within(read))
        connection.sock = sock
        yield connection
    finally:
        if watchdog is not None:
            watchdog.cancel()
        connection.close()
        sock.close()


def _dial(host: str, port: int, deadline: Deadline, connect: float) -> socket.socket:
    failure: OSError = ConnectionRefusedError()
    # RFC 6761, section 6.3: this name and all below it are this machine, whatever the system's resolver knows.
    name = "127.0.0.1" if host.endswith(".localhost") else host
    try:
        addresses = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectionError from error
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.within(connect))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise ConnectionError from failure


def _hang_up(sock: socket.socket) -> None:
    # The base class's method: an SSL socket's own would change the object under the thread that reads from it.
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
