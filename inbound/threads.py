"""Blocking calls from the event loop: a pool of threads, a deadline for each call, and no waiting for the hung at the end."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """A pool. What is submitted may outlive its deadline: a thread cannot be stopped, only no longer waited for."""

    def __init__(self, name: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, name)
        self._open: set[Future[Any]] = set()

    async def call(
        self, deadline: float, function: Callable[[], T], ended: Callable[[], None] | None = None
    ) -> T:
        """The result of `function`. Raises what it raises, or TimeoutError after `deadline` seconds, queueing included.

        `ended` is called once, in the event loop, when the call has really ended or will never begin.
        """
        loop = asyncio.get_running_loop()
        future = self._submit(function)
        if ended is not None:
            future.add_done_callback(lambda _: _call_in(loop, ended))
        return await asyncio.wait_for(asyncio.wrap_future(future), deadline)

    def start(self, function: Callable[[], None]) -> bool:
        """Run `function` some time; False once the pool is closed. It must deal with its own exceptions."""
        try:
            self._submit(function)
        except RuntimeError:
            return False
        return True

    def close(self) -> None:
        """Begin nothing more and wait for nothing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """True while a call runs; after `close`, such a thread would keep the process from ending."""
        return any(future.running() for future in tuple(self._open))

    def _submit(self, function: Callable[[], T]) -> Future[T]:
        future = self._pool.submit(function)
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:  # the loop ended before the thread did
        return
