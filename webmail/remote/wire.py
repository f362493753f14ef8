"""A connection that ends by our clock and our count. Time-outs of a socket begin anew with every byte; these do not."""

import io
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

from webmail.remote.model import Stop
from webmail.remote.reach import IPAddress

MAX_TRIES = 3


class Deadline:
    """A moment by which several steps together have to be done."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def within(self, seconds: float) -> float:
        """`seconds`, or what is left if that is less. Raises Stop("slow") when nothing is."""
        left = min(seconds, self._end - time.monotonic())
        if left <= 0:
            raise Stop("slow")
        return left


class Wire(io.RawIOBase):
    """What `http.client` takes for a socket. Reading past the deadline, or more than was allowed, ends it."""

    def __init__(self, sock: socket.socket, deadline: Deadline, allowed: int) -> None:
        self._sock, self._deadline = sock, deadline
        self._left, self._code = allowed, "headers"

    def allow(self, size: int) -> None:
        """From here on a body: `size` more bytes with all that frames it."""
        self._left, self._code = size, "large"

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Wait for bytes, no longer than the deadline. Raises Stop, OSError."""
        if self._left <= 0:
            raise Stop(self._code)
        self._sock.settimeout(self._deadline.within(60))
        count = self._sock.recv_into(buffer)
        self._left -= count
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The reading side, as `http.client` asks for it."""
        return io.BufferedReader(self)

    def sendall(self, data: bytes) -> None:
        """Send all of it by the deadline. Raises Stop, OSError."""
        self._sock.settimeout(self._deadline.within(60))
        self._sock.sendall(data)

    def close(self) -> None:
        """Nothing: `http.client` says this as soon as it has read the head."""

    def hang_up(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._sock.close()


def open_socket(
    addresses: Sequence[IPAddress], port: int, seconds: float, deadline: Deadline
) -> socket.socket:
    """Connect to the first of these addresses that answers, in `seconds` for all together. Raises Stop."""
    connecting = Deadline(deadline.within(seconds))
    slow = False
    for number, address in enumerate(addresses[:MAX_TRIES]):
        waiting = min(len(addresses), MAX_TRIES) - number
        sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            sock.settimeout(connecting.within(seconds / waiting))
            sock.connect((str(address), port))
        except (OSError, Stop) as error:
            sock.close()
            slow = slow or isinstance(error, TimeoutError | Stop)
        else:
            return sock
    raise Stop("slow" if slow else "connect")


def secure(
    sock: socket.socket, host: str, context: ssl.SSLContext | None, deadline: Deadline
) -> ssl.SSLSocket:
    """TLS over it, with whoever has a certificate for `host` (a name, or an address in letters). Raises Stop; then it is closed."""
    try:
        sock.settimeout(deadline.within(60))  # a handshake's time-out is for all of it
        return (context or _trusted()).wrap_socket(sock, server_hostname=host)
    except ssl.SSLError:
        code = "tls"
    except TimeoutError:
        code = "slow"
    except (OSError, ValueError):
        code = "connect"
    except Stop:
        code = "slow"
    sock.close()
    raise Stop(code)


@cache
def _trusted() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
