"""The pages of cases: who sees them, what stands on them, what is opened and how tame, and what two at once are told."""

import re

import pytest
from sqlalchemy import text

from webmail.db import show_id

BODY = "Claim your prize at once, dear customer, before the week is over and somebody else has it."


@pytest.fixture
def sam(make_person):
    return make_person("sam", "Sam Lindgren", "support")


@pytest.fixture
def sue(make_person):
    return make_person("sue", "Sue Marchetti", "support_lead")


@pytest.fixture
def reported(browser_of, deliver, letter, ann, csrf):
    """A message of Ann's that she reported; its number as it is shown."""

    def do(person=ann, subject="You have won", body=BODY, kind="phishing", words="He rang me too.", **more):
        message = deliver(person, letter(subject, body + "\r\n", sender="Eve <eve@evil.example>", **more))
        client = browser_of(person)
        answer = client.post(
            f"/report/{show_id(message)}", data={"csrf_token": csrf(client), "kind": kind, "words": words}
        )
        assert answer.status_code == 303
        return show_id(message)

    return do


@pytest.fixture
def case(superuser):
    def one():
        return show_id(
            superuser.execute(
                text("SELECT case_id FROM case_file ORDER BY opened_at DESC LIMIT 1")
            ).scalar_one()
        )

    return one


def fields(page, action):
    """The hidden fields of the form that leads to an address, as a browser would send them."""
    form = re.search(rf'(?s)<form[^>]*action="{re.escape(action)}".*?</form>', page)
    assert form, action
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[0]))


@pytest.fixture
def act(browser_of, sam):
    """Press a button of a case's page."""

    def press(case, what, client=None, page=None, **more):
        client = client or browser_of(sam)
        where = f"/staff/cases/{case}/{what}"
        page = page or client.get(f"/staff/cases/{case}").text
        return client.post(where, data=fields(page, where) | more)

    return press


def test_a_report_stands_in_the_queue_and_on_its_page(browser_of, sam, reported, case):
    reported()
    client = browser_of(sam)
    page = client.get("/staff/cases").text
    assert "eve@evil.example" in page
    assert "You have won" not in page, "no subject, no word of the message"
    page = client.get(f"/staff/cases/{case()}").text
    assert "He rang me too." in page
    assert "You have won" not in page
    assert BODY[:20] not in page
    assert "Ann" not in page, "a reporter is a pseudonym"
    assert "ann@" not in page


def test_two_reports_of_one_campaign_are_one_line(browser_of, sam, reported, ben):
    reported()
    reported(ben)
    page = browser_of(sam).get("/staff/cases").text
    assert len(re.findall(r'<td><a href="/staff/cases/[\w-]{8}"', page)) == 1
    assert "<b>2×</b>" in page


def test_the_whole_way_from_report_to_outcome(browser_of, sam, ann, ben, reported, case, act, superuser):
    message = reported()
    reported(ben)
    number = case()
    assert act(number, "assign", to="me").status_code == 303
    assert act(number, "notes", words="Same gang <b>as</b> last week.").status_code == 303
    assert act(number, "answers", words="Thank you, we look into it.").status_code == 303
    assert act(number, "close", outcome="acted", words="Thank you for telling us.").status_code == 303
    page = browser_of(sam).get(f"/staff/cases/{number}").text
    for words in (
        "Sam Lindgren",
        "Same gang &lt;b&gt;as&lt;/b&gt; last week.",
        "answered 2 people",
        "We acted",
    ):
        assert words in page
    mine = browser_of(ann).get(f"/report/{message}").text
    for words in (
        "You reported this message on",
        "Closed.",
        "we acted on it",
        "Thank you for telling us.",
        "Thank you, we look into it.",
    ):
        assert words in mine
    for words in ("Sam", "gang", "ben@", "Ben"):
        assert words not in mine
    assert "Closed" in browser_of(ann).get("/report").text
    told = (
        superuser.execute(text("SELECT kind FROM audit_event WHERE kind LIKE 'case.%' ORDER BY number"))
        .scalars()
        .all()
    )
    assert told == ["case.opened", "case.taken", "case.noted", "case.answered", "case.closed"]


def test_the_report_of_a_deleted_message_still_tells(browser_of, ann, reported, csrf):
    message = reported()
    client = browser_of(ann)
    client.post(
        "/mail/junk/act", data={"csrf_token": csrf(client), "action": "delete", "confirm": "1", "id": message}
    )
    page = client.get(f"/report/{message}")
    assert page.status_code == 200
    assert "Our staff are working on it." in page.text
    assert "You have won" not in page.text


