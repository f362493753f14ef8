"""An access is noted as told when it was not, or its row hidden from its owner's page: the page asks for neither."""

from webmail.db import show_id


def test_P11_the_owners_page_shows_it_at_once_and_whatever_was_noted(
    browser_of, connect, desk, sam, ann, ben, grant, message
):
    assert show_id(message) not in browser_of(ann).get("/access-log").text
    desk.read(sam, grant, message)
    first = browser_of(ann).get("/access-log").text
    assert f"/access-log/{show_id(grant)}/1/proof" in first, "while it is still open"
    worker = connect("worker")
    worker.exec_driver_sql("UPDATE access_grant SET told_at = now()")
    worker.commit()
    assert f"/access-log/{show_id(grant)}/1/proof" in browser_of(ann).get("/access-log").text
    assert show_id(grant) not in browser_of(ben).get("/access-log").text
    assert "Sam" not in first, "a colleague is a pseudonym there"


def test_P11_no_process_takes_the_row_or_the_sight_of_it_away(refused, desk, sam, grant, message):
    desk.read(sam, grant, message)
    for role in ("web", "staff", "worker", "inbound"):
        assert "permission denied" in refused(role, "DELETE FROM access_grant")
        assert "permission denied" in refused(
            role, "UPDATE access_grant SET opened_at = NULL, expires_at = NULL"
        )
        assert "must be owner" in refused(
            role, "DROP POLICY access_grant_of_the_named_mailbox ON access_grant"
        )
