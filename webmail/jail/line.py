"""The line to the warm process: many threads and forked processes may send jobs along it at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

CELL = Path(__file__).with_name("cell.py")


class Line:
    """Starts the warm process on first use, and again after its death. It ends when the last holder of the line does.

    `command` is what to start; the number of its end of the line is added as the last argument.
    """

    def __init__(self, command: Sequence[str] = ()) -> None:
        # -I: neither the environment nor the working folder may lend code to the jail.
        self._command = tuple(command) or (sys.executable, "-I", str(CELL))
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    @property
    def pid(self) -> int | None:
        """The warm process, where this process started it."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the warm process unless there is one. It imports by itself; a job that comes sooner waits. Raises OSError."""
        self._connected()

    def stop(self) -> None:
        """End the warm process if this process started it; the next job starts another."""
        with self._lock:
            self._close()

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

    def after_fork(self) -> None:
        """In a child: the line is shared, the process is the parent's."""
        self._lock = threading.Lock()  # the child may have been made while another thread held it
        self._process = None

    def _connected(self) -> socket.socket:
        with self._lock:
            if self._socket is None:
                ours, theirs = socket.socketpair()
                try:
                    self._process = subprocess.Popen(
                        [*self._command, str(theirs.fileno())],
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
