"""The pages of contacts: looking through, keeping, groups, files, acts; for their owner alone, without JavaScript."""

import io
import re
from html import unescape

import pytest

from webmail.db import show_id
from webmail.mail import contacts, vcard
from webmail.mail.addresses import parse_recipients
from webmail.mail.contacts import Details

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def client(browser_of, ann):
    return browser_of(ann)


@pytest.fixture
def run(opened, ann):
    return lambda verb, *values, **more: opened(ann, lambda keys: verb(keys, *values, **more))


@pytest.fixture
def post(client, csrf):
    """Send a form as the page would, and follow where it leads."""

    def send(path, follow=True, **fields):
        return client.post(path, data={"csrf_token": csrf(client)} | fields, follow_redirects=follow)

    return send


@pytest.fixture
def zoe(run):
    return run(
        contacts.add,
        Details("Zoë Ñandú", ("zoe@example.org", "z@work.example"), ("+44 20",), "Clinic", "Tall"),
    )


@pytest.fixture
def choir(run, zoe):
    return run(contacts.add_group, "Choir", parse_recipients("zoe@example.org, Ben <ben@example.org>"))


def said(page):
    found = re.search(r'(?s)role="(?:status|alert)"[^>]*>(.*?)</', page.text)
    return re.sub(r"<[^>]+>", "", found[1]).strip() if found else ""


def links(page):
    main = re.search(r"(?s)<main.*</main>", page.text)[0]
    return [unescape(one) for one in re.findall(r'href="([^"]+)"', main)]


# --- the same questions of every page ------------------------------------------------------------------------------------


def pages(ident, group):
    return [
        "/contacts", "/contacts?list=learned", "/contacts?list=groups", "/contacts?q=zo", "/contacts/new", f"/contacts/{ident}",
        "/contacts/groups/new", f"/contacts/groups/{group}", "/contacts/import", "/contacts/contacts.vcf",
    ]  # fmt: skip


def forms(ident, group):
    return [
        "/contacts/new", f"/contacts/{ident}", f"/contacts/{ident}/act", "/contacts/groups/new", f"/contacts/groups/{group}",
        "/contacts/import", f"/contacts/from/{ident}",
    ]  # fmt: skip


def test_pages_work_and_say_what_they_are(client, zoe, choir):
    for path in pages(show_id(zoe), show_id(choir))[:-1]:
        page = client.get(path)
        assert page.status_code == 200, path
        main = re.search(r"(?s)<main.*</main>", page.text)[0]
        assert main.count("<h1") == 1
        assert "<script" not in main
        assert " style=" not in main
        ids = re.findall(r' id="([^"]+)"', page.text)
        assert sorted(ids) == sorted(set(ids)), path
        labels = re.findall(r'<label[^>]* for="([^"]+)"', main)
        for tag in re.findall(r"<(?:input|textarea|select)[^>]*>", main):
            if 'type="hidden"' not in tag:
                assert re.search(r' id="([^"]+)"', tag)[1] in labels, tag
        for form in re.findall(r"(?s)<form\b.*?</form>", main):
            assert form.count('name="csrf_token"') == (1 if 'method="post"' in form.split(">")[0] else 0)
        for pointer in re.findall(r'aria-describedby="([^"]+)"', main):
            assert set(pointer.split()) <= set(ids), path


def test_strangers_are_sent_to_sign_in_and_change_nothing(stranger, zoe, choir, run):
    for path in pages(show_id(zoe), show_id(choir)):
        answer = stranger.get(path)
        assert answer.status_code in (302, 303, 307), path
        assert "zoe" not in answer.text.lower()
    for path in forms(show_id(zoe), show_id(choir)):
        assert stranger.post(path, data={"action": "delete"}).status_code in (302, 303, 307, 401, 403), path
    assert run(contacts.load, zoe)


