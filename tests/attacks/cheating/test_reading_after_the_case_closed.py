"""The case is closed, and its grant used on; or it is reopened, so that the grant comes back with it. It does not."""

import pytest
from sqlalchemy import text

CLOSE = "UPDATE case_file SET state = 'closed', closed_at = now() WHERE case_id = :case"
REOPEN = "UPDATE case_file SET state = 'open', closed_at = NULL WHERE case_id = :case"


@pytest.mark.parametrize("reopened", [False, True])
def test_P07_P08_a_grant_ends_with_its_case_for_good(superuser, desk, sam, sue, ann, message, reopened):
    case = desk.case()
    grant = desk.granted(sam, sue, ann, [message], case=case)
    superuser.execute(text(CLOSE), {"case": case})
    if reopened:
        superuser.execute(text(REOPEN), {"case": case})
    assert desk.read(sam, grant, message) == "closed"
    assert desk.ask(sam, ann, [message], case=case)[1] == ("" if reopened else "case-closed")
    [ended] = desk.events("access.closed")
    assert ended["facts"]["why"] == "case"
