"""Pages of access: asking, deciding, reading, closing; what they show, and what they never show."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail.db import show_id, transaction
from webmail.identity import stepup

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}


@pytest.fixture
def proved(web_app):
    """Let somebody have proved lately who he is, for one act on one target."""

    def prove(person, act, target, client=None):
        viewer_session = person.user_id.replace("user_", "sess_")
        with web_app.app_context(), transaction() as session:
            session.execute(
                text(
                    "INSERT INTO confirmation (confirmation_id, account_id, session_id, act, target, method)"
                    " VALUES (floor(random() * 1e12)::bigint, :account, :session, :act, :target, 'totp')"
                ),
                {
                    "account": person.account_id,
                    "session": viewer_session,
                    "act": act,
                    "target": stepup.target_hash(act, target),
                },
            )

    return prove


@pytest.fixture
def message(deliver, ann, letter) -> int:
    raw = (
        b"From: Eve <eve@evil.example>\r\nTo: ann@mtumail.test\r\nSubject: CANARY-SUBJECT\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n'
        b'<p>CANARY-TEXT <a href="https://evil.example/take">here</a><img src="https://evil.example/p.gif" width=90 height=90></p>'
        b"<script>alert(1)</script>\r\n--x\r\nContent-Type: text/html\r\n"
        b'Content-Disposition: attachment; filename="CANARY-FILE.html"\r\n\r\n<p>CANARY-CONTENT</p>\r\n--x--\r\n'
    )
    return deliver(ann, raw)


@pytest.fixture
def post(csrf):
    def send(client, path, headers=None, **data):
        return client.post(path, data={"csrf_token": csrf(client)} | data, headers=headers or {})

    return send


@pytest.fixture
def ready(desk, sam, sue, ann, message, proved):
    """A grant of sam's on ann's message, proved and approved."""

    def make(parts=("headers", "text", "attachments")):
        grant = desk.granted(sam, sue, ann, {message: set(parts)})
        proved(sam, "access.open", grant)
        return grant

    return make


def path(grant, message, part):
    return f"/staff/access/{show_id(grant)}/{show_id(message)}/{part}"


CANARIES = {"headers": "CANARY-SUBJECT", "text": "CANARY-TEXT", "attachments": "CANARY-FILE"}


@pytest.mark.parametrize("part", list(CANARIES))
def test_P10_a_part_shows_itself_and_nothing_of_the_others(browser_of, sam, post, ready, message, part):
    client = browser_of(sam)
    answer = post(client, path(ready(), message, part))
    assert answer.status_code == 200
    assert CANARIES[part] in answer.text
    for other, canary in CANARIES.items():
        assert other == part or canary not in answer.text
    assert "CANARY-CONTENT" not in answer.text


def test_P10_what_is_shown_is_kept_nowhere_and_leaves_with_the_grant(browser_of, sam, post, ready, message):
    grant = ready()
    answer = post(browser_of(sam), path(grant, message, "text"))
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "ETag" not in answer.headers
    seconds, where = answer.headers["Refresh"].split("; url=")
    assert 880 <= int(seconds) <= 901
    assert where == f"/staff/access/{show_id(grant)}"
    assert 'class="granted"' in answer.text
    assert "15 minutes left" in answer.text


def test_P06_hostile_mail_is_shown_without_links_pictures_or_scripts(browser_of, sam, post, ready, message):
    grant = ready()
    client = browser_of(sam)
    page = post(client, path(grant, message, "text")).text
    reading = re.search(r'(?s)<div class="reading".*?</div>', page)[0]
    assert "<a" not in reading
    assert "<img" not in reading
    assert "alert(1)" not in page
    assert "https://evil.example/take" in page  # in words, for who has to judge it
    assert 'href="https://evil' not in page
    frame = post(client, path(grant, message, "layout"))
    assert frame.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "img-src" not in frame.headers["Content-Security-Policy"]
    assert "CANARY-TEXT" in frame.text
    assert "<a" not in frame.text.split("<body>")[1]
    assert "<img" not in frame.text
    assert "CANARY-SUBJECT" not in frame.text


def test_P10_an_attachment_is_saved_and_never_shown(browser_of, sam, post, ready, message, desk):
    grant = ready()
    client = browser_of(sam)
    number = re.search(
        r'name="number" value="(\d+)"', post(client, path(grant, message, "attachments")).text
    )[1]
    answer = post(client, path(grant, message, "file"), number=number)
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert b"CANARY-CONTENT" in answer.data
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert [act[2:] for act in desk.acts(grant)] == [("attachments", 0), ("attachments", int(number))]


def test_P10_without_the_bit_no_attachment(browser_of, sam, post, ready, message, desk):
    grant = ready(("headers", "text"))
    client = browser_of(sam)
    for where, data in (
        (path(grant, message, "attachments"), {}),
        (path(grant, message, "file"), {"number": "2"}),
    ):
        answer = post(client, where, **data)
        assert answer.status_code == 403
        assert "CANARY" not in answer.text
    assert desk.acts(grant) == []


def test_P12_opening_asks_who_sits_there_once_for_a_grant_in_each_session(
    browser_of, desk, sam, sue, ann, message, post, proved, web_app, token
):
    grant = desk.granted(sam, sue, ann, [message])
    client = browser_of(sam)
    answer = post(client, path(grant, message, "text"))
    assert answer.status_code == 403
    assert "Please confirm that it is you" in answer.text
    assert "CANARY" not in answer.text
    assert desk.acts(grant) == []
    proved(sam, "access.open", grant)
    assert post(client, path(grant, message, "text")).status_code == 200
    assert post(client, path(grant, message, "headers")).status_code == 200
    other = browser_of(sam)
    other.set_cookie("__session", token(sam.user_id, "sess_anotherone"), domain="mail.localhost")
    assert "Please confirm that it is you" in post(other, path(grant, message, "text")).text


def test_P11_a_look_ahead_or_a_link_opens_nothing(browser_of, desk, sam, ready, message):
    grant = ready()
    client = browser_of(sam)
    for part in ("headers", "text", "attachments", "layout", "file"):
        assert client.get(path(grant, message, part)).status_code == 405
        assert client.head(path(grant, message, part)).status_code == 405
    assert desk.acts(grant) == []


def test_P11_a_range_of_an_attachment_is_all_of_it(browser_of, sam, post, ready, message, desk):
    grant = ready()
    answer = post(browser_of(sam), path(grant, message, "file"), {"Range": "bytes=0-2"}, number="2")
    assert answer.status_code in (200, 404)
    assert len(desk.acts(grant)) == 1


def test_a_grant_that_ended_mid_page_says_so_and_shows_nothing(browser_of, desk, sam, post, ready, message):
    grant = ready()
    client = browser_of(sam)
    assert post(client, path(grant, message, "text")).status_code == 200
    desk.age(grant, "16 minutes")
    answer = post(client, path(grant, message, "headers"))
    assert answer.status_code == 403
    assert "The minutes are over" in answer.text
    assert "CANARY" not in answer.text
    assert "Open:" not in client.get(f"/staff/access/{show_id(grant)}").text


def test_P12_asking_approving_reading_and_closing(
    browser_of, desk, sam, sue, ann, message, post, proved, superuser
):
    case = desk.case("phishing")
    client, lead = browser_of(sam), browser_of(sue)
    traced = post(
        client,
        "/staff/tracing",
        case=show_id(case),
        address="ann@mtumail.test",
        since="2026-01-01",
        until="2099-01-01",
    )
    assert traced.status_code == 422 or "someone@example.org" in traced.text
    fields = {"case": show_id(case), "mailbox": show_id(ann.mailbox_id), "m": show_id(message)}
    form = post(client, "/staff/access/new", **fields)
    assert "someone@example.org" in form.text
    assert "CANARY" not in form.text
    asked = post(
        client,
        "/staff/access/new",
        **fields
        | {
            "step": "ask",
            "reason": "abuse",
            "kind": "phishing",
            "words": "I have to see where its link leads.",
            "minutes": "15",
            f"parts-{show_id(message)}": ["headers", "text"],
        },
    )
    assert asked.status_code == 303
    where = asked.headers["Location"]
    grant = superuser.execute(text("SELECT grant_id FROM access_grant")).scalar_one()
    assert where == f"/staff/access/{show_id(grant)}"
    assert "I have to see where its link leads." in lead.get(where).text
    assert show_id(grant) in lead.get("/staff/access").text
    assert "asks to open mail" in lead.get("/staff").text
    first = post(lead, f"{where}/decide", decision="approve")
    assert "Please confirm that it is you" in first.text
    proved(sue, "access.approve", grant)
    assert post(lead, f"{where}/decide", decision="approve").status_code == 303
    proved(sam, "access.open", grant)
    assert "CANARY-TEXT" in post(client, path(grant, message, "text")).text
    assert "out" not in post(client, path(grant, message, "headers")).headers.get("Location", "")
    assert post(client, f"{where}/close").status_code == 303
    assert post(client, path(grant, message, "text")).status_code == 403


def test_a_request_that_lacks_something_says_what_and_keeps_the_rest(
    browser_of, desk, sam, ann, message, post
):
    fields = {
        "case": show_id(desk.case()),
        "mailbox": show_id(ann.mailbox_id),
        "m": show_id(message),
        "step": "ask",
        "reason": "abuse",
        "kind": "spam",
        "minutes": "15",
        "words": "short",
        f"parts-{show_id(message)}": "text",
    }
    answer = post(browser_of(sam), "/staff/access/new", **fields)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert ">short</textarea>" in answer.text


def test_an_emergency_asks_for_a_proof_first(browser_of, desk, sam, ann, message, post, proved):
    fields = {
        "case": show_id(case := desk.case("legal")),
        "mailbox": show_id(ann.mailbox_id),
        "m": show_id(message),
        "step": "ask",
        "reason": "legal",
        "minutes": "15",
        "words": "A life is in danger, says the order.",
        "reference": "1 AR 9/26",
        "issuer": "Court",
        "legal_from": "2020-01-01",
        "legal_until": "2099-01-01",
        "emergency": "1",
        f"parts-{show_id(message)}": "text",
    }
    client = browser_of(sam)
    assert "Please confirm that it is you" in post(client, "/staff/access/new", **fields).text
    proved(sam, "access.emergency", f"{case}:{ann.mailbox_id}:{[message]}")
    assert post(client, "/staff/access/new", **fields).status_code == 303
    assert desk.events("access.emergency") != []


PAGES = ("/staff/access", "/staff/access/new", "/staff/tracing")


@pytest.mark.parametrize("where", PAGES)
@pytest.mark.parametrize("who", ["ann", "rex", "ada"])
def test_P12_pages_of_access_are_for_whoever_has_the_role(browser_of, where, who, request):
    assert browser_of(request.getfixturevalue(who)).get(where).status_code == 403


@pytest.mark.parametrize("where", PAGES)
def test_strangers_sign_in_first(stranger, where):
    assert stranger.get(where).headers["Location"].startswith("/auth/sign-in")


def test_a_bad_id_is_not_there(browser_of, sam, post, ann):
    client = browser_of(sam)
    assert client.get(f"/staff/access/{show_id(5)}").status_code == 404
    assert client.get("/staff/access/nonsense").status_code == 404
    assert post(client, path(5, 6, "text")).status_code == 404


def test_without_a_token_nothing_opens(browser_of, desk, sam, ready, message):
    grant = ready()
    assert browser_of(sam).post(path(grant, message, "text")).status_code == 403
    assert desk.acts(grant) == []


def test_a_suspended_colleague_is_stopped(browser_of, desk, sam, post, ready, message, superuser, csrf):
    grant = ready()
    client = browser_of(sam)
    data = {"csrf_token": csrf(client)}
    superuser.execute(
        text("UPDATE account SET status = 'suspended' WHERE account_id = :id"), {"id": sam.account_id}
    )
    assert client.post(path(grant, message, "text"), data=data).status_code == 403
    assert desk.acts(grant) == []


def test_by_a_fragment_nothing_more_is_said(browser_of, sam, post, ready, message):
    answer = post(browser_of(sam), path(ready(), message, "text"), HX)
    assert answer.status_code == 200
    assert "CANARY-SUBJECT" not in answer.text


# --- gags ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quiet(browser_of, desk, sam, ann, message, post, superuser):
    """A legal request by the page's own form, which asks that the owner may not know yet."""

    def ask(**more):
        today = datetime.now(UTC).date()
        fields = {
            "case": show_id(desk.case("legal")),
            "mailbox": show_id(ann.mailbox_id),
            "m": show_id(message),
            "step": "ask",
            "reason": "legal",
            "minutes": "15",
            "words": "The court wants the headers of this message.",
            "reference": "12 Js 34/26",
            "issuer": "Court of Springfield",
            "legal_from": today.isoformat(),
            "legal_until": (today + timedelta(days=30)).isoformat(),
            "gag": "1",
            "gag_words": "Section 3 of the order.",
            "gag_until": (today + timedelta(days=30)).isoformat(),
            f"parts-{show_id(message)}": "headers",
        }
        return post(browser_of(sam), "/staff/access/new", **fields | more)

    return ask