def test_another_persons_contacts_are_not_there(browser_of, ben, zoe, choir, csrf, run, deliver, ann, letter):
    other = browser_of(ben)
    token = csrf(other)
    mine = deliver(ann, letter())
    for path in (
        f"/contacts/{show_id(zoe)}",
        f"/contacts/groups/{show_id(choir)}",
        f"/contacts/contacts.vcf?one={show_id(zoe)}",
    ):
        assert other.get(path).status_code == 404
    for path in (
        f"/contacts/{show_id(zoe)}",
        f"/contacts/{show_id(zoe)}/act",
        f"/contacts/groups/{show_id(choir)}",
        f"/contacts/from/{show_id(mine)}",
    ):
        fields = {
            "csrf_token": token,
            "action": "delete",
            "addresses": "x@y.example",
            "name": "x",
            "members": "x@y.example",
        }
        assert other.post(path, data=fields).status_code == 404, path
    assert "Zo" not in re.search(r"(?s)<main.*</main>", other.get("/contacts").text)[0]
    assert other.get("/contacts/contacts.vcf").data == b""
    assert run(contacts.load, zoe).name == "Zoë Ñandú"


def test_forms_without_a_token_or_from_elsewhere_are_refused(client, csrf, zoe, choir, run):
    for path in forms(show_id(zoe), show_id(choir)):
        assert client.post(path, data={"action": "delete"}).status_code == 403, path
        answer = client.post(
            path,
            data={"csrf_token": csrf(client), "action": "delete"},
            headers={"Origin": "https://evil.example"},
        )
        assert answer.status_code == 403, path
    assert run(contacts.load, zoe)


def test_odd_addresses(client, zoe):
    for path in (
        "/contacts?list=nobody",
        "/contacts?c=x",
        "/contacts/AAAAAAAA",
        "/contacts/x",
        "/contacts/groups/AAAAAAAA",
        f"/contacts/groups/{show_id(zoe)}",
    ):
        assert client.get(path).status_code == 404, path
    assert client.get(f"/contacts/{show_id(zoe)}/act").status_code == 405
    assert client.post("/contacts").status_code == 405
    assert client.get("/contacts?c=AAAAAAAA").status_code == 200, (
        "whoever was there is gone: from the beginning"
    )


# --- people --------------------------------------------------------------------------------------------------------------


def test_an_empty_book_says_what_belongs_there(client):
    assert "No contacts yet" in client.get("/contacts").text
    assert "Nobody yet" in client.get("/contacts?list=learned").text
    assert "No groups" in client.get("/contacts?list=groups").text
    assert "Nobody found for “zo”" in client.get("/contacts?q=zo").text


def test_add_find_change(post, client, run):
    page = post(
        "/contacts/new",
        name="Zoë",
        addresses="zoe@example.org\r\n\r\n z@work.example \r\n",
        phones="+44",
        organisation="Clinic",
        notes="a\r\nb",
    )
    assert (page.status_code, said(page)) == (200, "Added to your contacts.")
    [entry] = run(contacts.page, None, 10).entries
    assert run(contacts.details, entry.contact_id) == Details(
        "Zoë", ("zoe@example.org", "z@work.example"), ("+44",), "Clinic", "a\nb"
    )
    shown = client.get("/contacts")
    assert "Zoë" in shown.text
    assert "/compose?to=zoe@example.org" in [link.replace("%40", "@") for link in links(shown)]
    assert "Zoë" in client.get("/contacts?q=zO").text
    page = post(f"/contacts/{show_id(entry.contact_id)}", name="Zed", addresses="zoe@example.org")
    assert said(page) == "Saved."
    assert run(contacts.details, entry.contact_id) == Details("Zed", ("zoe@example.org",))


def test_what_is_wrong_is_said_and_nothing_typed_is_lost(post, run, zoe):
    for fields, words in (
        ({"name": "New", "addresses": ""}, "Write at least one address."),
        ({"name": "New", "addresses": "ok@example.org\nnonsense"}, "This is not an address: nonsense"),
        (
            {"name": "New", "addresses": "ZOE@example.org"},
            "Another contact has this address: ZOE@example.org",
        ),
        ({"name": "x" * 400, "addresses": "ok@example.org"}, "This is too much."),
        ({"name": "New", "addresses": "ok@example.org", "notes": "x" * 10_001}, "This is too much."),
    ):
        page = post("/contacts/new", **fields)
        assert page.status_code == 422
        assert words in unescape(page.text)
        assert 'aria-invalid="true"' in page.text
        assert fields["name"] in page.text
    assert f"/contacts/{show_id(zoe)}" in links(post("/contacts/new", addresses="zoe@example.org"))
    assert run(contacts.total) == (1, 0)
    assert post(f"/contacts/{show_id(zoe)}", addresses="").status_code == 422


