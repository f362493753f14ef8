"""Opened messages: conversations, links, trust, paper, permanent addresses; as a page, as a fragment, as a stranger."""

import json
import re

import pytest
from sqlalchemy import text

from webmail.db import show_id

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}
BLOCK = (
    "Return-Path: <{sender}>\r\n"
    "Authentication-Results: mail.example.net;\r\n\tspf=pass smtp.mailfrom=example.org;\r\n\tdkim=none;\r\n\t{dmarc}\r\n"
    "Received: from mx.example.org ([192.0.2.7])\r\n\tby mail.example.net with ESMTPS id 1;\r\n\tMon, 23 Nov 2026 00:00:00 +0000\r\n"
)
PASS = "dmarc=pass header.from=example.org policy.dmarc=reject policy.by-spf=example.org"
FAIL = "dmarc=fail header.from=example.org policy.dmarc={}"


def judged(raw: bytes, dmarc: str = PASS, sender: str = "zoe@example.org") -> bytes:
    """A message with the block before it that inbound writes."""
    return BLOCK.format(sender=sender, dmarc=dmarc).encode() + raw


def html_mail(body: str, subject: str = "Layout", **headers: str) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        f"From: Zoe <zoe@example.org>\r\nTo: ann@mtumail.test\r\nSubject: {subject}\r\n{more}MIME-Version: 1.0\r\n"
        f"Content-Type: text/html; charset=utf-8\r\n\r\n{body}\r\n"
    ).encode()


def without_tokens(page: str) -> str:
    return re.sub(r'(?<=csrf_token" value=")[^"]+', "", page)


def reading(page: str) -> str:
    """The body of the one opened message, without its end tags."""
    return re.search(r'(?s)<div class="reading"[^>]*>(.*?)</div>\s*<', page)[1]


@pytest.fixture
def prefer(superuser):
    def do(**choices: str) -> None:
        query = text("UPDATE account SET preferences = preferences || cast(:more AS jsonb)")
        superuser.execute(query, {"more": json.dumps(choices)})

    return do


@pytest.fixture
def exchange(deliver, ann, letter, superuser):
    """Three letters of one conversation, read before; their shown ids, oldest first."""
    told = {"In_Reply_To": "<plan@example.org>", "References": "<plan@example.org>"}
    raws = [
        letter("Plan", "the very first words\r\n", Message_ID="<plan@example.org>"),
        letter("Re: Plan", "the words between\r\n", **told),
        letter("Re: Plan", "the newest words\r\n\r\nOn Monday, 2 March 2026, z@example.org wrote:\r\n> the very first words\r\n", **told),
    ]  # fmt: skip
    ids = [show_id(deliver(ann, raw)) for raw in raws]
    superuser.execute(text("UPDATE message SET unread = false"))
    return ids


# --- conversations -------------------------------------------------------------------------------------------------------


def test_newest_and_asked_for_are_open_and_the_others_are_one_line(browser_of, ann, exchange):
    page = browser_of(ann).get(f"/mail/inbox/{exchange[0]}").text
    assert page.count("<article") == 3
    assert re.findall(r'<article class="message" id="m-([^"]+)"', page) == exchange, "oldest first"
    assert page.count('<div class="reading"') == 2
    assert f'href="/mail/inbox/{exchange[1]}#m-{exchange[1]}"' in page
    newest = browser_of(ann).get(f"/mail/inbox/{exchange[2]}").text
    assert newest.count('<div class="reading"') == 1


def test_what_is_new_is_open_too_and_then_read(browser_of, ann, exchange, superuser):
    superuser.execute(text("UPDATE message SET unread = true"))
    client = browser_of(ann)
    pages = [client.get(f"/mail/inbox/{exchange[2]}").text for _ in range(2)]
    assert [page.count('<div class="reading"') for page in pages] == [3, 1]
    assert not any(superuser.execute(text("SELECT unread FROM message")).scalars())


def test_all_of_a_conversation_opens_at_one_link(browser_of, ann, exchange):
    client = browser_of(ann)
    href = re.search(r'href="(/mail/inbox/[^"]+\?all=1)"', client.get(f"/mail/inbox/{exchange[2]}").text)[1]
    page = client.get(href).text
    assert page.count('<div class="reading"') == 3
    assert "?all=1" not in page, "there is no more to open"


def test_history_is_folded_and_nothing_of_it_is_lost(browser_of, ann, exchange):
    body = reading(browser_of(ann).get(f"/mail/inbox/{exchange[2]}").text)
    new, fold = body.split("<details>")
    assert "the newest words" in new
    assert "the very first words" not in new
    assert "the very first words" in fold
    assert "<summary>" in fold


