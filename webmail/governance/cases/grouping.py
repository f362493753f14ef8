"""Putting cases together, and taking them apart: what was brought moves, with what it is about; nothing is lost."""

from collections.abc import Sequence

from sqlalchemy import func, insert, select, text, update

from webmail import audit
from webmail.db import db, new_id
from webmail.errors import NotFound, Refused
from webmail.governance.cases import acts
from webmail.governance.cases.models import CaseFile, CaseItem


def merge(case_id: int, revision: int, viewer_id: int, into_id: int) -> bool:
    """Put everything of a case into another one that is open, and close it as merged. False where that was done before.

    Notes, answers and openings stay where they were written; the other case shows where its parts came from.
    """
    if case_id == into_id:
        raise Refused("A case cannot be merged into itself.")
    # In one order, so that merging two into each other at once ends with one of them refused.
    both = {one: acts.locked(one, viewer_id) for one in sorted((case_id, into_id))}
    if both[case_id].merged_into == into_id:
        return False
    if both[into_id].state == "closed":
        raise Refused("The other case is closed. Open it again first.")
    acts.begin(case_id, revision, viewer_id)
    db.session.execute(
        update(CaseItem)
        .where(CaseItem.case_id == case_id)
        .values(case_id=into_id)
        .execution_options(synchronize_session=False)
    )
    for one in (case_id, into_id):
        _subjects_anew(one)
    db.session.execute(_INTO, {"case": case_id, "into": into_id})
    closed = {"state": "closed", "closed_at": func.now(), "outcome": "merged", "merged_into": into_id}
    statement = update(CaseFile).where(CaseFile.case_id == case_id).values(**closed)
    db.session.execute(statement.execution_options(synchronize_session=False))
    audit.record("case.merged", f"account:{viewer_id}", case=case_id, into=into_id)
    return True


# What the other one is about, and when it is due, is what the two have.
_INTO = text("""
    UPDATE case_file t SET revision = t.revision + 1, due_at = least(t.due_at, f.due_at),
           account_id = coalesce(t.account_id, f.account_id), label = coalesce(t.label, f.label),
           label_item = CASE WHEN t.label IS NULL THEN f.label_item ELSE t.label_item END
      FROM case_file f WHERE f.case_id = :case AND t.case_id = :into""")


def split(case_id: int, revision: int, viewer_id: int, item_ids: Sequence[int]) -> int:
    """Move some of what was brought into a case of its own; the new case's id. Raises Refused for nothing, and for everything."""
    case = acts.locked(case_id, viewer_id)
    mine = (CaseItem.case_id == case_id, CaseItem.item_id.in_(item_ids))
    query = select(CaseItem.item_id, CaseItem.kind, CaseItem.source, CaseItem.label).where(*mine)
    items = db.session.execute(query.order_by(CaseItem.arrived_at, CaseItem.item_id)).all()
    if len(items) != len(set(item_ids)):
        raise NotFound("item")
    if not items or len(items) >= case.items:
        raise Refused("Choose some of what was brought, and leave some.")
    acts.begin(case_id, revision, viewer_id)
    first, new_case = items[0], new_id()
    row = {
        "case_id": new_case,
        "kind": case.kind,
        "source": first.source,
        "opened_by": viewer_id,
        "assigned_to": case.assigned_to,
        "opened_at": case.opened_at,
        "due_at": case.due_at,
        "label": first.label,
        "label_item": first.item_id if first.label else None,
        "account_id": case.account_id,
    }
    db.session.execute(insert(CaseFile).values(row))
    db.session.execute(
        update(CaseItem).where(*mine).values(case_id=new_case).execution_options(synchronize_session=False)
    )
    for one in (case_id, new_case):
        _subjects_anew(one)
    audit.record("case.split", f"account:{viewer_id}", case=case_id, new=new_case, items=len(items))
    return new_case


def _subjects_anew(case_id: int) -> None:
    """A case is about what its parts are about, and nothing else."""
    db.session.execute(_FORGET, {"case": case_id})
    db.session.execute(_SUBJECTS, {"case": case_id})


_FORGET = text("DELETE FROM case_subject WHERE case_id = :case")
_SUBJECTS = text("""
    INSERT INTO case_subject (subject, case_id)
    SELECT DISTINCT u.subject, i.case_id FROM case_item i, unnest(i.subjects) AS u(subject) WHERE i.case_id = :case
        ON CONFLICT DO NOTHING""")