def test_strangers_text_stays_text(post, client, run):
    ident = run(
        contacts.add, Details(HOSTILE, ("x@example.org",), (HOSTILE,), HOSTILE, f"</textarea>{HOSTILE}")
    )
    run(contacts.add_group, "<b>x</b>".replace("<", "‹").replace(">", "›"), parse_recipients("x@example.org"))
    for path in (
        "/contacts",
        f"/contacts/{show_id(ident)}",
        "/contacts?q=x",
        "/contacts?q=%3Cscript%3Ealert(1)",
    ):
        assert "<script>alert" not in client.get(path).text
    assert "<script>alert" not in post("/contacts/new", addresses=HOSTILE, name=HOSTILE).text


def test_delete_and_undo(post, client, zoe, run):
    page = post(f"/contacts/{show_id(zoe)}/act", action="delete")
    assert said(page) == "Deleted."
    assert "Zo" not in re.search(r"(?s)<table.*</table>", page.text + "<table></table>")[0]
    undo = re.search(r'<form method="post" action="([^"]+)">.*?name="action" value="restore"', page.text)[1]
    page = post(undo, action="restore")
    assert said(page) == "It is back."
    assert run(contacts.load, zoe).name == "Zoë Ñandú"
    assert "Deleted" not in client.get("/contacts").text


def test_never_suggest_and_back(post, run, zoe):
    assert "Not suggested" in post(f"/contacts/{show_id(zoe)}/act", action="never").text
    assert run(contacts.suggest, "zo") == []
    assert "Not suggested" not in post(f"/contacts/{show_id(zoe)}/act", action="suggest").text
    assert len(run(contacts.suggest, "zo")) == 2
    assert post(f"/contacts/{show_id(zoe)}/act", action="explode").status_code == 400


def test_learned_people_stand_apart_until_they_are_kept(post, client, run):
    run(contacts.learn, parse_recipients("Lea <lea@example.org>"))
    assert "lea@" not in client.get("/contacts").text
    page = client.get("/contacts?list=learned")
    assert "Lea" in page.text
    [entry] = run(contacts.learned, None, 10).entries
    assert "You wrote to them once." in client.get(f"/contacts/{show_id(entry.contact_id)}").text
    assert said(post(f"/contacts/{show_id(entry.contact_id)}/act", action="keep")) == "Kept in your contacts."
    assert "Lea" in client.get("/contacts").text


def test_pages_go_on(client, run, monkeypatch):
    monkeypatch.setattr("webmail.web.views.contacts.ROWS", 2)
    for name in ("Ann", "Ben", "Cy", "Dee", "Eve"):
        run(contacts.add, Details(name, (f"{name.lower()}@example.org",)))
        run(contacts.learn, parse_recipients(f"l{name.lower()}@example.org"))
    for start, expected in (
        ("/contacts", ["Ann", "Ben", "Cy", "Dee", "Eve"]),
        ("/contacts?list=learned", ["leve", "ldee", "lcy", "lben", "lann"]),
    ):
        path, seen = start, []
        while path:
            page = client.get(path)
            seen += re.findall(r"<tr><td><a [^>]+><bdi>(\w+)", page.text)
            path = next(iter(re.findall(r'href="([^"]+)" rel="next"', page.text)), "")
            path = unescape(path)
        assert seen == expected


def test_the_sender_of_a_message_is_kept_once(post, client, deliver, ann, letter, run):
    message = deliver(ann, letter(sender="Zoë Ñandú <zoe@example.org>"))
    assert said(post(f"/contacts/from/{show_id(message)}")) == "Added to your contacts."
    assert said(post(f"/contacts/from/{show_id(message)}")) == "This person is in your contacts already."
    [entry] = run(contacts.page, None, 10).entries
    assert (entry.name, entry.addresses) == ("Zoë Ñandú", ("zoe@example.org",))
    nobody = deliver(ann, letter(sender="undisclosed"))
    assert post(f"/contacts/from/{show_id(nobody)}").status_code == 409
    assert post("/contacts/from/AAAAAAAA").status_code == 404
    assert client.get(f"/contacts/from/{show_id(message)}").status_code == 405


# --- groups --------------------------------------------------------------------------------------------------------------


