"""Whoever was acted on takes along the proof that it stands in the log, which names nobody of the staff (P16, P20)."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.audit import make_checkpoint
from webmail.db import show_id, transaction
from webmail.governance.actions import acting
from webmail.governance.actions.acting import Act
from webmail.governance.appeals import appealing


@pytest.fixture
def warned(desk, master, sam, ann) -> int:
    """Sam has warned Ann; the action."""
    act = Act(desk.case("spam"), "warn", ann.account_id, "spam", "You sent the same to two hundred people.")
    with desk.staff():
        number, answer = acting.take(master, act, by=sam.account_id)
    assert answer == "done"
    return number


@pytest.fixture
def sign(worker, master):
    """Sign the log as it is now."""

    def run():
        with worker.app_context(), transaction():
            make_checkpoint(master, "mtumail.test/audit")

    return run


def entry_of(proof: str) -> dict[str, object]:
    return json.loads(base64.b64decode(proof.split("\n")[1].removeprefix("extra ")))


def test_P16_the_proof_of_an_action_is_its_persons(browser_of, ann, ben, sam, warned, sign):
    client, where = browser_of(ann), f"/notices/{show_id(warned)}/proof"
    assert where in client.get("/notices").text
    assert client.get(where).status_code == 503
    sign()
    answer = client.get(where)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    told = entry_of(answer.text)
    entry = json.loads(told["entry"])
    assert (entry["kind"], entry["actor"], entry["facts"]["kind"]) == (
        "action.taken",
        f"action:{warned}",
        "warn",
    )
    assert told["about"]["account"] == ann.account_id
    assert str(sam.account_id) not in json.dumps(told)
    assert browser_of(ben).get(where).status_code == 404
    assert client.get("/notices/AAAAAAAA/proof").status_code == 404


def test_P16_who_it_was_stands_in_the_log_for_those_who_answer_for_it(warned, sam, ann, superuser):
    query = "SELECT s.account_id FROM audit_subject s JOIN audit_event e USING (number) WHERE e.kind = 'action.taken'"
    assert set(superuser.execute(text(query)).scalars()) == {sam.account_id, ann.account_id}


def test_P16_undoing_and_the_answer_to_an_appeal_are_about_the_person_too(
    desk, master, web_app, warned, ann, rex, superuser
):
    with web_app.app_context(), transaction():
        assert (
            appealing.make(master, warned, "It was a school's newsletter.", account_id=ann.account_id) == ""
        )
    with desk.staff():
        [appeal] = appealing.waiting(by=rex.account_id)
        answer = "You are right: those people had asked for it."
        assert (
            appealing.judge(master, appeal.appeal_id, by=rex.account_id, verdict="upheld", answer=answer)
            == ""
        )
    query = "SELECT e.kind, e.actor FROM audit_subject s JOIN audit_event e USING (number) WHERE s.account_id = :a AND e.kind LIKE 'a%'"
    rows = superuser.execute(text(query + " ORDER BY e.number"), {"a": ann.account_id})
    assert [tuple(row) for row in rows] == [
        ("action.taken", f"action:{warned}"),
        ("appeal.made", f"account:{ann.account_id}"),
        ("appeal.upheld", f"action:{warned}"),
        ("action.lifted", f"action:{warned}"),
    ]


def test_P20_what_is_told_later_has_no_proof_before(browser_of, desk, master, ann, sam, sue, sign, superuser):
    act = Act(
        desk.case("spam"), "warn", ann.account_id, "spam", "You sent the same to two hundred people.",
        withheld="The police asked for three days.", withheld_until=_soon(),
    )  # fmt: skip
    with desk.staff():
        number, answer = acting.take(master, act, by=sam.account_id)
    with desk.staff():
        assert (answer, acting.decide(number, by=sue.account_id, approved=True)) == ("proposed", "")
    sign()
    assert browser_of(ann).get(f"/notices/{show_id(number)}/proof").status_code == 404


def _soon():

    return datetime.now(UTC) + timedelta(days=3)
