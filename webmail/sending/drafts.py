"""Drafts: what is being written, sealed, saved again and again, never overwritten by another tab without saying so."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_if_new

from webmail.db import db, new_id
from webmail.errors import Conflict, NotFound, Refused
from webmail.keys import MailboxKeys, Place, new_content_key, seal, unseal
from webmail.mail import messages
from webmail.mail.charsets import clean_name
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import refuse_when_full
from webmail.mail.models import Message
from webmail.sending.models import Draft, DraftAttachment
from webmail.sending.writing_models import DraftUpload

MAX_ATTACHMENTS = 50


@dataclass(frozen=True, slots=True)
class Fields:
    """What was typed, as it was typed, and which message it answers or passes on."""

    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    body: str = ""
    answers: int | None = None
    forwards: int | None = None
    in_reply_to: str | None = None
    """The answered message's id, kept here so that the answer finds its thread when that message is gone."""
    references: tuple[str, ...] = ()
    formatted: bool = False
    """It goes out as HTML, too, with the little formatting of `webmail.mail.markup`."""
    identity: int | None = None
    """The name and address that it is sent under, as `webmail.mail.identities` numbers them; None is the default."""
    reply_to: str = ""
    """Where answers go, if elsewhere: of that identity."""

    @property
    def is_empty(self) -> bool:
        """True when nothing was typed that would be missed."""
        return not any(value.strip() for value in (self.to, self.cc, self.bcc, self.subject, self.body))


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to attach."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that is attached to a draft."""

    number: int
    name: str
    content_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A draft as its author sees it. `revision` goes into the form and comes back with the next save."""

    message_id: int
    revision: int
    saved_at: datetime
    fields: Fields
    attachments: tuple[Attached, ...]


def _place(keys: MailboxKeys, message_id: int, table: str, field: str) -> Place:
    return Place(table, keys.mailbox_id, message_id, field)


def create(
    keys: MailboxKeys, author: tuple[str, str], fields: Fields, message_id: int | None = None
) -> Opened:
    """A new draft in the drafts folder; `author` is the writer's name and address.

    `message_id` was given out with the empty form, so that a form that comes twice makes one draft. Raises Conflict when it did,
    Refused when the mailbox is full.
    """
    message_id, content_key = new_id() if message_id is None else message_id, new_content_key()
    known = select(Message.message_id).where(
        Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id
    )
    if (
        db.session.execute(known).first() is None
    ):  # a form that comes again is told what became of it, full or not
        refuse_when_full(keys.mailbox_id)
    statement = insert_if_new(Message).values(
        mailbox_id=keys.mailbox_id,
        message_id=message_id,
        folder_id=int(Kind.DRAFTS),
        state="draft",
        direction="out",
        size_bytes=0,
        unread=False,
        envelope_from=author[1],
        content_key=keys.wrap_content_key(content_key, message_id),
        summary=_summary(author, fields).seal(content_key, keys.mailbox_id, message_id),
    )
    if db.session.execute(statement.on_conflict_do_nothing().returning(Message.message_id)).scalar() is None:
        return _met(keys, message_id, fields)
    sealed = _seal_fields(keys, message_id, content_key, fields)
    db.session.execute(
        insert(Draft), {"mailbox_id": keys.mailbox_id, "message_id": message_id, "sealed": sealed}
    )
    measure(keys, message_id)
    return load(keys, message_id)


def _met(keys: MailboxKeys, message_id: int, fields: Fields) -> Opened:
    """A save that met another: the same text is saved already (the answer was lost), another is a conflict."""
    try:
        there = load(keys, message_id)
    except NotFound:
        raise Conflict("draft") from None
    if there.fields != fields:
        raise Conflict("draft")
    return there


def load(keys: MailboxKeys, message_id: int) -> Opened:
    """A draft of this mailbox. Raises NotFound."""
    query = select(Draft.revision, Draft.sealed, Draft.saved_at)
    row = db.session.execute(
        query.where(Draft.mailbox_id == keys.mailbox_id, Draft.message_id == message_id)
    ).first()
    if row is None:
        raise NotFound("draft")
    content_key = messages.content_key(keys, message_id)
    told = json.loads(unseal(content_key, row.sealed, _place(keys, message_id, "draft", "sealed")))
    fields = Fields(**told | {"references": tuple(told.get("references", ()))})
    return Opened(
        message_id, row.revision, row.saved_at, fields, tuple(_attached(keys, message_id, content_key))
    )


def lock(mailbox_id: int, message_id: int) -> int | None:
    """Lock a draft until the transaction ends; its revision, None where there is no draft."""
    query = select(Draft.revision).where(Draft.mailbox_id == mailbox_id, Draft.message_id == message_id)
    return db.session.execute(query.with_for_update()).scalar()


def save(
    keys: MailboxKeys, author: tuple[str, str], message_id: int, revision: int, fields: Fields
) -> Opened:
    """Write `fields` over revision `revision` of a draft.

    Raises Conflict when a newer one is there or it was sent, NotFound when there is no such message.
    """
    content_key = messages.content_key(keys, message_id)
    statement = (
        update(Draft)
        .where(
            Draft.mailbox_id == keys.mailbox_id, Draft.message_id == message_id, Draft.revision == revision
        )
        .values(
            revision=revision + 1,
            sealed=_seal_fields(keys, message_id, content_key, fields),
            saved_at=func.now(),
        )
        .returning(Draft.revision)
    )
    if db.session.execute(statement).scalar() is None:
        return _met(keys, message_id, fields)
    summary = _summary(author, fields).seal(content_key, keys.mailbox_id, message_id)
    touch = update(Message).where(Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id)
    db.session.execute(touch.values(summary=summary, received_at=func.now()))
    measure(keys, message_id)
    return load(keys, message_id)


def attach(
    keys: MailboxKeys, message_id: int, uploads: Iterable[Upload], limit_bytes: int
) -> tuple[int, ...]:
    """Attach files to a draft; their numbers. Raises Refused past `limit_bytes` in all, past 50 files, or past the quota: then
    none is."""
    content_key = messages.content_key(keys, message_id)
    there = list(_attached(keys, message_id, content_key))
    number = max((item.number for item in there), default=0)
    total = held = sum(item.size_bytes for item in there)
    rows = []
    for upload in uploads:
        number, total = number + 1, total + len(upload.content)
        told = {"name": _file_name(upload.name), "content_type": _content_type(upload.content_type)}
        description = json.dumps(told).encode()
        rows.append(
            {
                "mailbox_id": keys.mailbox_id,
                "message_id": message_id,
                "number": number,
                "size_bytes": len(upload.content),
                "description": seal(
                    content_key, description, _file_place(keys, message_id, number, "description")
                ),
                "sealed": seal(content_key, upload.content, _file_place(keys, message_id, number, "sealed")),
            }
        )
    refuse_too_much(len(there) + len(rows), total, limit_bytes, number)
    if rows:
        refuse_when_full(keys.mailbox_id, total - held)
        db.session.execute(insert(DraftAttachment), rows)
        measure(keys, message_id)
    return tuple(range(number - len(rows) + 1, number + 1))


def may_attach(uploads: Sequence[Upload], limit_bytes: int) -> None:
    """Raise Refused where `attach` would, for a draft that has no files yet."""
    refuse_too_much(len(uploads), sum(len(item.content) for item in uploads), limit_bytes)


def refuse_too_much(count: int, total: int, limit_bytes: int, number: int = 0) -> None:
    """Raise Refused for more files, or more bytes in them, than one message carries; `number` is the last that was given."""
    if total > limit_bytes:
        raise Refused(f"The files are {total / 1e6:.1f} MB together; {limit_bytes / 1e6:.1f} MB may leave.")
    if count > MAX_ATTACHMENTS or number > 100:
        raise Refused(f"A message carries {MAX_ATTACHMENTS} files at the most.")


def detach(keys: MailboxKeys, message_id: int, numbers: Sequence[int]) -> None:
    """Take files off a draft."""
    mine = (DraftAttachment.mailbox_id == keys.mailbox_id, DraftAttachment.message_id == message_id)
    db.session.execute(delete(DraftAttachment).where(*mine, DraftAttachment.number.in_(numbers)))
    # Forgotten with the file: the same file may be attached anew.
    upload = (DraftUpload.mailbox_id == keys.mailbox_id, DraftUpload.message_id == message_id)
    db.session.execute(delete(DraftUpload).where(*upload, DraftUpload.number.in_(numbers)))
    measure(keys, message_id)


def files(keys: MailboxKeys, message_id: int) -> list[Upload]:
    """The attached files with their content, in order."""
    content_key = messages.content_key(keys, message_id)
    query = select(DraftAttachment).where(
        DraftAttachment.mailbox_id == keys.mailbox_id, DraftAttachment.message_id == message_id
    )
    found = db.session.execute(query.order_by(DraftAttachment.number)).scalars()
    return [_opened_file(keys, message_id, content_key, row) for row in found]


def file(keys: MailboxKeys, message_id: int, number: int) -> Upload:
    """One attached file with its content. Raises NotFound."""
    row = db.session.get(DraftAttachment, (keys.mailbox_id, message_id, number))
    if row is None:
        raise NotFound("file")
    return _opened_file(keys, message_id, messages.content_key(keys, message_id), row)


def _opened_file(keys: MailboxKeys, message_id: int, content_key: bytes, row: DraftAttachment) -> Upload:
    told = json.loads(
        unseal(content_key, row.description, _file_place(keys, message_id, row.number, "description"))
    )
    content = unseal(content_key, row.sealed, _file_place(keys, message_id, row.number, "sealed"))
    return Upload(told["name"], told["content_type"], content)


def discard(keys: MailboxKeys, message_id: int) -> None:
    """Destroy a draft. Raises NotFound."""
    load(keys, message_id)
    messages.act(keys.mailbox_id, [message_id], "delete")


def _attached(keys: MailboxKeys, message_id: int, content_key: bytes) -> Iterable[Attached]:
    query = select(DraftAttachment.number, DraftAttachment.size_bytes, DraftAttachment.description).where(
        DraftAttachment.mailbox_id == keys.mailbox_id, DraftAttachment.message_id == message_id
    )
    for row in db.session.execute(query.order_by(DraftAttachment.number)):
        told = json.loads(
            unseal(content_key, row.description, _file_place(keys, message_id, row.number, "description"))
        )
        yield Attached(row.number, told["name"], told["content_type"], row.size_bytes)


def _file_place(keys: MailboxKeys, message_id: int, number: int, field: str) -> Place:
    return _place(keys, message_id, "draft_attachment", f"{number}.{field}")


def _file_name(name: str) -> str:
    """The last step of a path, without controls, line ends and marks that turn the direction: a name that may leave."""
    shown = clean_name(" ".join(name.split())).replace("\\", "/").rpartition("/")[2].strip(". ")
    stem, dot, ending = shown[:4000].rpartition(".")
    return (shown if len(shown) <= 150 else f"{stem[:130]}{dot}{ending[:19]}"[:150]) or "file"


def _content_type(told: str) -> str:
    return told if told.isascii() and told.isprintable() and told else "application/octet-stream"


def measure(keys: MailboxKeys, message_id: int) -> None:
    """Write down how many files a draft has, and what it takes of its mailbox's quota: without that, drafts are space for free.

    Files that are on their way count with what has come of them.
    """
    mine = (DraftAttachment.mailbox_id == keys.mailbox_id, DraftAttachment.message_id == message_id)
    draft = (Draft.mailbox_id == keys.mailbox_id, Draft.message_id == message_id)
    count = select(func.count()).where(*mine).scalar_subquery()
    held = select(func.coalesce(func.sum(DraftAttachment.size_bytes), 0)).where(*mine).scalar_subquery()
    coming = select(func.coalesce(func.sum(DraftUpload.received_bytes), 0)).where(
        DraftUpload.mailbox_id == keys.mailbox_id,
        DraftUpload.message_id == message_id,
        DraftUpload.number.is_(None),
    )
    typed = select(func.octet_length(Draft.sealed)).where(*draft).scalar_subquery()
    touch = update(Message).where(Message.mailbox_id == keys.mailbox_id, Message.message_id == message_id)
    touch = touch.where(Message.state == "draft").values(
        attachments=count, size_bytes=typed + held + coming.scalar_subquery()
    )
    db.session.execute(touch.execution_options(synchronize_session=False))


def _seal_fields(keys: MailboxKeys, message_id: int, content_key: bytes, fields: Fields) -> bytes:
    return seal(content_key, json.dumps(asdict(fields)).encode(), _place(keys, message_id, "draft", "sealed"))


def _summary(author: tuple[str, str], fields: Fields) -> messages.Summary:
    snippet = " ".join(fields.body[:400].split())[:160]
    return messages.Summary(
        fields.subject, author, (("", fields.to[:200]),) if fields.to.strip() else (), snippet
    )
