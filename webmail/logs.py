"""Logs: one JSON object a line, on standard error or in a file. Our own events carry ids and codes; others' text is left out.

A library's message may quote what a stranger sent, so of those records only their origin is written down.
"""

import fcntl
import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

_OURS = ("webmail", "workers", "inbound", "mtumail")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, event, and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. Of an exception only its type; of a library only its name and place."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        if record.name.split(".")[0] in _OURS:
            fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
            line |= {"event": record.getMessage(), "logger": record.name} | fields.pop("fields", {}) | fields
        else:
            line |= {"event": "library", "logger": record.name, "place": f"{record.module}:{record.lineno}"}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


KEPT = 9
"""Older files that are kept beside the current one: `path.1` is the youngest."""


class File(logging.Handler):
    """Lines in a file that several processes may write: each line is one write. At `limit` bytes (0: never) it makes place for the
    next one; where logrotate has moved it away, it is opened anew. A full disk stops the log, and not the mail."""

    def __init__(self, path: Path, limit: int = 0) -> None:
        super().__init__()
        self._path, self._limit = path, limit
        self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(
            self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        with suppress(OSError):
            if self._limit and os.fstat(self._descriptor).st_size >= self._limit:
                self._make_place()
            if not self._is_there():
                os.close(self._descriptor)
                self._descriptor = self._open()
            os.write(self._descriptor, line)

    def _is_there(self) -> bool:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._descriptor)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def _make_place(self) -> None:
        lock = os.open(self._numbered("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._is_there():  # nobody did it while we waited
                for number in range(KEPT, 1, -1):
                    with suppress(FileNotFoundError):
                        self._numbered(number - 1).rename(self._numbered(number))
                self._path.rename(self._numbered(1))
        finally:
            os.close(lock)

    def _numbered(self, ending: int | str) -> Path:
        return self._path.with_name(f"{self._path.name}.{ending}")


_target: list[tuple[Path, int]] = []
"""At most one: where everything goes, if not to standard error."""


def write_to(path: Path | None, limit: int = 0) -> None:
    """Have `handler` and `configure` write to a file of at most about `limit` bytes; None: to standard error. Raises OSError."""
    _target[:] = [(path, limit)] if path else []


def handler() -> logging.Handler:
    """Where this process logs to."""
    made = File(*_target[0]) if _target else logging.StreamHandler(sys.stderr)
    made.setFormatter(JsonLines())
    return made


def configure(level: int = logging.INFO) -> None:
    """Send everything this process logs through JsonLines."""
    logging.basicConfig(level=level, handlers=[handler()], force=True)
    logging.captureWarnings(True)
