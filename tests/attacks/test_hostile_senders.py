"""Strangers who send mail to do harm: to conversations, to lists, to the pages that show it."""

import pytest
from sqlalchemy import text

from webmail.db import show_id


@pytest.fixture
def threads(superuser):
    """Conversation of each message, by message id."""
    return lambda: {
        row.message_id: row.thread_id
        for row in superuser.execute(text("SELECT message_id, thread_id FROM message"))
    }


def test_a_stranger_cannot_tie_conversations_together(deliver, ann, letter, threads):
    apart = [
        deliver(ann, letter(f"List {n}", Message_ID=f"<{n}@list.example>"), f"a{n}@list.example")
        for n in range(20)
    ]
    names = " ".join(f"<{n}@list.example>" for n in range(20))
    deliver(ann, letter("Knot", References=names))
    found = threads()
    assert len({found[one] for one in apart}) >= 18


def test_what_comes_late_still_joins_what_it_parents(deliver, ann, letter, threads):
    child = deliver(ann, letter("Re: x", Message_ID="<c@x>", References="<b@x>"))
    grandchild = deliver(ann, letter("Re: x", Message_ID="<d@x>", References="<c@x>"))
    root = deliver(ann, letter("x", Message_ID="<a@x>"))
    between = deliver(ann, letter("Re: x", Message_ID="<b@x>", References="<a@x>"))
    found = threads()
    assert len({found[one] for one in (child, grandchild, root, between)}) == 1


@pytest.mark.parametrize(
    "subject",
    [
        "{{7*7}}",
        "%s %(x)s",
        "{0.__class__}",
        "<img src=x onerror=alert(1)>",
        '"><script>alert(1)</script>',
        "a" * 30_000,
        "\u202egnp.exe",
        "=?utf-7?Q?+ADw-script+AD4-?=",
    ],
)
def test_a_subject_is_text_wherever_it_is_shown(browser_of, deliver, ann, letter, subject):
    message = show_id(
        deliver(ann, letter(subject, sender=f'"{subject[:60].replace(chr(34), "")}" <z@example.org>'))
    )
    client = browser_of(ann)
    for path in (
        "/",
        f"/mail/inbox/{message}",
        f"/compose?reply={message}",
        f"/compose?forward={message}",
        f"/mail/inbox/{message}/source",
    ):
        page = client.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "49" not in page.text.split("<title>")[1].split("</title>")[0]
        assert len(page.text) < 200_000


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a/b/c.txt",
        "..",
        ".",
        "a\\b",
        "x\r\nSet-Cookie: a=b",
        "%2e%2e%2f",
        "\ud800",
        "a" * 5000,
        "?view=1#x",
        "//evil.example/",
        "\u202etxt.exe",
        " ",
    ],
)
def test_the_name_of_a_file_stays_a_name(browser_of, deliver, ann, name):
    shown = name.encode("utf-8", "surrogatepass").replace(b"\r\n", b"\r\n ").replace(b"\\", b"\\\\")
    raw = (
        b"From: z@example.org\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n"
        b'Content-Disposition: attachment; filename="'
        + shown
        + b'"\r\n\r\n<script>alert(1)</script>\r\n--b--\r\n'
    )
    message = show_id(deliver(ann, raw))
    client = browser_of(ann)
    page = client.get(f"/mail/inbox/{message}")
    assert page.status_code == 200
    hrefs = [
        part.split('"', 1)[0]
        for part in page.text.split('href="')
        if part.startswith(f"/mail/inbox/{message}/1/")
    ]
    assert hrefs
    answer = client.get(hrefs[0] + ("&" if "?" in hrefs[0] else "?") + "view=1")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert answer.headers["Content-Security-Policy"] == "sandbox;default-src 'none'"
    assert "a=b" not in answer.headers.get("Set-Cookie", "")
    assert "\n" not in answer.headers["Content-Disposition"]


@pytest.mark.parametrize(
    "query",
    [
        "'",
        "a' | 'b",
        "\\",
        "a:*",
        "a & !b",
        "<->",
        "%",
        "_",
        ":A",
        '"\'"',
        "-",
        "--",
        "is:",
        "from:'x",
        "\0",
        "\ufdfa" * 200,
        "(" * 500,
        "''':*|''",
        "x" * 5000,
    ],
)
def test_search_words_are_words(browser_of, deliver, ann, ben, letter, query):
    deliver(ben, letter("of Ben alone"))
    answer = browser_of(ann).get("/search", query_string={"q": query})
    assert answer.status_code == 200
    assert "of Ben alone" not in answer.text
