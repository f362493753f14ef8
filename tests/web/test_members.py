"""Several people for one mailbox: what each may do on every route, whose doing it was, and how it ends."""

import re
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import text

from webmail.db import show_id, transaction
from webmail.identity import memberships
from webmail.web import boxes
from webmail.web.access import declared_access

MAIL_TABLES = (
    "mailbox", "folder", "message", "message_view", "draft", "draft_attachment", "draft_upload", "submission", "delivery", "scheduled",
    "contact", "sender_identity", "vacation", "kept_answer", "correspondent", "message_picture", "unsubscription", "invitation_answer",
    "report", "mailbox_member", "member_invitation",
)  # fmt: skip

# Pages of the person and of the service; and the way to the home, in the menu.
ABOUT_NO_MAILBOX = {"/", "/privacy", "/auth/sign-out", "/access-log", "/my-data", "/settings/sessions"}


@pytest.fixture
def share(owner_app):
    """Have somebody belong to a mailbox, invited and accepted."""

    def join(owner, who, role):
        local, domain = who.address.split("@")
        with owner_app.app_context():
            with transaction(owner.mailbox_id):
                memberships.invite(owner.mailbox_id, owner.account_id, local, domain, role)
            with transaction(owner.mailbox_id):
                memberships.answer(owner.mailbox_id, who.account_id, accepts=True)

    return join


@pytest.fixture
def team(make_person):
    """The person whose mailbox is shared."""
    return make_person("team", "Team")


@pytest.fixture
def box(team):
    return f"/box/{show_id(team.mailbox_id)}"


def token_of(client, path):
    return re.search(r'name="csrf_token" value="([0-9a-f]{64})"', client.get(path).text)[1]


@pytest.fixture
def post(csrf):
    def send(client, path, follow=False, **fields):
        return client.post(
            path, data={"csrf_token": token_of(client, "/mailboxes")} | fields, follow_redirects=follow
        )

    return send


@pytest.fixture
def rows(superuser):
    """Everything that a mailbox holds, to be compared."""

    def read(person):
        found = {}
        for table in MAIL_TABLES:
            query = text(
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t WHERE mailbox_id = :m"
            )
            found[table] = superuser.execute(query, {"m": person.mailbox_id}).scalar_one()
        return found

    return read


def routes(app, message, contact="AAAAAAAA"):
    """(endpoint, path, method) of every route of mail, as it would be for this message."""
    declared = declared_access(app)
    examples = {
        "folder": "inbox",
        "message": message,
        "number": "1",
        "name": "f.txt",
        "within": "2.1",
        "contact": contact,
        "token": "AAAA",
    }
    for rule in app.url_map.iter_rules():
        if declared[rule.endpoint] == "mail":
            path = re.sub(
                r"<(?:[^:<>]+:)?([^<>]+)>", lambda match: examples.get(match[1], message), rule.rule
            )
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield rule.endpoint, path, method


ACT = {
    "action": "trash", "confirm": "1", "to": "x@example.org", "subject": "s", "body": "b", "send": "1", "name": "N", "addresses": "n@example.org",
    "words": "w", "kind": "spam", "block": "1", "answer": "accepted", "first_day": "2026-12-01", "on": "1", "draft": "AAAAAAAA", "address": "ben@mtumail.test",
    "role": "owner", "which": "always", "choice": "always", "members": "n@example.org", "identity": "new",
}  # fmt: skip


def test_a_reader_reads_and_searches_and_no_route_changes_anything(
    web_app, browser_of, team, ben, share, box, deliver, letter, rows, post
):
    message = show_id(deliver(team, letter("the rota")))
    share(team, ben, "reader")
    client = browser_of(ben)
    before = rows(team)
    assert "the rota" in client.get(f"{box}/").text
    assert "the rota" in client.get(f"{box}/search?q=rota").text
    opened = client.get(f"{box}/mail/inbox/{message}")
    assert opened.status_code == 200
    assert "the rota" in opened.text
    token, seen = token_of(client, "/mailboxes"), 0
    for endpoint, path, method in routes(web_app, message):
        form = {"csrf_token": token, "id": message} | ACT
        answer = client.open(box + path, method=method, data=form if method != "GET" else None)
        assert answer.status_code < 500, (endpoint, answer.status_code)
        assert rows(team) == before, (endpoint, path, method)
        seen += method == "POST"
    assert seen > 20
    refused = client.post(f"{box}/mail/inbox/{message}", data={"csrf_token": token, "action": "trash"})
    assert refused.status_code == 403
    assert "You may read this mailbox" in refused.text
    assert client.get(f"{box}/compose").status_code == 403
    assert f'href="{box}/compose"' not in client.get(f"{box}/").text


