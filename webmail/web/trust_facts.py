"""What is known of an opened message, gathered for `trust`."""

import time

from flask import g

from webmail.keys import MailboxKeys
from webmail.mail import passed_on, trust
from webmail.mail.correspondents import Known
from webmail.mail.messages import Line
from webmail.mail.reading import View
from webmail.settings import domains

_SECONDS = 60
_hosted: tuple[float, tuple[str, ...]] = (0.0, ())


def assessed(keys: MailboxKeys, line: Line, view: View, known: Known) -> trust.Trust:
    """How far a message may be trusted. Runs in the view's transaction."""
    viewer = g.viewer
    facts = trust.Facts(
        sender=view.sender,
        authors=view.authors,
        reply_to=view.reply_to,
        return_path=_return_path(view),
        incoming=line.direction == "in",
        authentication=view.authentication,
        own_addresses=[viewer.address] if viewer.address else [],
        own_names=[viewer.name] if viewer.name else [],
        hosted_domains=_hosted_domains(),
        known=known.before(line.received_at),
        links=view.link_facts,
        files=view.files,
        problems=view.problems,
        list_id=view.offer.list_id if view.offer is not None else "",
        by_known_list=passed_on.by_known_list(keys, view),
        is_bulk=bool(view.offer),
    )
    return trust.assess(facts)


def _return_path(view: View) -> str | None:
    """The envelope's sender, from the field that inbound puts first."""
    name, value = view.headers[0] if view.headers else ("", "")
    return value.strip("<> ") if name.lower() == "return-path" else None


def _hosted_domains() -> tuple[str, ...]:
    """The domains that we host, asked for once a minute and not for every message."""
    global _hosted  # noqa: PLW0603 - a cache of one value, the same for everybody
    made, names = _hosted
    if not names or time.monotonic() - made > _SECONDS:
        names = tuple(domains.names())
        _hosted = (time.monotonic(), names)
    return names
