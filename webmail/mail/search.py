"""Blind full-text search: the index holds tokens, never words; Postgres' own engine does AND, phrases and exclusion over them.

A message's words become 64-bit tokens under its mailbox's key (`keys.token`), stored as a tsvector with positions and weights:
A subject, B sender, C recipients, D body and attachment names. Beginnings of words in subject and addresses stand in a second
vector, so that `satel` finds `satellite` there. Scripts without blanks (Chinese, Japanese, Thai) are indexed by pairs of letters.
What leaks to someone who holds the database: how often each (unknown) word of one mailbox occurs.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, SQLColumnExpression, bindparam, cast, or_
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR, insert

from webmail.db import db
from webmail.keys import MailboxKeys
from webmail.mail.models import Message, MessageIndex

MAX_WORDS = 15_000  # tsvector positions end at 16,383
MAX_WORD = 64
MAX_TERMS = 20
BEGINNING = range(2, 11)
_WORD = re.compile(r"\w+", re.UNICODE)
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
FIELDS = {"subject": "A", "from": "B", "to": "C", "cc": "C"}
FLAGS = {
    ("is", "unread"): Message.unread,
    ("is", "read"): ~Message.unread,
    ("is", "starred"): Message.starred,
    ("is", "answered"): Message.answered,
    ("has", "attachment"): Message.attachments > 0,
}


def words(value: str) -> Iterator[str]:
    """The searchable words of `value`, folded: case, accents and width do not matter."""
    folded = value.casefold()
    if not folded.isascii():
        spelled = unicodedata.normalize("NFKD", folded)
        folded = "".join(letter for letter in spelled if not unicodedata.combining(letter))
    for match in _WORD.finditer(folded):
        yield from _pieces(match.group())


def _pieces(word: str) -> Iterator[str]:
    if word.isascii():
        yield word[:MAX_WORD]
        return
    at = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > at:
            yield word[at : run.start()][:MAX_WORD]
        letters = run.group()
        yield from (letters[i : i + 2] for i in range(max(1, len(letters) - 1)))
        at = run.end()
    if at < len(word):
        yield word[at:][:MAX_WORD]


@dataclass(frozen=True, slots=True)
class Text:
    """What of a message can be searched."""

    subject: str
    sender: str
    recipients: str
    body: str


def index(keys: MailboxKeys, message_id: int, content: Text) -> None:
    """Write the index row of a message, replacing an older one. Bounded: 15,000 words, the head first."""
    where: dict[str, list[str]] = {}
    position = 0
    for weight, value in (
        ("A", content.subject),
        ("B", content.sender),
        ("C", content.recipients),
        ("D", content.body),
    ):
        position += 2  # a phrase does not run from one field into the next
        for word in words(value):
            if position >= MAX_WORDS:
                break
            places = where.setdefault(word, [])
            position += 1
            if len(places) < 250:
                places.append(f"{position}{weight}")
    vector = " ".join(f"'{keys.token(word)}':{','.join(places)}" for word, places in where.items())
    beginnings = " ".join(
        f"'{keys.token('^' + start)}':{','.join(places)}" for start, places in _beginnings(content).items()
    )
    row = {"mailbox_id": keys.mailbox_id, "message_id": message_id, "words": vector, "beginnings": beginnings}
    statement = insert(MessageIndex).values(
        mailbox_id=bindparam("mailbox_id"),
        message_id=bindparam("message_id"),
        words=cast(bindparam("words"), TSVECTOR),
        beginnings=cast(bindparam("beginnings"), TSVECTOR),
    )
    update = {"words": statement.excluded.words, "beginnings": statement.excluded.beginnings}
    db.session.execute(
        statement.on_conflict_do_update(index_elements=["mailbox_id", "message_id"], set_=update), row
    )


def _beginnings(content: Text) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for place, value in (("1A", content.subject), ("2B", content.sender), ("3C", content.recipients)):
        for start in {
            word[:length] for word in words(value[:4000]) for length in BEGINNING if len(word) > length
        }:
            found.setdefault(start, []).append(place)
    return found


@dataclass(frozen=True, slots=True)
class Query:
    """A search as it was understood: conditions on index and message, and what was not understood."""

    conditions: tuple[SQLColumnExpression[bool], ...]
    ignored: tuple[str, ...]


_TERM = re.compile(r'(-)?(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))', re.IGNORECASE)


def parse(keys: MailboxKeys, typed: str) -> Query:
    """Understand what a person typed: words, "phrases", from: to: cc: subject: is: has:, and - before any of them.

    Terms past the twentieth, and operators that do not exist, are named in `ignored` and searched for as plain words.
    """
    conditions: list[SQLColumnExpression[bool]] = []
    ignored: list[str] = []
    terms = list(_TERM.finditer(typed[:2000]))
    for match in terms[:MAX_TERMS]:
        minus, field, phrase, word = match.groups()
        field = (field or "").lower()
        value = phrase if phrase is not None else word
        flag = FLAGS.get((field, value.lower()))
        if flag is not None:
            conditions.append(~flag if minus else flag)
            continue
        if field and field not in FIELDS:
            ignored.append(f"{field}:")
            value = match.group().lstrip("-")
        condition = _condition(keys, value, FIELDS.get(field, ""), whole=phrase is not None)
        if condition is not None:
            conditions.append(~condition if minus else condition)
    ignored.extend(match.group() for match in terms[MAX_TERMS:])
    return Query(tuple(conditions), tuple(ignored))


def _condition(
    keys: MailboxKeys, value: str, weight: str, *, whole: bool
) -> SQLColumnExpression[bool] | None:
    found = list(words(value))[:MAX_TERMS]
    if not found:
        return None
    mark = f":{weight}" if weight else ""
    exact = MessageIndex.words.op("@@")(
        _tsquery(" <-> ".join(f"'{keys.token(word)}'{mark}" for word in found))
    )
    if whole or len(found) > 1 or len(found[0]) not in BEGINNING:
        return exact
    return or_(exact, MessageIndex.beginnings.op("@@")(_tsquery(f"'{keys.token('^' + found[0])}'{mark}")))


def _tsquery(value: str) -> ColumnElement[str]:
    return cast(value, TSQUERY)