def test_a_stranger_finds_nothing_on_any_route_and_changes_nothing(
    web_app, browser_of, team, ben, box, deliver, letter, rows
):
    message = show_id(deliver(team, letter("the rota")))
    client = browser_of(ben)
    before, token = rows(team), token_of(client, "/mailboxes")
    missing = client.get("/box/AAAAAAAA/")
    for endpoint, path, method in routes(web_app, message):
        answer = client.open(
            box + path,
            method=method,
            data={"csrf_token": token, "id": message} | ACT if method != "GET" else None,
        )
        assert answer.status_code == 404, (endpoint, path, method, answer.status_code)
    assert rows(team) == before
    there = client.get(f"{box}/")
    assert (there.status_code, there.text.replace(box, "")) == (
        404,
        missing.text.replace("/box/AAAAAAAA", ""),
    )


def test_who_was_removed_is_a_stranger_at_once(browser_of, team, ben, share, box, post):
    share(team, ben, "writer")
    client, owner = browser_of(ben), browser_of(team)
    assert client.get(f"{box}/").status_code == 200
    done = post(owner, "/members/change", member=show_id(ben.account_id), remove="1", follow=True)
    assert "Removed" in done.text
    assert client.get(f"{box}/").status_code == 404
    told = client.get("/mailboxes").text
    assert "Team ended your membership of team@mtumail.test." in told
    assert '<b class="num">1</b>' in told
    last = re.search(r'name="last" value="(\d+)"', told)[1]
    assert "Put away." in post(client, "/mailboxes/seen", last=last, follow=True).text
    assert "ended your membership" not in client.get("/mailboxes").text


def test_whoever_became_a_reader_writes_no_more(browser_of, team, ben, share, box, post, superuser):
    share(team, ben, "writer")
    client, owner = browser_of(ben), browser_of(team)
    assert client.get(f"{box}/compose").status_code == 200
    post(owner, "/members/change", member=show_id(ben.account_id), role="reader")
    answer = client.post(
        f"{box}/compose",
        data={"csrf_token": token_of(client, "/mailboxes"), "to": "x@example.org", "body": "b", "send": "1"},
    )
    assert answer.status_code == 403
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar_one() == 0
    assert "made you a reader" in client.get("/mailboxes").text


def test_two_people_share_a_mailbox_from_the_invitation_to_the_end(
    browser_of, team, ben, box, post, deliver, letter, superuser
):
    deliver(team, letter("the rota"))
    owner, client = browser_of(team), browser_of(ben)
    assert client.get(f"{box}/").status_code == 404
    assert "Invited." in post(owner, "/members", address="Ben@mtumail.test", role="writer", follow=True).text
    assert client.get(f"{box}/").status_code == 404, "not before he accepts"
    asked = client.get("/mailboxes").text
    assert "team@mtumail.test" in asked
    assert (
        "You belong to this mailbox now."
        in post(
            client, "/mailboxes/answer", mailbox=show_id(team.mailbox_id), answer="accept", follow=True
        ).text
    )
    page = client.get(f"{box}/")
    assert "the rota" in page.text
    assert "accepted your invitation" in owner.get("/mailboxes").text
    sent = client.post(
        f"{box}/compose",
        data={
            "csrf_token": token_of(client, f"{box}/compose"),
            "to": "x@example.org",
            "subject": "s",
            "body": "b",
            "send": "1",
        },
    )
    assert sent.status_code == 303
    assert sent.headers["Location"].startswith(box)
    rows = superuser.execute(text("SELECT mailbox_id, account_id, envelope_from FROM submission")).all()
    assert [tuple(row[:2]) for row in rows] == [(team.mailbox_id, ben.account_id)]
    activity = unescape(owner.get("/activity").text)
    assert re.search(r"<bdi>Ben Okello</bdi><td>Sent a message", activity)
    sure = post(client, "/mailboxes/leave", mailbox=show_id(team.mailbox_id))
    assert "Leave team@mtumail.test?" in unescape(sure.text)
    assert client.get(f"{box}/").status_code == 200, "asked first"
    left = post(client, "/mailboxes/leave", mailbox=show_id(team.mailbox_id), sure="1", follow=True)
    assert "You have left the mailbox." in left.text
    assert client.get(f"{box}/").status_code == 404
    assert "Ben Okello left team@mtumail.test." in owner.get("/mailboxes").text