def test_what_was_passed_on_is_not_folded(browser_of, deliver, ann, letter):
    quoted = "see below\r\n\r\n---------- Forwarded message ---------\r\nFrom: Carla <c@example.org>\r\nDate: Mon, 2 Mar 2026\r\nSubject: Plan\r\nTo: Zoe\r\n\r\nthe point of it\r\n"
    message = show_id(deliver(ann, letter("Fwd: Plan", quoted)))
    body = reading(browser_of(ann).get(f"/mail/inbox/{message}").text)
    assert "the point of it" in body
    assert "<details>" not in body


def test_flat_shows_each_message_by_itself(browser_of, ann, exchange, prefer):
    prefer(conversations="flat")
    page = browser_of(ann).get(f"/mail/inbox/{exchange[0]}").text
    assert page.count("<article") == 1
    assert "the very first words" in page
    assert "?all=1" not in page


def test_each_open_message_has_its_own_acts(browser_of, ann, exchange):
    page = browser_of(ann).get(f"/mail/inbox/{exchange[0]}?all=1").text
    for shown in exchange:
        article = re.search(rf'(?s)<article class="message" id="m-{shown}".*?</article>', page)[0]
        assert f'action="/mail/inbox/{shown}"' in article
        assert f"/compose?reply={shown}" in article


def test_a_strangers_reference_joins_no_other_mailbox(browser_of, deliver, ann, ben, letter, exchange):
    theirs = show_id(deliver(ben, letter("Re: Plan", "mine\r\n", References="<plan@example.org>")))
    page = browser_of(ben).get(f"/mail/inbox/{theirs}?all=1").text
    assert page.count("<article") == 1
    assert "the very first words" not in page


def test_junk_is_no_part_of_a_conversation(browser_of, deliver, ann, letter, csrf, exchange):
    client = browser_of(ann)
    client.post(f"/mail/inbox/{exchange[1]}", data={"csrf_token": csrf(client), "action": "junk"})
    assert client.get(f"/mail/inbox/{exchange[2]}?all=1").text.count("<article") == 2
    alone = client.get(f"/mail/junk/{exchange[1]}").text
    assert alone.count("<article") == 1
    assert "the words between" in alone


def test_fragment_and_page_agree(browser_of, ann, exchange):
    client = browser_of(ann)
    page, part = (client.get(f"/mail/inbox/{exchange[0]}", headers=headers) for headers in ({}, HX))
    assert "<html" not in part.text
    assert without_tokens(part.text).strip() in without_tokens(page.text)
    assert "HX-Request" in part.headers["Vary"]


@pytest.mark.parametrize("how", ["HEAD", "prefetch", "prefetch;prerender"])
def test_a_guess_at_the_next_page_marks_nothing_as_read(browser_of, deliver, ann, letter, superuser, how):
    message = show_id(deliver(ann, letter()))
    client = browser_of(ann)
    if how == "HEAD":
        client.head(f"/mail/inbox/{message}")
    else:
        client.get(f"/mail/inbox/{message}", headers={"Sec-Purpose": how})
    assert superuser.execute(text("SELECT unread FROM message")).scalar() is True
    client.get(f"/mail/inbox/{message}")
    assert superuser.execute(text("SELECT unread FROM message")).scalar() is False


# --- links ---------------------------------------------------------------------------------------------------------------

TRACKED = "https://news.example.org/click?u=" + "abc123" * 20


def test_links_are_short_and_lead_where_they_say(browser_of, deliver, ann):
    message = show_id(deliver(ann, html_mail(f'<p><a href="{TRACKED}">the offer</a>')))
    client = browser_of(ann)
    page = client.get(f"/mail/inbox/{message}").text
    assert TRACKED not in page
    href = re.search(r'<a href="([^"]+)"[^>]*>the offer', page)[1]
    assert href == f"{message}/l/1"
    answer = client.get(f"/mail/inbox/{href}")
    assert answer.status_code == 303
    assert answer.headers["Location"] == TRACKED
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_full_links_are_the_senders_and_short_ones_still_work(browser_of, deliver, ann, prefer):
    message = show_id(deliver(ann, html_mail(f'<p><a href="{TRACKED}">the offer</a>')))
    client = browser_of(ann)
    client.get(f"/mail/inbox/{message}")
    for setting, full in (("full", True), ("short", False), ("full", True)):
        prefer(links=setting)
        page = client.get(f"/mail/inbox/{message}").text
        assert (f'href="{TRACKED}"' in page) is full
        assert (f'href="{message}/l/1"' in page) is not full
        assert client.get(f"/mail/inbox/{message}/l/1").headers["Location"] == TRACKED


