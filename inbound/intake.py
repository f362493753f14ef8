"""Bytes from the peer, as lines or as they come, with what was read too far kept for the next reader."""

import asyncio

_CHUNK = 65_536
_FLOOD = 16_384
"""A command line of this many bytes, and no end of it, is not a command line."""


class Hangup(Exception):
    """The peer has closed its side."""


class TooLong(Exception):
    """A line was longer than allowed; all of it has been dropped. `flood`: its end never came."""

    def __init__(self, flood: bool) -> None:
        super().__init__()
        self.flood = flood


class Intake:
    """Reads from one stream. Holds at most one chunk beyond what the stream itself buffers."""

    __slots__ = ("_reader", "_rest", "received")

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._rest = bytearray()
        self.received = 0

    async def line(self, limit: int) -> bytes:
        """The next line with its LF, of `limit` bytes at most. Raises TooLong, Hangup."""
        dropped = 0
        while True:
            end = self._rest.find(b"\n") + 1
            if end:
                line = bytes(self._rest[:end])
                del self._rest[:end]
                if dropped + end > limit:
                    raise TooLong(flood=False)
                return line
            if len(self._rest) + dropped > limit:
                dropped += len(self._rest)
                self._rest.clear()
            if dropped > _FLOOD:
                raise TooLong(flood=True)
            self._rest += await self._more()

    async def chunk(self) -> bytes:
        """Whatever comes next, at least one byte. Raises Hangup."""
        if self._rest:
            return self.clear()
        return await self._more()

    def unread(self, data: bytes) -> None:
        """Put back what belongs to the next reader."""
        self._rest[:0] = data

    def clear(self) -> bytes:
        """Take away what has been read too far."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    async def _more(self) -> bytes:
        data = await self._reader.read(_CHUNK)
        if not data:
            raise Hangup
        self.received += len(data)
        return data
