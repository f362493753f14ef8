"""A reviewer flags an access. Whose it was, and who approved it, take the case that this opened upon themselves, and close it."""

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.errors import NotAllowed
from webmail.governance.cases import acts
from webmail.governance.cases.sealing import open_secret


def test_P16_whose_access_was_flagged_does_not_work_on_that_case(
    desk, make_person, browser_of, sam, sue, rex, ann, grant, message, superuser
):
    desk.read(sam, grant, message)
    desk.close(sam, grant)
    assert desk.review(rex, ann, grant, "flag", "Nobody had reported this message.") == ""
    case = superuser.execute(text("SELECT case_id FROM access_review")).scalar_one()
    for who in (sam, sue):
        assert browser_of(who).get(f"/staff/cases/{show_id(case)}").status_code == 403
        with pytest.raises(NotAllowed, match="about you"), desk.staff():
            acts.close(open_secret(desk.master), case, 1, who.account_id, "mistake")
    other = make_person("tom", "Tom", "support_lead")
    with desk.staff():
        assert acts.close(open_secret(desk.master), case, 1, other.account_id, "acted")
