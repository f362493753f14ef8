"""A holder of a grant calls the owner's own addresses for the message: source, print, preview, thumbnail, download, answer."""

from webmail.db import show_id

PAGES = (
    "/mail/inbox/{m}",
    "/mail/inbox/{m}/formatted",
    "/mail/inbox/{m}/headers",
    "/mail/inbox/{m}/source",
    "/mail/inbox/{m}/message.eml",
    "/mail/inbox/{m}/print",
    "/mail/inbox/{m}/2",
    "/mail/inbox/{m}/2/preview",
    "/mail/inbox/{m}/2/thumbnail",
    "/mail/inbox/{m}/files.zip",
    "/m/{m}",
    "/report/{m}",
    "/compose?reply={m}",
    "/compose?forward={m}",
    "/compose?draft={m}",
)


def test_P06_a_grant_is_no_way_into_them(browser_of, sam, may_read, desk, message, canary):
    assert isinstance(desk.read(sam, may_read, message), bytes)
    client = browser_of(sam)
    for where in PAGES:
        answer = client.get(where.format(m=show_id(message)))
        assert canary not in answer.text, where
        assert answer.status_code in (200, 302, 303, 404), where
        assert answer.status_code == 404 or where.startswith("/compose") or answer.status_code in (302, 303)


def test_P06_the_owner_gets_them(browser_of, ann, message, canary):
    """So that the test above can fail."""
    client = browser_of(ann)
    for where in ("/mail/inbox/{m}", "/mail/inbox/{m}/source", "/mail/inbox/{m}/message.eml"):
        assert canary in client.get(where.format(m=show_id(message))).text
