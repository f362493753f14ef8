"""Name and contact address, corrected here and at Clerk, with the local Clerk as `dev` runs it: there and back (P01, P23)."""

import json
import re
import time
from urllib.parse import quote, urlsplit

import pytest

from webmail.embedded.clerk.credentials import local_environment
from webmail.embedded.clerk.testing import send

pytestmark = pytest.mark.slow
PATH = "/my-data/correct"


@pytest.fixture
def at_clerk(service):
    """A call to the local Clerk as whoever runs the instance."""
    port = urlsplit(service.clerk).port
    secret = local_environment(port, service.origin, service.data)["CLERK_SECRET_KEY"]
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def ask(method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        answer = send(port, method, f"http://127.0.0.1:{port}{path}", headers, data)
        assert answer.status < 300, answer.text
        return answer.json

    return ask


def name_on(page) -> str:
    return re.search(r'<input id="name"[^>]*value="([^"]*)"', page.text)[1]


def test_P01_name_and_contact_are_corrected_there_and_back(sign_in, service, at_clerk, eventually):
    client = sign_in("ben")
    page = client.get(PATH)
    before = name_on(page)
    [user] = at_clerk("GET", f"/v1/users?email_address[]={quote('ben@mtumail.test')}")
    try:
        done = client.press(page, page.form(action=PATH), name="Benjamin Arthur Okello")
        assert "It shows here in a moment." in done.text
        at = at_clerk("GET", f"/v1/users/{user['id']}")
        assert (at["first_name"], at["last_name"]) == ("Benjamin Arthur", "Okello")
        eventually(
            lambda: name_on(client.get(PATH)) == "Benjamin Arthur Okello", 20, "the new name, from Clerk"
        )
        assert f"{service.clerk}/user" in client.get(PATH).text, "the way to the profile page of Clerk"
        # The local Clerk verifies no addresses; what the real one tells when it has is said by it all the same.
        changed = at | {"updated_at": int(time.time() * 1000)}
        changed["email_addresses"] = [at["email_addresses"][0] | {"email_address": "ben@elsewhere.example"}]
        at_clerk("POST", "/_local/webhooks/send", {"type": "user.updated", "data": changed})
        eventually(lambda: "ben@elsewhere.example" in client.get(PATH).text, 20, "the new contact address")
        assert name_on(client.get(PATH)) == "Benjamin Arthur Okello"
    finally:
        first, _, last = before.rpartition(" ")
        at_clerk("PATCH", f"/v1/users/{user['id']}", {"first_name": first, "last_name": last})
        eventually(lambda: name_on(client.get(PATH)) == before, 20, "everything as it was")
