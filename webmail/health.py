"""Whether a process that is no web server can do its work now: told to whoever asks, and once to the service manager.

Two pages: /healthz (it lives) and /readyz (it can do its work).
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

_WAIT = 5.0


async def serve(address: tuple[str, int], missing: Callable[[], Awaitable[str]]) -> asyncio.Server:
    """Listen on (host, port). `missing` says what is lacking to be ready, a word or two, "" for nothing; it bounds its own time.

    Raises OSError. Each answer closes its connection; nothing a visitor sends is kept.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WAIT):
                line = await reader.readuntil(b"\r\n")
                while (await reader.readuntil(b"\r\n")) != b"\r\n":
                    pass
                writer.write(respond(line, await missing() if b" /readyz" in line else ""))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, *address, limit=8192)


def respond(request_line: bytes, missing: str) -> bytes:
    """The whole HTTP/1.1 answer to a request line."""
    method, _, rest = request_line.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        status, text = "405 Method Not Allowed", "method not allowed"
    elif path == b"/healthz":
        status, text = "200 OK", "alive"
    elif path == b"/readyz" and missing:
        status, text = "503 Service Unavailable", f"not ready: {missing}"
    elif path == b"/readyz":
        status, text = "200 OK", "ready"
    else:
        status, text = "404 Not Found", "not found"
    body = text + "\n"
    fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n"
    return f"HTTP/1.1 {status}\r\n{fields}\r\n{'' if method == b'HEAD' else body}".encode()


def tell_manager(address: str) -> None:
    """Say READY=1 to a service manager that listens at `address` (sd_notify(3)); "" is nobody, and a deaf one is left alone."""
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)
