"""Two admins give each other what each may not give himself, ask, approve and read. They can: and each step is there to be seen."""

from webmail.db import show_id, transaction
from webmail.identity import roles


def test_P11_P16_each_step_is_in_the_log_and_the_owner_sees_the_last(
    browser_of, owner_app, make_person, desk, ada, rex, ann, message, canary
):
    eve = make_person("eve", "Eve Adminson", "admin")
    for who, role, by in ((ada, "support", eve), (eve, "support_lead", ada)):
        with owner_app.app_context(), transaction():
            roles.grant(
                who.account_id, role, by=by.account_id, reason="help", actor=f"account:{by.account_id}"
            )
    grant = desk.granted(ada, eve, ann, [message])
    assert canary.encode() in desk.read(ada, grant, message)
    for kind in ("access.requested", "access.approved", "access.opened"):
        assert len(desk.events(kind)) == 1
    givers = [one["actor"] for one in desk.events("role.granted")][-2:]
    assert givers == [f"account:{eve.account_id}", f"account:{ada.account_id}"]
    assert "1 part" in (page := browser_of(ann).get("/access-log").text) or show_id(message) in page
    desk.close(ada, grant)
    assert show_id(grant) in browser_of(rex).get("/staff/reviews").text
    assert desk.review(eve, ann, grant) == "role"