def test_a_declined_invitation_leads_nowhere(browser_of, team, ben, box, post):
    owner, client = browser_of(team), browser_of(ben)
    post(owner, "/members", address="ben@mtumail.test", role="owner")
    post(client, "/mailboxes/answer", mailbox=show_id(team.mailbox_id), answer="decline")
    assert client.get(f"{box}/").status_code == 404
    assert (
        post(client, "/mailboxes/answer", mailbox=show_id(team.mailbox_id), answer="accept").status_code
        == 404
    )
    assert "declined your invitation" in owner.get("/mailboxes").text


def test_a_withdrawn_invitation_leads_nowhere(browser_of, team, ben, box, post):
    owner, client = browser_of(team), browser_of(ben)
    post(owner, "/members", address="ben@mtumail.test", role="owner")
    post(owner, "/members/change", member=show_id(ben.account_id), withdraw="1")
    assert (
        post(client, "/mailboxes/answer", mailbox=show_id(team.mailbox_id), answer="accept").status_code
        == 404
    )
    assert "took back the invitation" in client.get("/mailboxes").text


@pytest.mark.parametrize(
    ("typed", "role", "words"),
    [
        ("nobody@mtumail.test", "reader", "Nobody here has this address."), ("ben@elsewhere.example", "reader", "Nobody here has this address."),
        ("not an address", "reader", "This is not an address"), ("team@mtumail.test", "reader", "You belong to it already."),
        ("ben@mtumail.test", "boss", "Choose what they may do."),
    ],
)  # fmt: skip
def test_an_invitation_that_is_refused_says_why(browser_of, team, ben, post, typed, role, words):
    answer = post(browser_of(team), "/members", address=typed, role=role)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'role="alert"' in answer.text
    assert f'value="{typed}"' in answer.text


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_members_are_changed_by_owners_alone(browser_of, team, ben, make_person, share, box, post, role):
    cleo = make_person("cleo")
    share(team, ben, role)
    share(team, cleo, "writer")
    client = browser_of(ben)
    page = client.get(f"{box}/members").text
    assert "cleo@mtumail.test" in page
    assert 'name="remove"' not in page
    assert f'action="{box}/members"' not in page
    for path, fields in (
        ("/members", {"address": "ann@mtumail.test", "role": "owner"}),
        ("/members/change", {"member": show_id(cleo.account_id), "role": "owner"}),
        ("/members/change", {"member": show_id(cleo.account_id), "remove": "1"}),
        ("/members/change", {"member": show_id(ben.account_id), "role": "owner"}),
    ):
        answer = post(client, box + path, **fields)
        assert answer.status_code == 403, (path, fields)
        assert "Only an owner" in answer.text


def test_the_last_owner_cannot_leave(browser_of, team, ben, share, post):
    share(team, ben, "writer")
    client = browser_of(team)
    answer = post(client, "/mailboxes/leave", mailbox=show_id(team.mailbox_id), sure="1")
    assert answer.status_code == 409
    assert "make somebody else an owner first" in answer.text
    assert client.get("/").status_code == 200


