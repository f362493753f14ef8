"""What the staff do with a case. Each act is audited, and done once however often its button is pressed.

An act says which revision of the case it was chosen on. Where somebody else was quicker nothing is done, and Conflict says so.
"""

from typing import Any

from sqlalchemy import func, insert, select, text, update

from webmail import audit
from webmail.db import db, new_id
from webmail.errors import Conflict, NotAllowed, NotFound, Refused
from webmail.governance.cases import clocks
from webmail.governance.cases.models import CaseFile, CaseNote
from webmail.governance.cases.sealing import CaseSecret, open_secret
from webmail.governance.cases.taking import Brought, take
from webmail.keys import MasterKeys

OUTCOMES = ("acted", "no_violation", "not_ours", "unclear", "answered", "mistake")
"""How a case can end when somebody closes it."""
MAX_WORDS = 5_000


def assign(case_id: int, revision: int, viewer_id: int, to: int | None) -> bool:
    """Take (`to` is the viewer), give or release (None) a case. False where it was so already. Raises Conflict, NotFound, and
    Refused for a closed case and for somebody who does not work on cases."""
    case = locked(case_id, viewer_id)
    if case.assigned_to == to:
        return False
    _must_be(case, revision)
    _must_be_open(case)
    if to is not None and not db.session.execute(_WORKS, {"account": to}).scalar():
        raise Refused("That person does not work on cases.")
    _change(case_id, assigned_to=to)
    kind = "case.released" if to is None else "case.taken" if to == viewer_id else "case.given"
    audit.record(kind, f"account:{viewer_id}", case=case_id, to=to, before=case.assigned_to)
    return True


_WORKS = text(
    "SELECT EXISTS (SELECT FROM account_role WHERE account_id = :account AND role IN ('support', 'support_lead'))"
)


def colleagues() -> list[tuple[int, str]]:
    """Who may be given a case: (account, name), by name."""
    return [(row.account_id, row.name) for row in db.session.execute(_COLLEAGUES)]


_COLLEAGUES = text("""
    SELECT DISTINCT a.account_id, a.name FROM account a JOIN account_role r USING (account_id)
     WHERE r.role IN ('support', 'support_lead') AND a.status = 'active' ORDER BY a.name, a.account_id LIMIT 200""")


def wait(case_id: int, revision: int, viewer_id: int, waiting: bool) -> bool:
    """Set a case to wait for somebody else, or back to work. What comes in for it sets it back, too."""
    case, state = locked(case_id, viewer_id), "waiting" if waiting else "open"
    if case.state == state:
        return False
    _must_be(case, revision)
    _must_be_open(case)
    _change(case_id, state=state)
    audit.record(f"case.{state}", f"account:{viewer_id}", case=case_id)
    return True


def set_kind(case_id: int, revision: int, viewer_id: int, kind: str) -> bool:
    """Call a case what it is. Its clock counts anew from when it was opened, by the time of that kind."""
    if kind not in clocks.KINDS:
        raise Refused("There is no such kind of case.")
    case = locked(case_id, viewer_id)
    if case.kind == kind:
        return False
    _must_be(case, revision)
    _must_be_open(case)
    _change(case_id, kind=kind, due_at=CaseFile.opened_at + clocks.wants(kind))
    audit.record("case.kind_changed", f"account:{viewer_id}", case=case_id, before=case.kind, to=kind)
    return True


def close(
    secret: CaseSecret, case_id: int, revision: int, viewer_id: int, outcome: str, words: str = ""
) -> bool:
    """End a case. `words` go to those who brought it, beside the outcome: nothing of anybody else belongs into them."""
    if outcome not in OUTCOMES:
        raise Refused("There is no such outcome.")
    refuse_too_long(words)
    case = locked(case_id, viewer_id)
    if case.state == "closed" and case.outcome == outcome:
        return False
    _must_be(case, revision)
    _must_be_open(case)
    sealed = secret.seal(words.strip(), "case_file", case_id, "outcome_words") if words.strip() else None
    _change(case_id, state="closed", closed_at=func.now(), outcome=outcome, outcome_words=sealed)
    audit.record("case.closed", f"account:{viewer_id}", case=case_id, outcome=outcome)
    return True


