"""Where strangers' bytes are opened: a process that may be killed. A crash, a stall or a flood of memory ends it and no other.

A warm, single-threaded process (`cell`) forks one child for each job, so a job costs a few milliseconds and no thread of the
caller is ever forked. Its child has no network, no file, no way to start another process, and limits on CPU, memory and time
(`walls`). A job travels as one end of a socket pair; the jail holds no key, no setting and no other message.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from webmail.jail.contract import (
    DONE,
    FUNCTIONS,
    MAX_PAYLOAD,
    MAX_REPLY,
    REFUSED,
    STARTED,
    Limits,
    Refusal,
)
from webmail.jail.line import Line

__all__ = ["Limits", "Refusal", "run", "start", "stop"]

QUEUE_SECONDS = 10.0
"""How long a job waits for a child to be free, or for the warm process to have started."""

_line = Line()
atexit.register(_line.stop)
os.register_at_fork(after_in_child=_line.after_fork)


def start() -> None:
    """Warm the jail ahead of the first job; before a server forks, so that its workers share one. Returns at once, and
    never raises: where it cannot be had now, the first job tries again."""
    with contextlib.suppress(OSError):
        _line.start()


def stop() -> None:
    """End the warm process that this process started."""
    _line.stop()


def run(
    name: str, payload: bytes, options: Mapping[str, Any] | None = None, *, limits: Limits | None = None
) -> bytes | Refusal:
    """Run a function of `contract.FUNCTIONS` on `payload` with `options` (plain data) in a child held to `limits`.

    Raises ValueError for a name that is not in the table, and nothing else.
    """
    if name not in FUNCTIONS:
        raise ValueError(name)
    if len(payload) > MAX_PAYLOAD:
        return Refusal("long")
    limits = limits or Limits()
    bounds = {"cpu": limits.cpu, "memory": limits.memory, "wall": limits.wall}
    head = {"name": name, "options": dict(options or {}), "limits": bounds}
    try:
        return _asked(json.dumps(head).encode() + b"\n", payload, limits)
    except OSError:
        return Refusal("busy")


def _asked(head: bytes, payload: bytes, limits: Limits) -> bytes | Refusal:
    """Raises OSError where no child took the job."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            _line.send(theirs)
        ours.settimeout(QUEUE_SECONDS)
        if ours.recv(1) != STARTED:
            return Refusal("crash")
        began = time.monotonic()
        try:
            reply = _conversation(ours, head, payload, began + limits.wall + 1)
        except TimeoutError:
            return Refusal("slow")
        except OSError:
            reply = b""
    if reply is None:
        return Refusal("long")
    if reply[:1] == DONE:
        return reply[1:]
    if reply[:1] == REFUSED:
        return Refusal(reply[1:].decode("ascii", "replace"))
    return Refusal("slow" if time.monotonic() - began >= min(limits.cpu, limits.wall) else "crash")


def _conversation(ours: socket.socket, head: bytes, payload: bytes, deadline: float) -> bytes | None:
    """The whole reply, empty where the child died; None if it is too long. The child ends itself before `deadline`.
    Raises TimeoutError and other OSError."""
    ours.settimeout(max(0.001, deadline - time.monotonic()))
    ours.sendall(head)
    ours.sendall(payload)
    ours.shutdown(socket.SHUT_WR)
    parts: list[bytes] = []
    size = 0
    while size <= MAX_REPLY:
        ours.settimeout(max(0.001, deadline - time.monotonic()))
        part = ours.recv(1 << 18)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    return None
