"""Asking for a grant, deciding on it, ending it, and keeping a legal one from its owner for a while.

Each verb is one function of the database, which checks the rules, does it or refuses, and writes both down. So a refusal is an
answer (a code; "" is none) and no exception: a transaction that rolled back would forget that somebody tried. What people write
in words is sealed under the master key: the database keeps no sentence about anybody.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import TextClause, text

from webmail.audit import sealing
from webmail.db import db, new_id
from webmail.governance.access.register import GAG_DAYS, MAX_MESSAGES, MAX_WORDS, MIN_WORDS, REASONS, Parts
from webmail.keys import MasterKeys, Place


@dataclass(frozen=True, slots=True)
class Order:
    """What the law demands: the order's reference, who issued it, and the days on which it holds, the last one included."""

    reference: str
    issuer: str
    since: date
    until: date


@dataclass(frozen=True, slots=True)
class Gag:
    """Why the owner may not know yet, and when that is looked at again."""

    words: str
    review_at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for: `messages` of one mailbox with the parts of each. `kind` is one of abuse, for that reason alone."""

    mailbox_id: int
    case_id: int
    reason: str
    words: str
    minutes: int
    messages: Mapping[int, Parts]
    kind: str = ""
    order: Order | None = None
    is_emergency: bool = False
    gag: Gag | None = None


def problems(asked: Request) -> list[str]:
    """What is wrong with a request, as codes, before the database is asked."""
    found = []
    if asked.reason not in REASONS:
        return ["reason"]
    if (asked.reason == "abuse") != bool(asked.kind):
        found.append("kind")
    if not MIN_WORDS <= len(asked.words.strip()) <= MAX_WORDS:
        found.append("words")
    if not 5 <= asked.minutes <= 60:
        found.append("minutes")
    if not 1 <= len(asked.messages) <= MAX_MESSAGES or not all(one.bits for one in asked.messages.values()):
        found.append("scope")
    return found + _legal_problems(asked)


def _legal_problems(asked: Request) -> list[str]:
    found = []
    if (asked.reason == "legal") != (asked.order is not None):
        found.append("order")
    elif asked.order is not None:
        named = (asked.order.reference.strip(), asked.order.issuer.strip())
        if not all(named) or max(map(len, named)) > 300 or asked.order.until < asked.order.since:
            found.append("order")
    if (asked.gag or asked.is_emergency) and asked.reason != "legal":
        found.append("reason")
    if asked.gag is not None:
        latest = datetime.now(UTC) + timedelta(days=GAG_DAYS)
        if not asked.gag.words.strip() or len(asked.gag.words) > MAX_WORDS:
            found.append("gag-words")
        if not datetime.now(UTC) < asked.gag.review_at <= latest:
            found.append("gag-dates")
    return found


def request(master: MasterKeys, asked: Request, *, account_id: int) -> tuple[int, str]:
    """Ask for a grant; its id, and why not: the first code of `problems`, or role, case-closed, reason, scope, own, gone,
    order-over, emergency-gag, unreviewed. An emergency needs no second person and is approved by nobody: it is reviewed first of
    all, and who has one whose review is late makes no other."""
    wrong = problems(asked)
    if wrong:
        return 0, wrong[0]
    grant_id, cause, order = new_id(), REASONS[asked.reason], asked.order
    if asked.gag is not None:
        sealing.public_key(master)  # its entries will be sealed: there must be a key

    def sealed(words: str, field: str) -> bytes:
        return seal_words(master, words, asked.mailbox_id, grant_id, field)

    legal = None
    if order is not None:
        told = json.dumps([order.reference.strip(), order.issuer.strip()], ensure_ascii=False)
        legal = sealed(told, "legal")
    values = {
        "grant": grant_id,
        "account": account_id,
        "mailbox": asked.mailbox_id,
        "case": asked.case_id,
        "reason": asked.reason,
        "kind": asked.kind,
        "purpose": cause.purpose,
        "basis": cause.basis,
        "words": sealed(asked.words.strip(), "words"),
        "minutes": asked.minutes,
        "messages": list(asked.messages),
        "parts": [one.bits for one in asked.messages.values()],
        "emergency": asked.is_emergency,
        "legal": legal,
        "since": order.since if order else None,
        "until": order.until if order else None,
        "gag": sealed(asked.gag.words.strip(), "gag") if asked.gag else None,
        "again": asked.gag.review_at if asked.gag else None,
    }
    return grant_id, _answer(_REQUEST, values)


_REQUEST = text("""
    SELECT access_request(:grant, :account, :mailbox, :case, :reason, :kind, :purpose, :basis, :words, CAST(:minutes AS smallint),
        CAST(:messages AS bigint[]), CAST(:parts AS smallint[]), :emergency, :legal, CAST(:since AS date), CAST(:until AS date),
        :gag, CAST(:again AS timestamptz))""")


def decide(
    master: MasterKeys,
    mailbox_id: int,
    grant_id: int,
    *,
    account_id: int,
    approved: bool,
    words: str = "",
) -> str:
    """Approve a request, or refuse it. Codes: role, none, own-request, own, own-gag, decided, case-closed, stale, words."""
    if len(words) > MAX_WORDS:
        return "words"
    sealed = seal_words(master, words.strip(), mailbox_id, grant_id, "decision_words")
    values = {"grant": grant_id, "account": account_id, "approved": approved}
    return _answer(_DECIDE, values | {"words": sealed if words.strip() else None})


_DECIDE = text("SELECT access_decide(:grant, :account, :approved, :words)")


def close(grant_id: int, *, account_id: int) -> str:
    """End a grant or take a request back. Codes: role, none, not-yours, over."""
    return _answer(_CLOSE, {"grant": grant_id, "account": account_id})


_CLOSE = text("SELECT access_close(:grant, :account)")


def decide_gag(grant_id: int, *, account_id: int, what: str, again_at: datetime | None = None) -> str:
    """`what`: "approve" a gag, "extend" it until `again_at`, or "end" it. When it has ended, the owner is told.

    Codes: role, none, over, not-independent, decided, not-approved, dates.
    """
    return _answer(_GAG, {"grant": grant_id, "account": account_id, "what": what, "again": again_at})


_GAG = text("SELECT access_gag_decide(:grant, :account, :what, CAST(:again AS timestamptz))")


def _answer(statement: TextClause, values: Mapping[str, object]) -> str:
    return str(db.session.execute(statement, dict(values)).scalar_one())


# --- words ---------------------------------------------------------------------------------------------------------------


def seal_words(master: MasterKeys, words: str, mailbox_id: int, grant_id: int, field: str) -> bytes:
    """What a colleague wrote about a grant, sealed for its row."""
    return master.wrap(words.encode(), Place("access_grant", mailbox_id, grant_id, field))


def open_words(master: MasterKeys, sealed: bytes | None, mailbox_id: int, grant_id: int, field: str) -> str:
    """What `seal_words` sealed; "" for None. Raises KeyTrouble, Tampered."""
    if sealed is None:
        return ""
    return master.unwrap(bytes(sealed), Place("access_grant", mailbox_id, grant_id, field)).decode()
