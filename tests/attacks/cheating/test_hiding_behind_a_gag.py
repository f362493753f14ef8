"""An access under a gag leaves no entry, or one that can be put there later. It is in its place at once, sealed."""

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from webmail.governance.access.asking import Gag


def test_P09_P11_the_entry_is_in_the_tree_at_once_and_is_what_opens_later(
    desk, sam, sue, ada, ann, message, faults, signed, worker, superuser, browser_of, canary
):
    from workers import owners

    gag = Gag("The order forbids it.", datetime.now(UTC) + timedelta(days=30))
    grant, _none = desk.ask(sam, ann, [message], reason="legal", gag=gag)
    desk.decide(sue, ann, grant)
    desk.gag(ada, grant, "approve")
    desk.read(sam, grant, message)
    [before] = desk.events("access.opened")
    note = signed()
    assert "message" not in before["facts"]
    assert "mailbox" not in before["facts"]
    assert "Legal" not in browser_of(ann).get("/access-log").text
    assert "access.opened" in browser_of(ada).get("/staff/log?kind=access.opened").text
    desk.close(sam, grant)
    desk.gag(ada, grant, "end")
    assert owners.drain() == 1
    [after] = desk.events("access.opened")
    assert after == before, "not a letter of it was put there later"
    body = superuser.execute(text("SELECT body FROM audit_opened")).scalar_one()
    assert json.loads(bytes(body))["message"] == message
    assert faults(note) == []
    assert "legal order" in browser_of(ann).get("/access-log").text.lower()
