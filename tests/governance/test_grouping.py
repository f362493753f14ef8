"""Cases that are taken apart stay about whom they were about: nobody works on what was brought against himself (P12)."""

import pytest
from sqlalchemy import text

from webmail.db import new_id
from webmail.errors import NotAllowed
from webmail.governance.cases import acts, grouping


@pytest.fixture
def case(desk, superuser, sam):
    """A case about Sam with three things that were brought; (the case, their ids)."""
    number, items = desk.case("harassment"), [new_id() for _one in range(3)]
    superuser.execute(text("UPDATE case_file SET account_id = :a"), {"a": sam.account_id})
    for item in items:
        superuser.execute(
            text(
                "INSERT INTO case_item (item_id, case_id, kind, source) VALUES (:i, :c, 'harassment', 'mail')"
            ),
            {"i": item, "c": number},
        )
    return number, items


def test_P12_what_is_split_off_is_about_the_same_person(desk, superuser, case, sam, sue):
    number, items = case
    with desk.staff():
        made = grouping.split(number, 1, sue.account_id, items[:1])
    rows = superuser.execute(text("SELECT case_id, account_id FROM case_file"))
    about = {row.case_id: row.account_id for row in rows}
    assert about == {number: sam.account_id, made: sam.account_id}
    with desk.staff(), pytest.raises(NotAllowed):
        acts.refuse_about(made, sam.account_id)


def test_P12_whom_it_is_about_does_not_split_himself_out_of_it(desk, superuser, case, sam):
    number, items = case
    with desk.staff(), pytest.raises(NotAllowed):
        grouping.split(number, 1, sam.account_id, items[:2])
    assert superuser.execute(text("SELECT count(*) FROM case_file")).scalar() == 1
