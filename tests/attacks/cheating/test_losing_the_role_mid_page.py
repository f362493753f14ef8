"""A colleague's role is taken while his page of a grant is open; then he gets it back. What was granted does not come back."""

from webmail.db import transaction
from webmail.identity import roles


def test_P12_P15_the_grant_ends_with_the_role_for_good(
    browser_of, csrf, owner_app, desk, sam, may_read, message, path, canary
):
    client = browser_of(sam)
    form = {"csrf_token": csrf(client)}
    assert canary in client.post(path(may_read, message, "headers"), data=form).text

    def change(verb):
        with owner_app.app_context(), transaction():
            verb(sam.account_id, "support", by=None, reason="has left", actor="system:tests")

    change(roles.revoke)
    refused = client.post(path(may_read, message, "text"), data=form)
    assert refused.status_code == 403
    assert canary not in refused.text
    assert desk.read(sam, may_read, message) == "role"
    change(roles.grant)
    assert desk.read(sam, may_read, message) == "closed"
    [ended] = desk.events("access.closed")
    assert ended["facts"]["why"] == "role"
