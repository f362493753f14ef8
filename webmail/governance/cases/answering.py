"""Answers: all who brought a case hear of it by one act. Canned words with placeholders; letters that a worker carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from webmail import audit, jobs
from webmail.db import db, show_id
from webmail.errors import NotFound, Refused
from webmail.governance.cases import acts
from webmail.governance.cases.models import CannedAnswer, CaseAnswer
from webmail.governance.cases.sealing import CaseSecret

PLACEHOLDERS = ("{case}", "{kind}", "{state}")
MAX_CANNED = 200


def answer(
    secret: CaseSecret,
    case_id: int,
    revision: int,
    viewer_id: int,
    words: str,
    answer_id: int,
    *,
    only_new: bool = False,
) -> int:
    """Write to everybody who brought this case and can be answered, each once; to how many. 0 where it was sent before.

    `only_new`: only to those who have heard nothing yet. People here get it in their mailbox, others by mail, and all of them on
    the page of what they reported. Raises Conflict, NotFound, and Refused for no words, and where nobody can be answered.
    """
    words = words.strip()
    if not words:
        raise Refused("An answer has words.")
    acts.refuse_too_long(words)
    known = db.session.execute(select(CaseAnswer.case_id).where(CaseAnswer.answer_id == answer_id)).scalar()
    if known is not None:
        return 0
    acts.begin(case_id, revision, viewer_id)
    sealed = secret.seal(words, "case_answer", answer_id, "words")
    row = {"answer_id": answer_id, "case_id": case_id, "account_id": viewer_id, "words": sealed}
    db.session.execute(insert(CaseAnswer).values(row))
    values = {"answer": answer_id, "case": case_id, "only_new": only_new}
    count = len(db.session.execute(_LETTERS, values).all())
    if not count:
        raise Refused("There is nobody to answer.")
    audit.record("case.answered", f"account:{viewer_id}", case=case_id, answer=answer_id, letters=count)
    jobs.ring_after_commit(jobs.INTAKE)
    return count


# One letter a person, about what came last from him. Who left no address reads it behind his link.
_LETTERS = text("""
    INSERT INTO case_letter (answer_id, item_id, state)
    SELECT DISTINCT ON (coalesce(i.reporter, int8send(i.item_id))) :answer, i.item_id,
           CASE WHEN i.source = 'report' OR i.contact IS NOT NULL THEN 'waiting' ELSE 'shown' END
      FROM case_item i
     WHERE i.case_id = :case AND i.answerable AND (NOT :only_new OR NOT EXISTS (
           SELECT FROM case_item j JOIN case_letter l USING (item_id)
            WHERE j.case_id = i.case_id AND (j.item_id = i.item_id OR j.reporter = i.reporter)))
     ORDER BY coalesce(i.reporter, int8send(i.item_id)), i.arrived_at DESC, i.item_id
 RETURNING item_id""")


def reach(case_id: int) -> tuple[int, int]:
    """How many people an answer would reach, and how many of them have heard nothing yet."""
    row = db.session.execute(_REACH, {"case": case_id}).one()
    return int(row.everybody), int(row.new)


_REACH = text("""
    SELECT count(DISTINCT coalesce(i.reporter, int8send(i.item_id))) AS everybody,
           count(DISTINCT coalesce(i.reporter, int8send(i.item_id))) FILTER (WHERE NOT EXISTS (
               SELECT FROM case_item j JOIN case_letter l USING (item_id)
                WHERE j.case_id = i.case_id AND (j.item_id = i.item_id OR j.reporter = i.reporter))) AS new
      FROM case_item i WHERE i.case_id = :case AND i.answerable""")


# --- canned answers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Canned:
    """Words kept for next time."""

    canned_id: int
    title: str
    words: str


def all_canned() -> Sequence[Canned]:
    """Every canned answer, by title."""
    query = select(CannedAnswer.canned_id, CannedAnswer.title, CannedAnswer.words)
    rows = db.session.execute(query.order_by(CannedAnswer.title).limit(MAX_CANNED))
    return [Canned(*row) for row in rows]


def filled(words: str, case_id: int, kind: str, state: str) -> str:
    """`words` with its placeholders filled; what is no placeholder of ours stays as it is."""
    values: Mapping[str, str] = {"{case}": show_id(case_id), "{kind}": kind, "{state}": state}
    for name, value in values.items():
        words = words.replace(name, value)
    return words


def keep(canned_id: int, title: str, words: str, viewer_id: int) -> None:
    """Keep words under a title, new or over what it held. Raises Refused for a title that another one has."""
    title, words = title.strip(), words.strip()
    if not title or len(title) > 100 or not words or len(words) > acts.MAX_WORDS:
        raise Refused("A canned answer has a title of up to 100 characters, and words.")
    taken = select(CannedAnswer.canned_id).where(
        CannedAnswer.title == title, CannedAnswer.canned_id != canned_id
    )
    if db.session.execute(taken).scalar() is not None:
        raise Refused("Another canned answer has this title.")
    values = {"title": title, "words": words, "changed_by": viewer_id}
    statement = upsert(CannedAnswer).values(canned_id=canned_id, **values)
    changed = values | {"changed_at": db.func.now()}
    db.session.execute(statement.on_conflict_do_update(index_elements=["canned_id"], set_=changed))
    audit.record("case.canned_kept", f"account:{viewer_id}", canned=canned_id)


def drop(canned_id: int, viewer_id: int) -> None:
    """Forget a canned answer. Raises NotFound."""
    gone = delete(CannedAnswer).where(CannedAnswer.canned_id == canned_id).returning(CannedAnswer.canned_id)
    if db.session.execute(gone).scalar() is None:
        raise NotFound("canned answer")
    audit.record("case.canned_dropped", f"account:{viewer_id}", canned=canned_id)
