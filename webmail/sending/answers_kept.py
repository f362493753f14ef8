"""Answers kept for the next time: words that somebody writes again and again, under a name of theirs, sealed."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from webmail.db import db, new_id, rows
from webmail.errors import NotFound, Refused
from webmail.keys import MailboxKeys, Place
from webmail.mail.charsets import clean_name
from webmail.sending.writing_models import KeptAnswer

MAX_ANSWERS = 100
MAX_NAME = 100  # characters
MAX_WORDS = 20_000


@dataclass(frozen=True, slots=True)
class Name:
    """A kept answer in a list."""

    answer_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A kept answer with its words."""

    answer_id: int
    name: str
    words: str


def names(keys: MailboxKeys) -> list[Name]:
    """What is kept, in the order of the names."""
    found = [
        Name(answer_id, keys.open_value(bytes(sealed), _place(keys, answer_id, "name")).decode())
        for answer_id, sealed in rows(_NAMES, {"mailbox": keys.mailbox_id})
    ]
    return sorted(found, key=lambda one: (one.name.casefold(), one.answer_id))


_NAMES = "SELECT answer_id, name FROM kept_answer WHERE mailbox_id = %(mailbox)s"


def load(keys: MailboxKeys, answer_id: int) -> Answer:
    """One kept answer. Raises NotFound."""
    query = select(KeptAnswer.name, KeptAnswer.words).where(*_mine(keys, answer_id))
    row = db.session.execute(query).first()
    if row is None:
        raise NotFound("kept answer")
    name, words = (
        keys.open_value(sealed, _place(keys, answer_id, field)).decode()
        for field, sealed in (("name", row.name), ("words", row.words))
    )
    return Answer(answer_id, name, words)


def add(keys: MailboxKeys, name: str, words: str) -> int:
    """Keep an answer; its id. Raises Refused when there are 100 already, or as `checked` does."""
    name, words = checked(name, words)
    count = select(func.count()).where(KeptAnswer.mailbox_id == keys.mailbox_id)
    if db.session.execute(count).scalar_one() >= MAX_ANSWERS:
        raise Refused("full")
    answer_id = new_id()
    told = {"mailbox_id": keys.mailbox_id, "answer_id": answer_id, **_sealed(keys, answer_id, name, words)}
    db.session.execute(insert(KeptAnswer), told)
    return answer_id


def change(keys: MailboxKeys, answer_id: int, name: str, words: str) -> None:
    """Write a kept answer anew. Raises NotFound, and Refused as `checked` does."""
    name, words = checked(name, words)
    statement = update(KeptAnswer).where(*_mine(keys, answer_id)).returning(KeptAnswer.answer_id)
    statement = statement.values(**_sealed(keys, answer_id, name, words), changed_at=func.now())
    if db.session.execute(statement.execution_options(synchronize_session=False)).first() is None:
        raise NotFound("kept answer")


def remove(keys: MailboxKeys, answer_id: int) -> None:
    """Destroy a kept answer. Twice is once."""
    statement = delete(KeptAnswer).where(*_mine(keys, answer_id))
    db.session.execute(statement.execution_options(synchronize_session=False))


def checked(name: str, words: str) -> tuple[str, str]:
    """Both as they are kept. Raises Refused with a code: "no-name", "long-name", "no-words", "long-words"."""
    name, words = clean_name(name), words.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    for is_wrong, code in (
        (not name, "no-name"),
        (len(name) > MAX_NAME, "long-name"),
        (not words.strip(), "no-words"),
        (len(words) > MAX_WORDS, "long-words"),
    ):
        if is_wrong:
            raise Refused(code)
    return name, words


def _sealed(keys: MailboxKeys, answer_id: int, name: str, words: str) -> dict[str, bytes]:
    told = {"name": name, "words": words}
    return {
        field: keys.seal_value(value.encode("utf-8", "replace"), _place(keys, answer_id, field))
        for field, value in told.items()
    }


def _place(keys: MailboxKeys, answer_id: int, field: str) -> Place:
    return Place("kept_answer", keys.mailbox_id, answer_id, field)


def _mine(keys: MailboxKeys, answer_id: int) -> tuple[ColumnElement[bool], ...]:
    return (KeptAnswer.mailbox_id == keys.mailbox_id, KeptAnswer.answer_id == answer_id)
