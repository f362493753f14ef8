"""Remote pictures of a message: wanted by its reader, fetched by a worker, kept small and sealed under the message's own key.

    want(keys, message_id, view.images)          at the press of "Fetch pictures"; web waits for no network
    state(mailbox_id, message_id)                how many came, what they weighed, what they weigh now
    picture(keys, message_id, number)            one of them, for the frame

A row is (mailbox, message, number), the number as in `View.images`; addresses are in the sealed view and nowhere else. A new
reading of the message may number its pictures anew: `forget` them with the old view.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from webmail import jobs, work
from webmail.db import db, rows
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys, Place, seal, unseal
from webmail.mail import messages
from webmail.mail.models import MessagePicture

MAX_PICTURES = 100
MAX_WAITING = 20
"""Messages of one mailbox that are fetched for at a time: slow hosts make their own reader wait, and not everybody."""
WIDTH, MIN_WIDTH, MAX_WIDTH = 640, 64, 2048
"""Pixels to which pictures are reduced: what a reader gets who says nothing, and what may be said."""
_WAITS = MessagePicture.state == "wanted"


@dataclass(frozen=True, slots=True)
class Pictures:
    """How far it is. `waiting` were not tried yet; `late` were, and will be again within three minutes: nobody need wait for them.
    `original_bytes` is what the fetched ones weighed at their hosts, `bytes` what they weigh now."""

    total: int = 0
    waiting: int = 0
    fetched: int = 0
    failed: int = 0
    original_bytes: int = 0
    bytes: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture as it is kept, and what it weighed before. Width and height in pixels."""

    content_type: str
    content: bytes
    width: int
    height: int
    original_bytes: int


def want(
    keys: MailboxKeys,
    message_id: int,
    images: Iterable[tuple[int, str]],
    *,
    width: int = WIDTH,
    again: bool = False,
) -> Pictures:
    """Have these pictures (number, address) fetched, reduced to `width` pixels; the state after it. Raises NotFound; Refused for
    a press (`again`) while 20 other messages wait for theirs. What only opens a message then wants nothing.

    May be said at any time: nothing is fetched twice. What failed, or is late, is tried anew only if `again`, which is for a
    press: to ask with each opening would tell its host of each opening. Only the first 100 pictures of a message are fetched.
    The addresses are not kept: the worker reads them from the message again.
    """
    messages.content_key(keys, message_id)
    width = max(MIN_WIDTH, min(MAX_WIDTH, width))
    numbers = sorted({number for number, _url in images})[:MAX_PICTURES]
    mine = {"mailbox_id": keys.mailbox_id, "message_id": message_id, "width": width}
    if _others_waiting(keys.mailbox_id, message_id) >= MAX_WAITING:
        if again:
            raise Refused("The pictures of many messages are on their way. Please wait for some of them.")
        return state(keys.mailbox_id, message_id)
    if numbers and _put([mine | {"number": number} for number in numbers], again):
        work.ask(work.FETCH, keys.mailbox_id, message_id)
        jobs.ring_after_commit(jobs.FETCH)
    return state(keys.mailbox_id, message_id)


def _others_waiting(mailbox_id: int, message_id: int) -> int:
    asked = {"mailbox": mailbox_id, "message": message_id, "kind": work.FETCH}
    return int(rows(_WAITING, asked)[0][0])


_WAITING = (
    "SELECT count(*) FROM work WHERE mailbox_id = %(mailbox)s AND kind = %(kind)s AND item_id <> %(message)s"
)


def _put(rows: Sequence[dict[str, int]], again: bool) -> bool:
    """Write rows that are not there yet, or failed; whether there were any."""
    statement = insert(MessagePicture).values(list(rows))
    index = ["mailbox_id", "message_id", "number"]
    if again:
        anew = {"state": "wanted", "problem": "", "width": statement.excluded.width, "changed_at": func.now()}
        in_vain = (MessagePicture.state == "failed") | (_WAITS & (MessagePicture.problem != ""))
        statement = statement.on_conflict_do_update(index_elements=index, set_=anew, where=in_vain)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=index)
    return bool(db.session.execute(statement.returning(MessagePicture.number)).all())


