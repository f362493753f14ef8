"""Logs: one JSON object a line on standard error. Our own events carry ids and codes; other libraries' text is left out.

A library's message may quote what a stranger sent, so of those records only their origin is written down.
"""

import json
import logging
import sys
from datetime import UTC, datetime

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


def configure(level: int = logging.INFO) -> None:
    """Send everything this process logs through JsonLines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