@pytest.mark.parametrize("number", ["0", "2", "99999999999999999999", "-1", "1.0", "x", "9" * 5000])
def test_links_that_are_not_there(browser_of, deliver, ann, number):
    message = show_id(deliver(ann, html_mail(f'<p><a href="{TRACKED}">the offer</a>')))
    assert browser_of(ann).get(f"/mail/inbox/{message}/l/{number}").status_code == 404


def test_links_are_for_their_reader_alone(browser_of, deliver, ann, ben):
    message = show_id(deliver(ann, html_mail(f'<p><a href="{TRACKED}">the offer</a>')))
    answer = browser_of(ben).get(f"/mail/inbox/{message}/l/1")
    assert answer.status_code == 404
    assert "Location" not in answer.headers


# --- trust ---------------------------------------------------------------------------------------------------------------


def trust_of(page: str) -> str:
    return re.search(r'(?s)<div class="trust".*?</div>', page)[0]


def test_a_confirmed_sender_is_one_calm_word(browser_of, deliver, ann, letter):
    for _ in range(2):
        message = show_id(deliver(ann, judged(letter())))
    told = trust_of(browser_of(ann).get(f"/mail/inbox/{message}").text)
    assert "Sender confirmed" in told
    assert 'class="good"' in told
    assert "Be careful" not in told


def test_the_first_message_of_a_sender_says_so_and_the_second_does_not(browser_of, deliver, ann, letter):
    client = browser_of(ann)
    first, second = (show_id(deliver(ann, judged(letter()))) for _ in range(2))
    assert "first" in trust_of(client.get(f"/mail/inbox/{first}").text).lower()
    assert "first" not in trust_of(client.get(f"/mail/inbox/{second}").text).lower()


@pytest.mark.parametrize("policy", ["quarantine", "reject"])
def test_what_its_domain_disowns_is_junk_and_loud(browser_of, deliver, ann, letter, policy):
    message = show_id(deliver(ann, judged(letter(), FAIL.format(policy))))
    client = browser_of(ann)
    assert client.get(f"/mail/inbox/{message}").status_code == 404
    told = trust_of(client.get(f"/mail/junk/{message}").text)
    assert "Sender confirmed" not in told
    assert 'role="note"' in told


def test_a_domain_that_asks_for_nothing_is_not_junked(browser_of, deliver, ann, letter):
    message = show_id(deliver(ann, judged(letter(), FAIL.format("none"))))
    assert browser_of(ann).get(f"/mail/inbox/{message}").status_code == 200


@pytest.mark.parametrize("outer", [True, False], ids=["below ours", "with none of ours"])
def test_a_forged_block_is_not_believed(browser_of, deliver, ann, letter, outer):
    """A stranger's own block says that all is well; ours, or nothing, stands above it."""
    forged = judged(letter())
    raw = judged(forged, "dmarc=none") if outer else b"X-First: 1\r\n" + forged
    message = show_id(deliver(ann, raw.replace(b"spf=pass", b"spf=none", 1) if outer else raw))
    told = trust_of(browser_of(ann).get(f"/mail/inbox/{message}").text)
    assert "Sender confirmed" not in told


def test_a_forged_failure_does_not_send_a_message_to_junk(browser_of, deliver, ann, letter):
    raw = judged(judged(letter(), FAIL.format("reject")))
    message = show_id(deliver(ann, raw))
    assert browser_of(ann).get(f"/mail/inbox/{message}").status_code == 200


def test_what_one_sends_is_not_judged(browser_of, ann, csrf):
    client = browser_of(ann)
    fields = {
        "csrf_token": csrf(client),
        "to": "zoe@example.org",
        "subject": "mine",
        "body": "words",
        "send": "1",
    }
    assert client.post("/compose", data=fields).status_code == 303
    href = re.search(r'class="subject" href="([^"]+)"', client.get("/mail/sent").text)[1]
    page = client.get(href).text
    assert "words" in reading(page)
    assert 'class="trust"' not in page
    assert "/report/" not in page
    assert "/block" not in page


# --- on paper, and addresses that stay -----------------------------------------------------------------------------------


def test_paper_has_whole_addresses_and_no_frame(browser_of, deliver, ann):
    raw = html_mail(f'<p><a href="{TRACKED}">the offer</a><p>Yours', Cc="Ben Okello <ben@elsewhere.example>")
    message = show_id(deliver(ann, raw))
    page = browser_of(ann).get(f"/mail/inbox/{message}/print").text
    assert TRACKED in page
    assert "/l/1" not in page
    for words in (
        "Zoe &lt;zoe@example.org&gt;",
        "ann@mtumail.test",
        "Ben Okello &lt;ben@elsewhere.example&gt;",
    ):
        assert words in page
    for absent in ("<nav", "<header", "<form", "<iframe", "<details"):
        assert absent not in page


