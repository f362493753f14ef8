"""One JSON object a line on standard error: ids, names of replies, sizes and counts. Never an address, a HELO name or content."""

import json
import logging
import sys
from datetime import UTC, datetime

_LOG = logging.getLogger("mtumail.inbound")

# aiosmtpd logs each command line and each peer. That is precisely what may not be written down.
logging.getLogger("mail.log").disabled = True


def event(name: str, level: int = logging.INFO, **fields: str | int | float | bool | None) -> None:
    """Log that `name` happened. `fields` are ours, never the peer's words."""
    _LOG.log(level, name, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """Our own events whole; of other loggers' records only where they come from: their text may quote a peer."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        if record.name == _LOG.name:
            line |= {"event": record.getMessage(), **getattr(record, "fields", {})}
        else:
            line |= {"event": "library", "logger": record.name, "line": f"{record.module}:{record.lineno}"}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)


def configure() -> None:
    """Send everything that this process logs through JsonLines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