def test_a_home_that_was_left_means_no_other_mailbox(
    browser_of, team, ben, share, box, post, deliver, letter
):
    """An old tab of the mailbox that one left must not show, or send from, the next one."""
    share(team, ben, "owner")
    share(ben, team, "writer")
    deliver(ben, letter("for ben"))
    client = browser_of(team)
    token = token_of(client, "/compose")
    post(client, "/mailboxes/leave", mailbox=show_id(team.mailbox_id), sure="1")
    assert client.get("/mail/inbox").status_code == 404
    assert (
        client.post(
            "/compose", data={"csrf_token": token, "to": "x@example.org", "body": "b", "send": "1"}
        ).status_code
        == 404
    )
    start = client.get("/")
    assert (start.status_code, start.headers["Location"]) == (303, f"/box/{show_id(ben.mailbox_id)}/")
    assert "for ben" in client.get(start.headers["Location"]).text


# --- two mailboxes in two tabs -------------------------------------------------------------------------------------------


def test_acts_of_two_tabs_do_not_mix(browser_of, team, ben, share, box, deliver, letter, superuser):
    share(team, ben, "writer")
    mine, theirs = deliver(ben, letter("for ben")), deliver(team, letter("for the team"))
    client = browser_of(ben)
    lists = {path: client.get(f"{path}/mail/inbox") for path in ("", box)}
    assert "for the team" not in lists[""].text
    assert "for ben" not in lists[box].text
    assert lists[""].headers["ETag"]
    token = token_of(client, f"{box}/mail/inbox")
    # The message of one mailbox under the address of the other is nothing at all.
    for path, message in (("", theirs), (box, mine)):
        assert client.get(f"{path}/mail/inbox/{show_id(message)}").status_code == 404
        client.post(
            f"{path}/mail/inbox/act", data={"csrf_token": token, "action": "trash", "id": show_id(message)}
        )
    moved = text("SELECT count(*) FROM message WHERE folder_id <> came_from_folder_id")
    assert superuser.execute(moved).scalar_one() == 0
    done = client.post(
        f"{box}/mail/inbox/act", data={"csrf_token": token, "action": "archive", "id": show_id(theirs)}
    )
    assert done.headers["Location"] == f"{box}/mail/inbox"
    # What just happened is said in the tab where it happened, with the way back in that mailbox.
    assert "Archived." not in client.get("/mail/inbox").text
    said = client.get(f"{box}/mail/inbox").text
    assert "Archived." in said
    assert f'action="{box}/mail/inbox/act"' in said


def test_links_within_a_message_stay_in_its_mailbox(browser_of, team, ben, share, box, deliver, letter):
    share(team, ben, "writer")
    message = show_id(deliver(team, letter("for the team")))
    page = browser_of(ben).get(f"{box}/mail/inbox/{message}").text
    links = set(re.findall(r'(?:href|action|formaction|hx-get)="(/[^"]*)"', page))
    outside = {link for link in links if not link.startswith(box) and "/static/" not in link}
    assert outside <= ABOUT_NO_MAILBOX


@pytest.mark.parametrize(
    "path",
    ["/box/short/", "/box/", "/box/AAAAAAA%3D/", "/box/AAAAAAAA/box/AAAAAAAA/", "/box/AAAAAAAA/mail/inbox"],
)
def test_what_names_no_mailbox_of_mine_is_a_404(browser_of, ann, path):
    assert browser_of(ann).get(path).status_code == 404


# --- whose doing it was --------------------------------------------------------------------------------------------------


