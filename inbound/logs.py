"""Events of inbound: ids, names of replies, sizes and counts. Never an address, a HELO name or content."""

import logging

from webmail import logs

_LOG = logging.getLogger("mtumail.inbound")

# aiosmtpd logs each command line and each peer. That is precisely what may not be written down.
logging.getLogger("mail.log").disabled = True

configure = logs.configure


def event(name: str, level: int = logging.INFO, **fields: str | int | float | bool | None) -> None:
    """Log that `name` happened. `fields` are ours, never the peer's words."""
    _LOG.log(level, name, extra={"fields": fields})