def state(mailbox_id: int, message_id: int) -> Pictures:
    """How far the pictures of a message are; zeros where nobody wanted any. One query."""
    found = rows(_STATE, {"mailbox": mailbox_id, "message": message_id})
    return Pictures(*(int(value) for value in found[0]))


_STATE = """
    SELECT count(*),
           count(*) FILTER (WHERE state = 'wanted' AND problem = ''),
           count(*) FILTER (WHERE state = 'fetched'),
           count(*) FILTER (WHERE state = 'failed'),
           coalesce(sum(original_bytes) FILTER (WHERE state = 'fetched'), 0),
           coalesce(sum(size_bytes) FILTER (WHERE state = 'fetched'), 0),
           count(*) FILTER (WHERE state = 'wanted' AND problem <> '')
      FROM message_picture WHERE mailbox_id = %(mailbox)s AND message_id = %(message)s"""


def picture(keys: MailboxKeys, message_id: int, number: int) -> tuple[str, bytes]:
    """A fetched picture: its type and its bytes. Raises NotFound for one that is not (yet) there."""
    query = select(MessagePicture.content_type, MessagePicture.sealed).where(
        *_of(keys.mailbox_id, message_id), MessagePicture.number == number, MessagePicture.state == "fetched"
    )
    row = db.session.execute(query).first()
    if row is None or row.sealed is None:
        raise NotFound("picture")
    content_key = messages.content_key(keys, message_id)
    return row.content_type, unseal(content_key, row.sealed, _place(keys.mailbox_id, message_id, number))


def forget(mailbox_id: int, message_id: int) -> None:
    """Destroy what was fetched for a message, and want no more. A fetch that runs meanwhile keeps nothing."""
    db.session.execute(delete(MessagePicture).where(*_of(mailbox_id, message_id)))


# --- for the worker ------------------------------------------------------------------------------------------------------


def wanted(mailbox_id: int, message_id: int) -> Mapping[int, int]:
    """Number -> width of what still waits; what was not tried yet comes first."""
    query = (
        select(MessagePicture.number, MessagePicture.width)
        .where(*_of(mailbox_id, message_id), _WAITS)
        .order_by(MessagePicture.problem != "", MessagePicture.number)
    )
    return {row.number: row.width for row in db.session.execute(query)}


def keep(keys: MailboxKeys, message_id: int, kept: Mapping[int, Kept]) -> None:
    """Seal and keep pictures by number, where they are still wanted. Raises NotFound when the message is gone."""
    content_key = messages.content_key(keys, message_id)
    for number, item in kept.items():
        values: dict[str, object] = {
            "state": "fetched",
            "problem": "",
            "original_bytes": item.original_bytes,
            "width": item.width,
            "height": item.height,
            "content_type": item.content_type,
            "size_bytes": len(item.content),
            "sealed": seal(content_key, item.content, _place(keys.mailbox_id, message_id, number)),
        }
        _change(keys.mailbox_id, message_id, [number], values)


def fail(mailbox_id: int, message_id: int, problems: Mapping[int, str], *, for_good: bool = True) -> None:
    """Note by number why pictures did not come, as codes; they are tried again unless it is `for_good`."""
    for problem in sorted(set(problems.values())):
        numbers = [number for number, code in problems.items() if code == problem]
        values: dict[str, object] = {"problem": problem}
        if for_good:
            values["state"] = "failed"
        _change(mailbox_id, message_id, numbers, values)


def _change(mailbox_id: int, message_id: int, numbers: Sequence[int], values: dict[str, object]) -> None:
    still = (
        *_of(mailbox_id, message_id),
        MessagePicture.number.in_(numbers),
        MessagePicture.state == "wanted",
    )
    statement = update(MessagePicture).where(*still).values(**values, changed_at=func.now())
    db.session.execute(statement.execution_options(synchronize_session=False))


def _of(mailbox_id: int, message_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return MessagePicture.mailbox_id == mailbox_id, MessagePicture.message_id == message_id


def _place(mailbox_id: int, message_id: int, number: int) -> Place:
    return Place("message_picture", mailbox_id, message_id, f"sealed {number}")
