"""A believable life for the demo people, written by hand and dated back from `now`.

Pure: no database, no network, and the same bytes for the same `now`.
"""

from __future__ import annotations

from datetime import datetime

from webmail.embedded.demo_mail import (
    colleagues,
    fieldwork,
    junk,
    letters,
    newsletters,
    projects,
    returns,
    services,
    worldwide,
)
from webmail.embedded.demo_mail.story import Calendar, DemoMessage, Story, by_mailbox

CHAPTERS = (projects, fieldwork, returns, letters, worldwide, newsletters, services, junk, colleagues)

__all__ = ["DemoMessage", "messages"]


def messages(now: datetime, domain: str = "mtumail.test") -> list[DemoMessage]:
    """All demo mail as of `now` (aware), mailbox by mailbox, oldest first.

    `domain` is the part after the `@` of the demo people. What has a party in two mailboxes lies in both with
    the same Message-ID. Nothing is later than `now`.
    """
    story = Story(Calendar(now), domain)
    for chapter in CHAPTERS:
        chapter.tell(story)
    ordered = by_mailbox(story.kept)
    return [message for mailbox in ordered.values() for message in mailbox]