def reopen(case_id: int, revision: int, viewer_id: int) -> bool:
    """Work on a closed case again: its clock starts anew. Raises Refused for one that was merged into another."""
    case = locked(case_id, viewer_id)
    if case.state != "closed":
        return False
    _must_be(case, revision)
    if case.outcome == "merged":
        raise Refused("It was merged into another case: work goes on there.")
    _change(
        case_id,
        state="open",
        closed_at=None,
        outcome="",
        outcome_words=None,
        due_at=func.now() + clocks.wants(case.kind),
    )
    audit.record("case.reopened", f"account:{viewer_id}", case=case_id)
    return True


def note(secret: CaseSecret, case_id: int, viewer_id: int, words: str, note_id: int) -> bool:
    """Write a note; `note_id` comes with the form, so that pressing twice writes it once. Also of closed cases."""
    words = words.strip()
    if not words:
        raise Refused("A note has words.")
    refuse_too_long(words)
    locked(case_id, viewer_id)
    if db.session.execute(select(CaseNote.note_id).where(CaseNote.note_id == note_id)).scalar() is not None:
        return False
    sealed = secret.seal(words, "case_note", note_id, "words")
    row = {"note_id": note_id, "case_id": case_id, "account_id": viewer_id, "words": sealed}
    db.session.execute(insert(CaseNote).values(row))
    audit.record("case.noted", f"account:{viewer_id}", case=case_id, note=note_id)
    return True


def open_by_hand(master: MasterKeys, viewer_id: int, item_id: int, kind: str, label: str, words: str) -> int:
    """Open a case for what somebody of the staff saw; its id, also when it is pressed twice."""
    if kind not in clocks.KINDS:
        raise Refused("There is no such kind of case.")
    if not label.strip() or len(label) > 200:
        raise Refused("Say in up to 200 characters what it is about.")
    refuse_too_long(words)
    brought = Brought(item_id, kind, "staff", label=label.strip(), account_id=viewer_id, words=words.strip())
    return take(master, open_secret(master), brought, actor=f"account:{viewer_id}")


# --- the lock ------------------------------------------------------------------------------------------------------------


def locked(case_id: int, viewer_id: int) -> CaseFile:
    """The case, held until the transaction ends. Raises NotFound, and NotAllowed for whom it is about."""
    query = select(CaseFile).where(CaseFile.case_id == case_id).with_for_update()
    case = db.session.execute(query.execution_options(populate_existing=True)).scalar()
    if case is None:
        raise NotFound("case")
    db.session.expunge(case)
    refuse_about(case_id, viewer_id)
    return case


def refuse_about(case_id: int, viewer_id: int) -> None:
    """Raise NotAllowed for whom a case is about: the accused, and whose access was flagged."""
    if db.session.execute(_IS_ABOUT, {"case": case_id, "viewer": viewer_id}).scalar():
        raise NotAllowed("This case is about you: a colleague works on it.")


_IS_ABOUT = text("SELECT case_is_about(:case, :viewer)")


def _must_be(case: CaseFile, revision: int) -> None:
    if case.revision != revision:
        raise Conflict("case")


def _must_be_open(case: CaseFile) -> None:
    if case.state == "closed":
        raise Refused("This case is closed. Open it again first.")


def _change(case_id: int, **values: Any) -> None:
    statement = update(CaseFile).where(CaseFile.case_id == case_id)
    values["revision"] = CaseFile.revision + 1
    db.session.execute(statement.values(**values).execution_options(synchronize_session=False))


def begin(case_id: int, revision: int, viewer_id: int) -> CaseFile:
    """Lock an open case for an act of its own module, and count the revision up. Raises as the acts here do."""
    case = locked(case_id, viewer_id)
    _must_be(case, revision)
    _must_be_open(case)
    _change(case_id)
    return case


def refuse_too_long(words: str) -> None:
    """Raise Refused for more than MAX_WORDS characters."""
    if len(words) > MAX_WORDS:
        raise Refused(f"At most {MAX_WORDS} characters, please.")


def fresh_id() -> int:
    """What a form carries so that pressing its button twice does one thing."""
    return new_id()
