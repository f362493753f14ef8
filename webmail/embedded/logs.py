"""The logs of supervised parts: whatever a part prints becomes one JSON object a line, in files of bounded size."""

import json
import os
import selectors
import threading
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_ROTATE_BYTES = 5_000_000
_KEPT_FILES = 2
_LINE_BYTES = 65_536
_KEPT_LINES = 20


class LogFile:
    """One part's log: `path`, and `path.1`, `path.2` before it. Not for use from two threads at once."""

    def __init__(self, name: str, path: Path, rotate_bytes: int = _ROTATE_BYTES) -> None:
        self.name = name
        self.path = path
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._rotate_bytes = rotate_bytes
        self._descriptor = self._open()
        self._size = os.fstat(self._descriptor).st_size
        self._partial = b""

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def feed(self, chunk: bytes) -> None:
        """Take output as it comes; whole lines are written, the rest waits for its end."""
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        while len(self._partial) > _LINE_BYTES:
            lines.append(self._partial[:_LINE_BYTES])
            self._partial = self._partial[_LINE_BYTES:]
        for line in lines:
            self.write(line)

    def write(self, line: bytes) -> None:
        """Write one line, wrapped unless it is a JSON object already."""
        line = line.strip()
        if not line:
            return
        text = line.decode("utf-8", "replace")
        self.last.append(text)
        if not _is_object(line):
            record = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "process": self.name,
                "text": text,
            }
            line = json.dumps(record, ensure_ascii=False).encode()
        if self._size > self._rotate_bytes:
            self._rotate()
        with suppress(OSError):  # a full disk stops the log, not the mail
            self._size += os.write(self._descriptor, line + b"\n")

    def _rotate(self) -> None:
        os.close(self._descriptor)
        for number in range(_KEPT_FILES - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._numbered(number).rename(self._numbered(number + 1))
        self.path.rename(self._numbered(1))
        self._descriptor = self._open()
        self._size = 0

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def end(self) -> None:
        """The part's output has ended: what waits for the end of its line gets it."""
        self.write(self._partial)
        self._partial = b""

    def close(self) -> None:
        """Write what is left and close the file."""
        self.end()
        os.close(self._descriptor)


def _is_object(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


class LogPump:
    """Reads the pipes of all parts in a thread, so that no part ever waits for the supervisor."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="log-pump", daemon=True)
        self._thread.start()

    def add(self, descriptor: int, log: LogFile) -> None:
        """Copy from `descriptor` to `log` until its end, then close the descriptor."""
        os.set_blocking(descriptor, False)
        self._selector.register(descriptor, selectors.EVENT_READ, log)
        os.write(self._wake_write, b"+")

    def stop(self) -> None:
        """Copy what is already there and end; pipes that somebody still holds open are not waited for."""
        self._stopping = True
        os.write(self._wake_write, b".")
        self._thread.join(5)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, int):
                os.close(key.fileobj)
        self._selector.close()
        os.close(self._wake_write)

    def _run(self) -> None:
        while True:
            stopping = self._stopping
            events = self._selector.select(0 if stopping else None)
            pipes = [key for key, _ in events if key.data is not None]
            if any(key.data is None for key, _ in events):
                os.read(self._wake_read, 4096)
            for key in pipes:
                self._copy(key.fd, key.data)
            if stopping and not pipes:
                return

    def _copy(self, descriptor: int, log: LogFile) -> None:
        try:
            chunk = os.read(descriptor, _LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if chunk:
            log.feed(chunk)
            return
        log.end()
        self._selector.unregister(descriptor)
        os.close(descriptor)