def test_members_see_who_deleted_and_who_changed_what(browser_of, team, ben, share, box, deliver, letter):
    share(team, ben, "writer")
    messages = [show_id(deliver(team, letter(f"secret {n}"))) for n in range(3)]
    client = browser_of(ben)
    token = token_of(client, f"{box}/mail/inbox")
    done = client.post(f"{box}/mail/inbox/act", data={"csrf_token": token, "action": "trash", "id": messages})
    assert done.status_code == 303
    client.post(
        f"{box}/mail/trash/act",
        data={"csrf_token": token, "action": "delete", "confirm": "1", "id": messages},
    )
    client.post(
        f"{box}/settings/identities",
        data={
            "csrf_token": token,
            "identity": "0",
            "name": "The Team",
            "reply_to": "",
            "signature": "t",
            "default": "1",
        },
    )
    page = unescape(browser_of(team).get("/activity").text)
    acts = re.findall(r"<bdi>([^<]*)</bdi><td>([^<\n]*)", page)
    assert ("Ben Okello", "Deleted 3 messages for ever") in acts
    assert ("Ben Okello", "Changed names and signatures") in acts
    assert sum(words == "Changed names and signatures" for _who, words in acts) == 1
    assert "secret" not in page


def test_what_one_does_in_a_mailbox_of_ones_own_is_written_down_nowhere(
    browser_of, ann, deliver, letter, superuser
):
    message = show_id(deliver(ann, letter()))
    client = browser_of(ann)
    token = token_of(client, "/mail/inbox")
    client.post("/mail/inbox/act", data={"csrf_token": token, "action": "trash", "id": message})
    client.post(
        "/mail/trash/act", data={"csrf_token": token, "action": "delete", "confirm": "1", "id": message}
    )
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar_one() == 0
    assert superuser.execute(text("SELECT count(*) FROM mailbox_activity")).scalar_one() == 0


def test_activity_has_pages(browser_of, team, ben, share, superuser):
    share(team, ben, "writer")
    superuser.execute(
        text(
            "INSERT INTO mailbox_activity (mailbox_id, account_id, kind) SELECT :m, :a, 'sent' FROM generate_series(1, 70)"
        ),
        {"m": team.mailbox_id, "a": ben.account_id},
    )
    client = browser_of(team)
    first = client.get("/activity").text
    older = re.search(r'rel="next" href="([^"]+)"', first)[1]
    rest = client.get(unescape(older)).text
    assert (first.count("Sent a message"), rest.count("Sent a message")) == (50, 20)
    assert "Joined as writer" in rest
    assert 'rel="next"' not in rest


def test_a_reader_leaves_no_trace_of_looking(browser_of, team, ben, share, box, deliver, letter, superuser):
    message = show_id(deliver(team, letter()))
    share(team, ben, "reader")
    client = browser_of(ben)
    client.get(f"{box}/mail/inbox/{message}")
    assert superuser.execute(text("SELECT unread FROM message")).scalars().all() == [True]
    share_writer = browser_of(team)
    share_writer.get(f"/mail/inbox/{message}")
    assert superuser.execute(text("SELECT unread FROM message")).scalars().all() == [False]


def test_one_query_knows_the_person_and_all_mailboxes(browser_of, team, ben, share, web_app, superuser):
    from webmail import db
    from webmail.identity import accounts

    share(team, ben, "reader")
    asked = []

    def ask(sql, values):
        asked.append(sql)
        return db.glance(sql, values)

    with web_app.app_context():
        viewer = accounts.viewer(ben.user_id, "sess_x", (0, -1), mailbox_id=team.mailbox_id, ask=ask)
    assert len(asked) == 1
    assert (viewer.mailbox_id, viewer.role, viewer.address) == (
        team.mailbox_id,
        "reader",
        "team@mtumail.test",
    )
    assert [one.mailbox_id for one in viewer.memberships] == [ben.mailbox_id, team.mailbox_id]
    assert viewer.home_id == ben.mailbox_id


def test_no_page_of_mail_names_a_path_without_its_mailbox():
    """Such a link would lead from a shared mailbox into one's own: paths are written `{{ '/settings'|here }}`."""
    templates = Path(boxes.__file__).parent.parent / "templates"
    wrong = []
    for folder in ("mail", "compose", "contacts", "outbox", "settings", "report", "help", "accounts"):
        for path in sorted((templates / folder).glob("*.html")):
            found = re.findall(
                r'(?:href|action|formaction|hx-get|hx-post)="(/[a-z/-]*)', path.read_text("utf-8")
            )
            wrong += [(path.name, link) for link in found if link not in ABOUT_NO_MAILBOX]
    assert wrong == []
