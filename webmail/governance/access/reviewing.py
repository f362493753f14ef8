"""Reviews: somebody who had no part in an access says whether it was right. A verdict stays as it was given."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from webmail.db import db, new_id, show_id
from webmail.governance.access.asking import seal_words
from webmail.governance.access.register import MAX_WORDS, MIN_WORDS
from webmail.governance.cases import acts as cases
from webmail.keys import MasterKeys

VERDICTS: Final = ("approve", "flag")


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for a reviewer, and for a look at a gag; `late` is past its time."""

    reviews: int
    emergencies: int
    late: int
    gags_late: int
    requests: int


def waiting() -> Waiting:
    """For the first pages: each figure is an index with a condition, which holds what waits and nothing else."""
    row = db.session.execute(_WAITING).one()
    return Waiting(*row)


_WAITING = text("""
    SELECT (SELECT count(*) FROM access_grant WHERE review_due_at IS NOT NULL AND reviewed_at IS NULL),
           (SELECT count(*) FROM access_grant WHERE review_due_at IS NOT NULL AND reviewed_at IS NULL AND is_emergency),
           (SELECT count(*) FROM access_grant WHERE review_due_at < clock_timestamp() AND reviewed_at IS NULL),
           (SELECT count(*) FROM access_gag WHERE ended_at IS NULL AND review_at < clock_timestamp()),
           (SELECT count(*) FROM access_grant WHERE state = 'requested')""")


def judge(
    master: MasterKeys,
    mailbox_id: int,
    grant_id: int,
    *,
    account_id: int,
    verdict: str,
    words: str,
    case_id: int | None = None,
) -> str:
    """Give the verdict on a grant that is over; why not, as a code. A flag names the case that it opened: `case_id`.

    Codes: verdict, words, role, none, reviewed, not-independent, still-open.
    """
    if verdict not in VERDICTS or (verdict == "flag") != (case_id is not None):
        return "verdict"
    if len(words) > MAX_WORDS or (verdict == "flag" and len(words.strip()) < MIN_WORDS):
        return "words"
    values = {
        "grant": grant_id,
        "account": account_id,
        "verdict": verdict,
        "case": case_id,
        "words": seal_words(master, words.strip(), mailbox_id, grant_id, "review"),
    }
    return str(db.session.execute(_JUDGE, values).scalar_one())


_JUDGE = text("SELECT access_judge(:grant, :account, :verdict, :words, CAST(:case AS bigint))")


def flag(master: MasterKeys, mailbox_id: int, grant_id: int, *, account_id: int, words: str) -> str:
    """Flag an access: not in order. That opens a case for leads and admins, or does neither. Codes as of `judge`."""
    if not MIN_WORDS <= len(words.strip()) <= MAX_WORDS:
        return "words"

    def verdict(case_id: int | None) -> str:
        values = {"account_id": account_id, "verdict": "flag", "words": words, "case_id": case_id}
        return judge(master, mailbox_id, grant_id, **values)  # type: ignore[arg-type]

    try:
        with db.session.begin_nested():
            label = f"A reviewer flagged access {show_id(grant_id)}"
            case_id = cases.open_by_hand(master, account_id, new_id(), "security", label, words.strip())
            if verdict(case_id):
                raise _NotYours
    except _NotYours:
        return verdict(0)  # refused once more, and this time it stays written down
    return ""


class _NotYours(Exception):
    """Takes the case back that would have been opened."""
