"""A colleague leaves and has his account removed, so that nobody knows any more whose openings they were."""

from webmail import audit
from webmail.db import show_id, transaction


def test_P11_P16_what_he_did_stays_his(
    refused, browser_of, worker, desk, sam, sue, rex, grant, message, superuser, faults
):
    desk.read(sam, grant, message)
    for role in ("owner", "superuser"):
        gone = f"DELETE FROM account WHERE account_id = {sam.account_id}"
        assert "violates foreign key constraint" in refused(role, gone)
    with worker.app_context(), transaction():
        assert audit.forget(sam.account_id) > 0
    assert len(desk.events("audit.forgotten")) == 1
    assert "Sam Lindgren" in browser_of(rex).get(f"/staff/reviews/{show_id(grant)}").text
    held = superuser.exec_driver_sql("SELECT account_id FROM access_act").scalars().all()
    assert held == [sam.account_id]
    assert faults() == []