def test_paper_changes_nothing(browser_of, deliver, ann, superuser):
    message = show_id(deliver(ann, html_mail("<p>x")))
    before = superuser.execute(text("SELECT * FROM message")).all()
    views = superuser.execute(text("SELECT * FROM message_view")).all()
    browser_of(ann).get(f"/mail/inbox/{message}/print")
    assert superuser.execute(text("SELECT * FROM message")).all() == before
    assert superuser.execute(text("SELECT * FROM message_view")).all() == views


def test_paper_folds_nothing(browser_of, ann, exchange):
    page = browser_of(ann).get(f"/mail/inbox/{exchange[2]}/print").text
    assert "the very first words" in page
    assert "<details" not in page


def test_a_permanent_address_follows_its_message(browser_of, deliver, ann, letter, csrf):
    message = show_id(deliver(ann, letter()))
    client = browser_of(ann)
    assert client.get(f"/m/{message}").headers["Location"].endswith(f"/mail/inbox/{message}")
    client.post(f"/mail/inbox/{message}", data={"csrf_token": csrf(client), "action": "archive"})
    answer = client.get(f"/m/{message}")
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith(f"/mail/archive/{message}")


# --- the questions that every view answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/mail/inbox/{}", "/mail/inbox/{}/print", "/m/{}"])
def test_a_stranger_hears_what_the_absent_hear(browser_of, stranger, deliver, ann, ben, letter, path):
    message = show_id(deliver(ann, letter("not for ben")))
    client = browser_of(ben)
    answers = [client.get(path.format(shown)) for shown in (message, "AAAAAAAA")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert without_tokens(answers[0].text) == without_tokens(answers[1].text)
    out = stranger.get(path.format(message))
    assert out.status_code == 303
    assert out.headers["Location"].startswith("/auth/sign-in")


@pytest.mark.parametrize("path", ["/mail/inbox/{}/print", "/m/{}"])
def test_wrong_methods_are_refused(browser_of, deliver, ann, letter, csrf, path):
    message = show_id(deliver(ann, letter()))
    client = browser_of(ann)
    answer = client.post(path.format(message), data={"csrf_token": csrf(client)})
    assert answer.status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/mail/sent/{}/print", "/mail/nowhere/{}/print", "/mail/inbox/short/print", "/m/short", "/m/{}x", "/mail/inbox/{}/print/1"],
)  # fmt: skip
def test_addresses_that_name_nothing(browser_of, deliver, ann, letter, path):
    message = show_id(deliver(ann, letter()))
    assert browser_of(ann).get(path.format(message)).status_code == 404


# --- beginnings ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def begin(browser_of, ann, csrf):
    """Press a button of an opened message that leads to the composer; what it shows."""

    def press(message: str, action: str):
        client = browser_of(ann)
        answer = client.post(f"/mail/inbox/{message}", data={"csrf_token": csrf(client), "action": action})
        assert answer.status_code == 303
        assert "/compose?draft=" in answer.headers["Location"]
        return client.get(answer.headers["Location"]).text

    return press


def test_edit_as_new_takes_text_and_people(deliver, ann, letter, begin):
    message = show_id(deliver(ann, letter("Again & again", "the same words\r\n", Cc="ben@elsewhere.example")))
    page = begin(message, "again")
    assert 'value="Again &amp; again"' in page
    assert "the same words" in page
    assert 'value="ann@mtumail.test"' in page
    assert "ben@elsewhere.example" in page


def test_forwarding_whole_attaches_the_message_as_it_came(deliver, ann, letter, begin, browser_of):
    message = show_id(deliver(ann, letter("The original", "word for word\r\n")))
    page = begin(message, "forward-whole")
    assert ".eml" in page
    assert "Fwd: The original" in page


@pytest.mark.parametrize("action", ["again", "forward-whole"])
def test_a_stranger_begins_nothing(browser_of, deliver, ann, ben, letter, csrf, superuser, action):
    message = show_id(deliver(ann, letter()))
    client = browser_of(ben)
    answer = client.post(f"/mail/inbox/{message}", data={"csrf_token": csrf(client), "action": action})
    assert answer.status_code == 404
    assert client.post(f"/mail/inbox/{message}", data={"action": action}).status_code == 403
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 1
