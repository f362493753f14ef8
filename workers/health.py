"""The health page of the workers: /healthz, and /readyz while every child runs, the clock looks into Postgres and Redis answers.

The parent, which opens no connection, writes down which children run; the clock, when it last looked into the database. Both write
into a few bytes of memory that the child which serves the page shares with them.
"""

import asyncio
import mmap
import os
import struct
import time
from collections.abc import Sequence

from redis import Redis
from redis.exceptions import RedisError

from webmail import health

STALE = 30.0
"""Seconds without a look of the clock after which the database is taken for away; it looks every two."""
_LOOK = 2.0
_TIME = struct.Struct("d")


class Board:
    """When each of some names was last marked, for all processes that are forked from this one. Times of `time.monotonic`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._memory = mmap.mmap(-1, _TIME.size * len(names))

    def mark(self, name: str) -> None:
        """It is well, now."""
        self._write(name, time.monotonic())

    def clear(self, name: str) -> None:
        """It is away."""
        self._write(name, 0.0)

    def age(self, name: str) -> float:
        """Seconds since it was marked; infinite for what was not, or is away."""
        (at,) = _TIME.unpack_from(self._memory, self._place(name))
        return time.monotonic() - at if at else float("inf")

    def away(self) -> list[str]:
        """The names that are not marked."""
        return [name for name in self._names if self.age(name) == float("inf")]

    def _write(self, name: str, at: float) -> None:
        _TIME.pack_into(self._memory, self._place(name), at)

    def _place(self, name: str) -> int:
        return self._names.index(name) * _TIME.size


def missing(children: Board, sweep: Board, redis: Redis) -> str:
    """What is lacking for the workers to do their work, "" for nothing."""
    if away := children.away():
        return ", ".join(away)
    if sweep.age("sweep") > STALE:
        return "database"
    try:
        redis.ping()
    except (RedisError, OSError):
        return "redis"
    return ""


def run(address: tuple[str, int], redis_url: str, children: Board, sweep: Board) -> None:
    """Serve the page until this process is ended, or its parent has. Raises OSError where the address is taken."""
    redis = Redis.from_url(redis_url, socket_timeout=_LOOK, socket_connect_timeout=_LOOK)

    async def serve(parent: int) -> None:
        async def look() -> str:
            return await asyncio.to_thread(missing, children, sweep, redis)

        async with await health.serve(address, look):
            while os.getppid() == parent:
                await asyncio.sleep(1)

    asyncio.run(serve(os.getppid()))
