"""Leaving a list at the reader's press, and what became of it. Nothing here is done by itself, or by opening a message.

ask(keys, message_id, offer)                 one click (RFC 8058): a worker sends the POST
mailed(keys, message_id)                     the reader's own message to the list's address has been submitted
state(mailbox_id, message_id)                for the page; None where nothing was asked
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, update
from sqlalchemy.dialects.postgresql import insert

from webmail import jobs, work
from webmail.db import db, rows
from webmail.errors import Refused
from webmail.keys import MailboxKeys
from webmail.mail import messages
from webmail.mail.models import Unsubscription
from webmail.mail.unsubscribe import Offer

POST, MAIL = "post", "mail"
ASKED, DONE, FAILED = "asked", "done", "failed"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked by `way` (post or mail), and what became of it: `state` is asked, done or failed.

    `reply_code` is the status of the list's server, if it answered; `problem` a code of `webmail.remote`, if it failed.
    """

    way: str
    state: str
    reply_code: int | None
    problem: str
    asked_at: datetime
    changed_at: datetime


def ask(keys: MailboxKeys, message_id: int, offer: Offer) -> None:
    """Have the one-click address of a message's `offer` asked. Again after a failure; what is under way or done stays.

    The address is not kept: the worker reads it from the message again. Raises NotFound; Refused where one click is not offered.
    """
    if not offer.post:
        raise Refused("one click is not offered")
    messages.content_key(keys, message_id)
    _write(keys.mailbox_id, message_id, {"way": POST, "state": ASKED})
    if waiting(keys.mailbox_id, message_id):
        work.ask(work.UNSUBSCRIBE, keys.mailbox_id, message_id)
        jobs.ring_after_commit(jobs.UNSUBSCRIBE)


def mailed(keys: MailboxKeys, message_id: int) -> None:
    """Note that a message to the list's address was submitted in the reader's name: whether it arrives is told in Sent.
    Raises NotFound."""
    messages.content_key(keys, message_id)
    _write(keys.mailbox_id, message_id, {"way": MAIL, "state": DONE})


def state(mailbox_id: int, message_id: int) -> Asked | None:
    """What was asked for this message's list."""
    found = rows(_STATE, {"mailbox": mailbox_id, "message": message_id})
    return Asked(*found[0]) if found else None


_STATE = """
    SELECT way, state, reply_code, problem, asked_at, changed_at
      FROM unsubscription WHERE mailbox_id = %(mailbox)s AND message_id = %(message)s"""


# --- for the worker ------------------------------------------------------------------------------------------------------


def waiting(mailbox_id: int, message_id: int) -> bool:
    """Whether a POST is to be sent."""
    asked = state(mailbox_id, message_id)
    return asked is not None and (asked.way, asked.state) == (POST, ASKED)


def done(mailbox_id: int, message_id: int, reply_code: int) -> None:
    """The server took it, with this status."""
    _settle(mailbox_id, message_id, {"state": DONE, "reply_code": reply_code, "problem": ""})


def failed(mailbox_id: int, message_id: int, problem: str, reply_code: int | None = None) -> None:
    """It did not work, and is not tried again by itself. `problem` is a code."""
    _settle(mailbox_id, message_id, {"state": FAILED, "reply_code": reply_code, "problem": problem})


def _write(mailbox_id: int, message_id: int, values: dict[str, Any]) -> None:
    anew = values | {"reply_code": None, "problem": "", "asked_at": func.now(), "changed_at": func.now()}
    statement = insert(Unsubscription).values(mailbox_id=mailbox_id, message_id=message_id, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["mailbox_id", "message_id"], set_=anew, where=Unsubscription.state == FAILED
    )
    db.session.execute(statement)


def _settle(mailbox_id: int, message_id: int, values: dict[str, Any]) -> None:
    still = (*_of(mailbox_id, message_id), Unsubscription.way == POST, Unsubscription.state == ASKED)
    statement = update(Unsubscription).where(*still).values(**values, changed_at=func.now())
    db.session.execute(statement.execution_options(synchronize_session=False))


def _of(mailbox_id: int, message_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Unsubscription.mailbox_id == mailbox_id, Unsubscription.message_id == message_id
