"""Conversations: messages that name each other by Message-ID, within one mailbox.

As in JWZ's algorithm, every id that a message names (its own, In-Reply-To, References) is remembered, so that two answers to a
message that never came still meet, and a late parent joins what it parents. Subjects join nothing: a stranger cannot enter a
conversation by guessing one. Ids are blinded under the mailbox's key, so they say nothing across mailboxes.
"""

from collections.abc import Sequence

from sqlalchemy import delete, exists, select, text, update
from sqlalchemy.dialects.postgresql import insert

from webmail.db import db, new_id
from webmail.keys import MailboxKeys
from webmail.mail.models import Message, ThreadReference

MAX_MERGED = 3
"""Conversations that one message ties together: its own id's and its nearest ancestors'. Whoever has a list's ids could else
knot a hundred of somebody's conversations into one, for good, with a single message."""


def join(keys: MailboxKeys, names: Sequence[str]) -> int:
    """The conversation of a message that names these Message-IDs (its own last): found, merged from up to three, or new.

    The caller holds the mailbox's filing lock, so two parts of one conversation cannot be filed past each other.
    """
    mailbox_id = keys.mailbox_id
    references = [keys.blind(name) for name in names]
    query = select(ThreadReference.reference, ThreadReference.thread_id).where(
        ThreadReference.mailbox_id == mailbox_id, ThreadReference.reference.in_(references)
    )
    known = {bytes(name): thread for name, thread in db.session.execute(query)} if references else {}
    nearest = dict.fromkeys(known[name] for name in reversed(references) if name in known)
    found = sorted(list(nearest)[:MAX_MERGED])
    thread_id = found[0] if found else new_id()
    for other in found[1:]:
        for table in (Message, ThreadReference):
            db.session.execute(
                update(table)
                .where(table.mailbox_id == mailbox_id, table.thread_id == other)
                .values(thread_id=thread_id)
            )
    if references:
        rows = [
            {"mailbox_id": mailbox_id, "reference": item, "thread_id": thread_id}
            for item in dict.fromkeys(references)
        ]
        db.session.execute(insert(ThreadReference).on_conflict_do_nothing(), rows)
    return thread_id


def forget_empty(mailbox_id: int, thread_ids: Sequence[int]) -> None:
    """Forget the remembered ids of conversations that have no message left."""
    left = exists().where(Message.mailbox_id == mailbox_id, Message.thread_id == ThreadReference.thread_id)
    db.session.execute(
        delete(ThreadReference).where(
            ThreadReference.mailbox_id == mailbox_id, ThreadReference.thread_id.in_(thread_ids), ~left
        )
    )


def lock(mailbox_id: int) -> None:
    """Hold the mailbox's filing lock until the transaction ends."""
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('mtumail filing', :mailbox))"),
        {"mailbox": mailbox_id},
    )