def test_groups(post, client, run, zoe):
    page = post(
        "/contacts/groups/new",
        name="Choir",
        members="zoe@example.org\r\nBen <ben@example.org>, Amy <amy@example.org>",
    )
    assert said(page) == "Saved."
    assert "One a line, such as Ann &lt;ann@example.org&gt;." in page.text
    [line] = run(contacts.groups)
    assert (line.name, line.count) == ("Choir", 3)
    assert (
        "Amy &lt;amy@example.org&gt;\nBen &lt;ben@example.org&gt;\nZoë Ñandú &lt;zoe@example.org&gt;"
        in page.text
    )
    listed = client.get("/contacts?list=groups")
    assert "3 people" in listed.text
    assert "/compose?to=Choir" in links(listed)
    path = f"/contacts/groups/{show_id(line.contact_id)}"
    assert client.get(f"/contacts/{show_id(line.contact_id)}").location == path
    post(path, name="The choir", members="ben@example.org")
    assert [one.label for one in run(contacts.group, line.contact_id).members] == ["Ben"]
    page = post(f"/contacts/{show_id(line.contact_id)}/act", action="delete")
    assert "No groups" in page.text
    assert run(contacts.total)[0] == 3, "deleting a group deletes nobody"


def test_groups_that_cannot_be_are_shown_again(post, choir):
    for fields, words in (
        ({"name": "", "members": "a@b.example"}, "A group needs a name."),
        ({"name": "choir", "members": "a@b.example"}, "Another group has this name."),
        ({"name": "a,b", "members": "a@b.example"}, "stands among addresses"),
        ({"name": "x", "members": ""}, "Write at least one address."),
        ({"name": "x", "members": "nonsense"}, "This is not an address: nonsense"),
        ({"name": "x", "members": ",".join(f"n{n}@b.example" for n in range(101))}, "100 people at the most"),
    ):
        page = post("/contacts/groups/new", **fields)
        assert page.status_code == 422
        assert words in unescape(page.text), words
    assert post(f"/contacts/groups/{show_id(choir)}", name="", members="a@b.example").status_code == 422


# --- files ---------------------------------------------------------------------------------------------------------------


def test_import_tells_what_became_of_it(post, run, zoe):
    content = vcard.write(
        [
            vcard.Card("Ann", ("a@example.org",)),
            vcard.Card("Z", ("zoe@example.org",), ("+1",)),
            vcard.Card("No mail"),
        ]
    )
    content += b"BEGIN:VCARD\nFN:Pic\nEMAIL:pic@example.org\nPHOTO:x\nX-<b>EVIL:1\nEND:VCARD\n"
    page = post("/contacts/import", file=(io.BytesIO(content), "x.vcf"))
    for words in (
        "2 new contacts",
        "1 contact that you had got something new",
        "1 card without a mail address",
        "1 entry of the kind PHOTO",
    ):
        assert words in page.text
    assert "<b>EVIL" not in page.text
    assert run(contacts.total) == (3, 0)


def test_files_that_are_none(post, client, csrf, run):
    for file in (
        (io.BytesIO(b""), ""),
        (io.BytesIO(b"name,mail"), "x.csv"),
        (io.BytesIO(b"\x00" * 100), "x.vcf"),
    ):
        page = post("/contacts/import", file=file)
        assert page.status_code == 422
        assert 'role="alert"' in page.text
    assert post("/contacts/import").status_code == 422
    # Written by hand: the test client would put so much into a file that nobody closes.
    head = f'--b\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{csrf(client)}\r\n--b\r\n'
    head += 'Content-Disposition: form-data; name="file"; filename="x.vcf"\r\n\r\nBEGIN:VCARD\n'
    body = head.encode() + b"x" * vcard.MAX_BYTES + b"\r\n--b--\r\n"
    big = client.post("/contacts/import", data=body, content_type="multipart/form-data; boundary=b")
    assert (big.status_code, "larger than 5 MB" in big.text) == (422, True)
    assert run(contacts.total) == (0, 0)


def test_export_is_a_download(client, zoe, choir, run):
    answer = client.get("/contacts/contacts.vcf")
    assert answer.headers["Content-Type"] == "text/vcard; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.data == run(contacts.export)
    one = client.get(f"/contacts/contacts.vcf?one={show_id(zoe)}")
    assert one.data.count(b"BEGIN:VCARD") == 1