def test_P09_the_pages_of_a_gag(
    browser_of, desk, sam, sue, ada, ann, message, post, proved, quiet, superuser
):
    assert quiet().status_code == 303
    grant = superuser.execute(text("SELECT grant_id FROM access_grant")).scalar_one()
    where = f"/staff/access/{show_id(grant)}"
    admin = browser_of(ada)
    assert show_id(grant) in admin.get("/staff").text
    assert "Section 3 of the order." in admin.get("/staff/access/gags").text
    page = admin.get(where).text
    assert "Court of Springfield" in page
    assert "Agree: not yet" in page
    assert "Please confirm that it is you" in post(admin, f"{where}/gag", what="approve").text
    proved(ada, "access.gag", f"{grant}:approve")
    assert post(admin, f"{where}/gag", what="approve").status_code == 303
    assert desk.decide(sue, ann, grant) == ""
    lead = browser_of(sue).get(where).text
    assert "You had a part in this" in lead
    assert "Keep it until then" not in lead
    proved(sam, "access.open", grant)
    assert "CANARY-SUBJECT" in post(browser_of(sam), path(grant, message, "headers")).text
    assert "No opening of your mail stands here." in browser_of(ann).get("/access-log").text
    assert post(admin, f"{where}/gag", what="extend", again="nonsense").status_code == 422
    assert post(admin, f"{where}/gag", what="end").status_code == 303
    assert "because the law demanded it" in browser_of(ann).get("/access-log").text
    assert post(admin, f"{where}/gag", what="end").status_code == 409


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reference": " "}, "A legal order needs its reference"),
        ({"legal_until": "never"}, "A legal order needs its reference"),
        ({"gag_words": ""}, "Say why the owner may not know yet."),
        ({"gag_until": "2099-01-01"}, "within 90 days"),
        ({"gag_until": ""}, "within 90 days"),
        ({"minutes": "many"}, "Choose how many minutes"),
        ({"case": "nonsense"}, "The case is closed"),
    ],
)
def test_P09_a_legal_request_that_lacks_something_says_what(quiet, change, words, superuser):
    answer = quiet(**change)
    assert answer.status_code == 422
    assert words in answer.text
    assert superuser.execute(text("SELECT count(*) FROM access_grant")).scalar_one() == 0


@pytest.mark.parametrize("who", ["sam", "rex", "ann"])
def test_P09_who_may_not_decide_it_sees_no_gags(browser_of, who, request):
    assert browser_of(request.getfixturevalue(who)).get("/staff/access/gags").status_code == 403
