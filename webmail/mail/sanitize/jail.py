"""Cleaning in a process that may be killed: a crash, a stall or a flood of memory ends that process and no other.

A warm, single-threaded process (`cell`) forks one child for each job, so a job costs a few milliseconds and no thread
of the caller is ever forked. A job travels as one end of a socket pair; many threads and forked processes may send at
once. The warm process ends when the last holder of its line does.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

from webmail.mail.sanitize import layout, limits, structure
from webmail.mail.sanitize.model import Formatted, Reading, Refusal, from_plain

Name = Literal["reading", "formatted"]

IN_PROCESS_CHARACTERS = 32 * 1024
_IN_PROCESS_TAGS = 4000
_IN_PROCESS_ENTITIES = 2000
_IN_PROCESS_REBUILT = 5000
_IN_PROCESS_MATCHES = 200_000
MAX_REPLY = 16 << 20

_CELL = Path(__file__).with_name("cell.py")


class _Line:
    """The line to the warm process; started on first use, again after its death."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def send(self, job: socket.socket) -> None:
        """Hand over one end of a pair. Raises OSError when no warm process can be had."""
        for _ in range(2):
            line = self._connected()
            try:
                socket.send_fds(line, [b"j"], [job.fileno()])
                return
            except OSError:
                self._forget(line)
        raise OSError("no jail")

    def _connected(self) -> socket.socket:
        with self._lock:
            if self._socket is None:
                ours, theirs = socket.socketpair()
                try:
                    # -I: neither the environment nor the working folder may lend code to the jail.
                    self._process = subprocess.Popen(
                        [sys.executable, "-I", str(_CELL), str(theirs.fileno())],
                        pass_fds=[theirs.fileno()],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        env={},
                        start_new_session=True,
                    )
                except OSError:
                    ours.close()
                    raise
                finally:
                    theirs.close()
                self._socket, self._owner = ours, os.getpid()
            return self._socket

    def _forget(self, line: socket.socket) -> None:
        with self._lock:
            if self._socket is line:
                self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop(self) -> None:
        """End the warm process of this process; the next job starts another."""
        with self._lock:
            self._close()

    def after_fork(self) -> None:
        self._lock = threading.Lock()  # the child may have been made while another thread held it
        self._process = None


_line = _Line()
atexit.register(_line.stop)
os.register_at_fork(after_in_child=_line.after_fork)


def start() -> None:
    """Warm the jail ahead of the first job; before a preloading server forks, so that its workers share one."""
    _line._connected()


def stop() -> None:
    """End the warm process that this process started."""
    _line.stop()


def in_jail(
    function_name: Name,
    html: str,
    cpu_seconds: int = 2,
    memory_bytes: int = 256 << 20,
    wall: float = 5,
    **options: Any,
) -> Reading | Formatted | Refusal:
    """Run `reading` or `formatted` with `options` (plain data) in a child that the kernel holds to its limits.

    A crash, a time-out and exhausted memory come back as a Refusal ("crash", "slow", "memory"), as do the limits of
    the guard. Raises ValueError for an unknown function name, and nothing else.
    """
    if function_name not in ("reading", "formatted"):
        raise ValueError(function_name)
    html = limits.slim(html)
    if len(html) > limits.MAX_BYTES:
        return Refusal("long")
    bounds = {"cpu": cpu_seconds, "memory": memory_bytes, "wall": wall}
    request = json.dumps({"name": function_name, "html": html, "options": options, "limits": bounds}).encode()
    began = time.monotonic()
    try:
        reply = _ask(request, wall)
        result = from_plain(json.loads(reply))
    except TimeoutError:
        return Refusal("slow")
    except (OSError, ValueError, KeyError, TypeError):
        return Refusal("slow" if time.monotonic() - began >= min(cpu_seconds, wall) else "crash")
    refused = getattr(result, "refused", None)
    return Refusal(refused) if refused else result


def _ask(request: bytes, wall: float) -> bytes:
    """Send one job and read its answer. Raises TimeoutError, OSError; an empty answer means that the child died."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            _line.send(theirs)
        deadline = time.monotonic() + wall + 1  # the child ends itself at `wall`; the rest is for its start
        ours.settimeout(wall + 1)
        ours.sendall(request)
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
    raise OSError("reply too long")


def safely(function_name: Name, html: str, **options: Any) -> Reading | Formatted | Refusal:
    """`reading` or `formatted` of any text at all: here where it is small and simple, else in the jail. Never raises
    but for wrong `options`."""
    html = limits.slim(html)
    if len(html) > IN_PROCESS_CHARACTERS:
        return in_jail(function_name, html, **options)
    found, refusal = limits.judge(html)
    if refusal is not None or found is None:
        return refusal or Refusal("long")
    if not _simple(found):
        return in_jail(function_name, html, **options)
    if function_name == "reading":
        return structure.reduce(html, options.get("link_prefix", "l/"))
    return layout.reshape(
        html, found, options.get("cids") or {}, options.get("image_prefix"), options.get("link_prefix", "l/")
    )


def _simple(found: limits.Survey) -> bool:
    return (
        found.tags <= _IN_PROCESS_TAGS
        and found.entities <= _IN_PROCESS_ENTITIES
        and found.rebuilt <= _IN_PROCESS_REBUILT
        and found.rules * found.tags <= _IN_PROCESS_MATCHES
    )