@pytest.mark.parametrize("part", ["text", "headers", "formatted"])
def test_P07_P11_opening_is_written_down_and_shown_to_the_reporter(
    browser_of, sam, ann, reported, case, superuser, part
):
    message = reported()
    client = browser_of(sam)
    page = client.get(f"/staff/cases/{case()}").text
    where = re.search(r'action="(/staff/cases/items/[\w-]{8}/open)"', page)[1]
    answer = client.post(where, data=fields(page, where) | {"part": part})
    assert answer.status_code == 303
    assert (
        superuser.execute(
            text("SELECT count(*) FROM audit_event WHERE kind = 'case.item_opened'")
        ).scalar_one()
        == 1
    )
    shown = client.get(answer.headers["Location"]).text
    assert ("dear customer" in shown) == (part == "text")
    assert ("You have won" in shown) == (part == "headers")
    assert "opened: " in client.get(f"/staff/cases/{case()}").text
    assert "Our staff opened the message" in browser_of(ann).get(f"/report/{message}").text


def test_P12_an_opening_is_not_for_another_of_the_staff(browser_of, sam, sue, reported, case):
    reported()
    client = browser_of(sam)
    page = client.get(f"/staff/cases/{case()}").text
    where = re.search(r'action="(/staff/cases/items/[\w-]{8}/open)"', page)[1]
    made = client.post(where, data=fields(page, where)).headers["Location"]
    assert client.get(made).status_code == 200
    assert browser_of(sue).get(made).status_code == 404
    assert browser_of(sue).get(made + "/frame").status_code == 404


def test_P06_looking_by_get_opens_nothing(browser_of, sam, reported, case, superuser):
    reported()
    client = browser_of(sam)
    page = client.get(f"/staff/cases/{case()}").text
    where = re.search(r'action="(/staff/cases/items/[\w-]{8}/open)"', page)[1]
    assert client.get(where).status_code == 405
    assert client.get("/staff/openings/AAAAAAAA").status_code == 404
    assert superuser.execute(text("SELECT count(*) FROM case_opening")).scalar_one() == 0


HOSTILE = (
    "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nFrom: eve@evil.example\r\nSubject: x\r\n"
    "Message-ID: <h@evil.example>\r\n\r\n<h1>Dear you</h1><script>alert(1)</script><img src=https://evil.example/p.png onerror=alert(2)>"
    '<a href="https://evil.example/login">Sign in</a><form action=https://evil.example><input name=password></form>'
    '<style>body{background:url(https://evil.example/b)}</style><p style="color:red">Red</p>\r\n'
)


@pytest.mark.parametrize("part", ["text", "formatted"])
def test_P12_hostile_mail_is_tame_for_those_who_open_it(browser_of, sam, ann, deliver, csrf, case, part):
    message = show_id(deliver(ann, HOSTILE.encode()))
    client = browser_of(ann)
    client.post(f"/report/{message}", data={"csrf_token": csrf(client), "kind": "phishing"})
    client = browser_of(sam)
    page = client.get(f"/staff/cases/{case()}").text
    where = re.search(r'action="(/staff/cases/items/[\w-]{8}/open)"', page)[1]
    made = client.post(where, data=fields(page, where) | {"part": part}).headers["Location"]
    answers = [client.get(made)]
    if part == "formatted":
        assert re.search(r'<iframe[^>]*sandbox=""', answers[0].text)
        answers.append(client.get(made + "/frame"))
        policy = answers[-1].headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "img-src" not in policy
    body = answers[-1].text
    assert "Dear you" in body
    for bad in (
        "<script>alert",
        "onerror",
        "<img",
        'href="https://evil',
        "action=https",
        "url(https",
        "password",
    ):
        assert bad not in body
    if part == "text":
        assert "https://evil.example/login" in body, "where it leads is told, in words"


def test_two_at_once_the_second_is_told_and_keeps_what_he_typed(browser_of, sam, sue, reported, case, act):
    reported()
    number = case()
    page = browser_of(sue).get(f"/staff/cases/{number}").text
    assert act(number, "assign", to="me").status_code == 303
    answer = act(number, "answers", client=browser_of(sue), page=page, words="My long answer.")
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert "My long answer." in answer.text


def test_an_act_that_cannot_be_done_says_why(reported, case, act):
    reported()
    number = case()
    answer = act(number, "close", outcome="", words="kept")
    assert answer.status_code == 422
    assert "kept" in answer.text
    assert act(number, "merge", into="nonsense").status_code == 422
    assert act(number, "merge", into=number).status_code == 422
    assert act(number, "notes", words=" ").status_code == 422


