"""Two pages for whoever watches the process: /healthz (the event loop turns) and /readyz (mail is taken in)."""

import asyncio
from collections.abc import Callable

_WAIT = 5.0


async def serve(address: tuple[str, int], ready: Callable[[], bool]) -> asyncio.Server:
    """Listen on (host, port). Raises OSError. Each answer closes its connection; nothing a visitor sends is kept."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WAIT):
                line = await reader.readuntil(b"\r\n")
                while (await reader.readuntil(b"\r\n")) != b"\r\n":
                    pass
                writer.write(respond(line, ready()))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, *address, limit=8192)


def respond(request_line: bytes, ready: bool) -> bytes:
    """The whole HTTP/1.1 answer to a request line."""
    method, _, rest = request_line.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        status, text = "405 Method Not Allowed", "method not allowed"
    elif path == b"/healthz":
        status, text = "200 OK", "alive"
    elif path == b"/readyz":
        status, text = ("200 OK", "ready") if ready else ("503 Service Unavailable", "not ready")
    else:
        status, text = "404 Not Found", "not found"
    body = text + "\n"
    fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n"
    return f"HTTP/1.1 {status}\r\n{fields}\r\n{'' if method == b'HEAD' else body}".encode()