def test_filters_paging_and_what_names_no_page(browser_of, sam, reported, ben):
    reported()
    client = browser_of(sam)
    assert (
        "eve@evil.example"
        in client.get("/staff/cases?kind=phishing&who=nobody&subject=eve@evil.example").text
    )
    for nothing in ("?kind=spam", "?who=me", "?overdue=1", "?state=closed", "?subject=x@y.example"):
        assert "No case is like that." in client.get(f"/staff/cases{nothing}").text
    for page in ("?after=x", "?after=1.x", "?after=99999999999999999999.AAAAAAAA"):
        assert client.get(f"/staff/cases{page}").status_code == 404


def test_a_case_by_hand_and_a_canned_answer(browser_of, sam, csrf, case, superuser):
    client = browser_of(sam)
    page = client.get("/staff/cases/new").text
    sent = fields(page, "/staff/cases/new") | {
        "kind": "security",
        "label": "Odd sign-ins",
        "words": "Seen by me.",
    }
    first, again = (client.post("/staff/cases/new", data=sent) for _ in range(2))
    assert first.headers["Location"] == again.headers["Location"]
    assert client.post("/staff/cases/new", data=sent | {"kind": "x"}).status_code == 422
    page = client.get("/staff/answers").text
    sent = fields(page, "/staff/answers") | {"title": "Thanks", "words": "Case {case}: thank you."}
    assert client.post("/staff/answers", data=sent).status_code == 303
    assert "Case {case}" in client.get("/staff/answers").text
    assert "Odd sign-ins" in client.get(f"/staff/cases/{case()}").text


def test_canned_words_are_filled_into_the_form(browser_of, sam, reported, case):
    reported()
    client = browser_of(sam)
    page = client.get("/staff/answers").text
    kept = fields(page, "/staff/answers")
    client.post("/staff/answers", data=kept | {"title": "Thanks", "words": "Case {case}, {kind}: thank you."})
    page = client.get(f"/staff/cases/{case()}?canned={kept['once']}").text
    assert f"Case {case()}, Phishing: thank you.</textarea>" in page


def test_splitting_and_merging_by_pages(browser_of, sam, reported, case, ben, act, superuser):
    reported()
    reported(ben)
    number = case()
    page = browser_of(sam).get(f"/staff/cases/{number}").text
    items = re.findall(r'name="item" value="([\w-]{8})"', page)
    made = act(number, "split", item=items[1]).headers["Location"].rpartition("/")[2]
    answer = act(made, "merge", into=f"http://mail.localhost:8000/staff/cases/{number}")
    assert answer.headers["Location"].endswith(number)
    assert "2 times" in browser_of(sam).get(f"/staff/cases/{number}").text


def test_P12_who_is_not_of_the_staff_sees_nothing(
    browser_of, stranger, ann, make_person, reported, case, superuser
):
    reported()
    number = case()
    rex = make_person("rex", "Rex", "reviewer")
    for client in (browser_of(ann), browser_of(rex)):
        for path in ("/staff/cases", f"/staff/cases/{number}", "/staff/answers", "/staff/cases/new"):
            answer = client.get(path)
            assert answer.status_code in (403, 404), path
            assert "evil" not in answer.text
    assert stranger.get("/staff/cases").status_code == 303


@pytest.mark.parametrize(
    "what", ["assign", "wait", "kind", "close", "reopen", "notes", "answers", "merge", "split"]
)
def test_acts_need_a_token_an_origin_and_a_case(browser_of, sam, reported, case, csrf, what, superuser):
    reported()
    client, where = browser_of(sam), f"/staff/cases/{case()}/{what}"
    data = {"csrf_token": csrf(client), "revision": "1", "once": "AAAAAAAA", "words": "x", "outcome": "acted", "into": "AAAAAAAA", "item": "AAAAAAAA", "kind": "spam", "waiting": "1", "to": "me"}  # fmt: skip
    assert client.post(where, data=data | {"csrf_token": ""}).status_code == 403
    assert client.post(where, data=data, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.get(where).status_code == 405
    assert client.post(f"/staff/cases/AAAAAAAA/{what}", data=data).status_code == 404
    assert superuser.execute(text("SELECT revision FROM case_file")).scalar_one() == 1


def test_the_pages_are_light(browser_of, sam, reported, case, superuser, make_person):
    reported()
    superuser.execute(
        text("""
        INSERT INTO case_file (case_id, kind, source, due_at)
        SELECT n, 'spam', 'report', now() + n * interval '1 minute' FROM generate_series(1, 60) n""")
    )
    client = browser_of(sam)
    headers = {"Accept-Encoding": "br"}
    assert len(client.get("/staff/cases", headers=headers).data) < 5_000
    assert len(client.get(f"/staff/cases/{case()}", headers=headers).data) < 4_000
