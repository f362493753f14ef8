"""Beside the composer: pictures in the text, files out of other messages, names in place of addresses; all without a script."""

import dataclasses
import email
import email.policy
import html
import io
import re

import brotli
import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.mail import contacts, messages
from webmail.mail.addresses import parse_recipients
from webmail.sending import drafts

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
def client(browser_of, ann):
    return browser_of(ann)


def fields(page: str) -> dict[str, str]:
    """Hidden fields, typed ones and the text of the composer's form."""
    form = page.split('<form id="compose"', 1)[1]
    found = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value and ('type="checkbox"' not in tag or " checked" in tag):
            found[name[1]] = html.unescape(value[1])
    found["body"] = html.unescape(re.search(r"<textarea [^>]*>\n?(.*?)</textarea>", form, re.DOTALL)[1])
    return found


@pytest.fixture
def press(client):
    """Press a button of the composer; the page that is seen then."""

    def send(form, files=(), code=200, **pressed):
        data = form | pressed
        if files:
            data["attachment"] = [(io.BytesIO(content), name, kind) for name, kind, content in files]
        more = {"content_type": "multipart/form-data"} if files else {}
        answer = client.post("/compose", data=data, follow_redirects=True, **more)
        assert answer.status_code == code
        return answer.text

    return send


@pytest.fixture
def new(client):
    return lambda: fields(client.get("/compose").text)


def files_of(page: str) -> dict[str, str]:
    """Names of attached files, with where they can be looked at."""
    found = re.findall(
        r'<a href="(/compose/[\w-]{8}/\d+)" target="_blank"><bdi>(.*?)</bdi>', page.split('id="compose"')[1]
    )
    return {html.unescape(name): href for href, name in found}


@pytest.fixture
def leaves(opened, superuser):
    """The one message that was sent, parsed."""

    def read(person):
        number = superuser.execute(text("SELECT message_id FROM submission")).scalar_one()
        raw = opened(person, lambda keys: messages.source(keys, number))
        return email.message_from_bytes(raw, policy=email.policy.default)

    return read


# --- pictures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written"),
    [("well.png", "![well](well.png)"), ("well (1).png", "![well (1)](<well (1).png>)")],
)
def test_a_picture_is_put_into_the_text_and_seen_in_the_preview(
    press, new, client, name, written, leaves, ann
):
    page = press(
        new() | {"body": "See:\n"}, [(name, "image/png", PNG), ("a.txt", "text/plain", b"x")], attach="1"
    )
    assert re.findall(r'name="show" value="(\d+)"', page) == ["1"]
    page = press(fields(page), show="1")
    form = fields(page)
    assert form["body"] == f"See:\n\n{written}\n"
    assert form["formatted"] == "1"
    page = press(form, preview="1")
    shown = page.split('<div class="reading"', 1)[1].split("</section>")[0]
    href = files_of(page)[name]
    assert f'<img src="{href}" alt="{name.removesuffix(".png")}">' in shown
    picture = client.get(href)
    assert (picture.data, picture.headers["Content-Type"]) == (PNG, "image/png")
    assert picture.headers["Content-Security-Policy"].startswith("sandbox")
    page = press(fields(page), send="1", to="zoe@example.org", subject="A well")
    body, file = leaves(ann).iter_parts()
    _plain, related = body.iter_parts()
    page, inline = related.iter_parts()
    assert file.get_filename() == "a.txt"
    assert (inline.get_filename(), inline.get_content()) == (name, PNG)
    assert f'src="cid:{inline["Content-ID"].strip("<>")}"' in page.get_content()


def test_what_is_no_picture_or_says_so_falsely_is_a_download(press, new, client):
    page = press(
        new(),
        [("x.svg", "image/svg+xml", b"<svg onload=alert(1)>"), ("y.png", "image/png", b"<script>x</script>")],
        attach="1",
    )
    assert re.findall(r'name="show" value="(\d+)"', page) == ["2"]
    for href in files_of(page).values():
        answer = client.get(href)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "body",
    [
        '![<script>x</script>" onload="y](well.png)',
        "![x](javascript:alert(1)) ![y](other.png) ![z](https://example.org/well.png)",
        "`![well](well.png)`",
        "00000000",
    ],
)
def test_a_preview_shows_no_picture_but_the_attached_ones(press, new, body):
    page = press(new() | {"body": body, "formatted": "1"}, [("well.png", "image/png", PNG)], preview="1")
    shown = page.split('<div class="reading"', 1)[1].split("</section>")[0]
    for tag in re.findall(r"<img[^>]*>", shown):
        assert re.fullmatch(r'<img src="/compose/[\w-]{8}/1" alt="[^"]*">', tag)
    assert len(re.findall(r"<img", shown)) == body.startswith("![<")
    assert "<script" not in shown


def test_files_of_a_draft_are_its_authors_alone(press, new, browser_of, ben, stranger):
    page = press(new(), [("well.png", "image/png", PNG)], attach="1")
    [href] = files_of(page).values()
    for wrong in (href, href[:-1] + "9", "/compose/AAAAAAAA/1"):
        assert browser_of(ben).get(wrong).status_code == 404
    assert stranger.get(href).status_code in (302, 303, 307)


# --- files of other messages ---------------------------------------------------------------------------------------------


def carrying(subject: str, *names: str) -> bytes:
    parts = "".join(
        f"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename={name}\r\n\r\n%PDF-{name}\r\n"
        for name in names
    )
    return (
        f"From: Zoe <z@example.org>\r\nTo: ann@mtumail.test\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee.\r\n{parts}--b--\r\n"
    ).encode()


def test_files_of_other_messages_go_into_a_draft_and_nothing_typed_is_lost(
    press, new, client, deliver, ann, letter
):
    deliver(ann, carrying("Plans", "plan.pdf", "map.pdf"))
    deliver(ann, carrying("Bills", "bill.pdf"))
    deliver(ann, letter("No files"))
    page = press(new() | {"to": "zoe@example.org", "body": "Typed."}, browse="1")
    assert re.findall(r"<legend><bdi>(.*?)</bdi>", page) == ["Bills", "Plans"]
    refs = dict(re.findall(r'name="take" value="([^"]+)"> <bdi>(.*?)</bdi>', page))
    token, draft = (re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("csrf_token", "draft"))
    found = client.get(f"/compose/files?draft={draft}&q=bills").text
    assert re.findall(r"<legend><bdi>(.*?)</bdi>", found) == ["Bills"]
    assert "Nothing found" in client.get(f"/compose/files?draft={draft}&q=nonesuch").text
    chosen = [ref for ref, name in refs.items() if name != "map.pdf"]
    answer = client.post(
        "/compose/files", data={"csrf_token": token, "draft": draft, "take": chosen}, follow_redirects=True
    )
    form = fields(answer.text)
    assert (form["to"], form["body"].strip()) == ("zoe@example.org", "Typed.")
    assert set(files_of(answer.text)) == {"plan.pdf", "bill.pdf"}
    assert {client.get(href).data.strip() for href in files_of(answer.text).values()} == {
        b"%PDF-plan.pdf",
        b"%PDF-bill.pdf",
    }


def test_files_that_are_too_large_are_refused_where_they_are_chosen(
    press, new, client, deliver, ann, web_app, monkeypatch
):
    deliver(ann, carrying("Plans", "plan.pdf"))
    page = press(new(), browse="1")
    small = dataclasses.replace(web_app.extensions["settings"], message_bytes=10)
    monkeypatch.setitem(web_app.extensions, "settings", small)
    data = {
        name: re.search(rf'name="{name}" value="([^"]+)"', page)[1]
        for name in ("csrf_token", "draft", "take")
    }
    answer = client.post("/compose/files", data=data)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "Plans" in answer.text


def test_nobody_elses_files_or_drafts(press, new, client, deliver, ann, ben, browser_of, csrf, stranger):
    deliver(ann, carrying("Plans", "plan.pdf"))
    page = press(new(), browse="1")
    draft, ref = (re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in ("draft", "take"))
    other = browser_of(ben)
    mine = re.search(r'name="draft_id" value="([^"]+)"', other.get("/compose").text)[1]
    other.post("/compose", data={"csrf_token": csrf(other), "draft_id": mine, "revision": "0", "save": "1"})
    for path in (f"/compose/files?draft={draft}", "/compose/files", "/compose/files?draft=x"):
        assert other.get(path).status_code == 404
    for data in ({"draft": draft, "take": ref}, {"draft": mine, "take": ref}, {"take": ref}):
        assert other.post("/compose/files", data={"csrf_token": csrf(other)} | data).status_code == 404
    assert other.post("/compose/files", data={"draft": mine, "take": ref}).status_code == 403
    assert stranger.get(f"/compose/files?draft={draft}").status_code in (302, 303, 307)


def test_an_opened_message_offers_its_files_for_a_new_one(client, deliver, ann):
    message = show_id(deliver(ann, carrying("Plans", "plan.pdf")))
    page = client.get(f"/mail/inbox/{message}").text
    [action] = re.findall(r'formaction="(/compose\?attach=[^"]+)"', page)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    answer = client.post(action, data={"csrf_token": token}, follow_redirects=True)
    assert set(files_of(answer.text)) == {"plan.pdf"}


# --- names ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def known(opened, ann):
    people = "Carla Ruiz <carla@example.org>, Carl <carl@example.org>, Zoe <zoe@example.org>"
    opened(ann, lambda keys: contacts.learn(keys, parse_recipients(people)))
    opened(ann, lambda keys: contacts.learn(keys, parse_recipients("zoe@example.org")))


@pytest.mark.parametrize("button", ["save", "send", "preview"])
def test_a_name_is_answered_with_whom_it_may_mean(press, new, known, button):
    form = new() | {"to": "car; zoe@example.org", "subject": "Hi", "body": "x"}
    page = press(form, code=422 if button == "send" else 200, **{button: "1"})
    offered = {
        html.unescape(text): html.unescape(key)
        for key, text in re.findall(r'name="(person:[^"]+)" value="([^"]+)"', page)
    }
    assert set(offered) == {"Carla Ruiz <carla@example.org>", "Carl <carl@example.org>"}
    carla = "Carla Ruiz <carla@example.org>"
    page = press(fields(page), **{offered[carla]: carla})
    assert fields(page)["to"] == "Carla Ruiz <carla@example.org>; zoe@example.org"
    assert 'name="person' not in page


@pytest.mark.parametrize(
    "key",
    [
        "person:",
        "person:to",
        "person:to:",
        "person:body:car",
        "person:to:other",
        "person:subject:car",
        "person::car",
    ],
)
def test_a_choice_that_fits_nothing_changes_nothing(press, new, known, key):
    page = press(
        new() | {"to": "car", "body": "Typed.", "subject": "car"}, **{key: "Carl <carl@example.org>"}
    )
    assert [fields(page)[name].strip() for name in ("to", "body", "subject")] == ["car", "Typed.", "car"]


def test_addresses_groups_and_strangers_names_are_offered_nobody(press, new, known, opened, ann):
    opened(ann, lambda keys: contacts.add_group(keys, "Car pool", parse_recipients("a@example.org")))
    for typed in ("zoe@example.org", "zoe@exam", "nobody", "Car pool, c@", ""):
        assert 'name="person' not in press(new() | {"to": typed}, save="1")


def test_whom_one_writes_to_most_comes_with_the_page_and_not_with_a_fragment(client, known, ben, browser_of):
    page = client.get("/compose").text
    listed = html.unescape(page.split('<datalist id="often">')[1].split("</datalist>")[0])
    assert re.findall(r'value="([^"]+)"', listed)[0] == "Zoe <zoe@example.org>"
    assert len(re.findall("<option", listed)) == 3
    assert page.count('list="often"') == 3
    assert "datalist" not in client.get("/compose", headers=HX).text
    assert "often" not in browser_of(ben).get("/compose").text


def test_the_list_of_people_is_short_however_many_there_are(client, opened, ann):
    people = ", ".join(f"Somebody with a rather long name {n} <person{n}@example.org>" for n in range(60))
    opened(ann, lambda keys: contacts.learn(keys, parse_recipients(people)))
    listed = client.get("/compose").text.split('<datalist id="often">')[1].split("</datalist>")[0]
    assert 100 < len(listed) < 1000


# --- what a draft is, once its files are gone -------------------------------------------------------------------------------


def test_one_file_of_a_draft_is_opened_alone(opened, ann):
    def call(keys):
        draft = drafts.create(keys, (ann.name, ann.address), drafts.Fields(body="x"))
        uploads = [drafts.Upload(f"{n}.txt", "text/plain", b"%d" % n) for n in range(2)]
        drafts.attach(keys, draft.message_id, uploads, 10**6)
        return drafts.file(keys, draft.message_id, 2)

    assert opened(ann, call) == drafts.Upload("1.txt", "text/plain", b"1")


# --- bytes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("headers", "most"), [({}, 2250), (HX, 1250)], ids=["page", "fragment"])
def test_bytes_of_the_composer(client, opened, ann, headers, most):
    """Budget: 2.5 kB without JavaScript, 1.5 kB with it, headers (250 bytes an answer) included; with people to write to."""
    people = "".join(
        f"{name} Adeyemi <{name.lower()}@clinic{n}.example>, "
        for n, name in enumerate(
            [
                "Vera",
                "Grace",
                "Samir",
                "Oskar",
                "Elena",
                "Hugo",
                "Tess",
                "Umar",
                "Priya",
                "Chidi",
                "Anna",
                "Jo",
            ]
        )
    )
    opened(ann, lambda keys: contacts.learn(keys, parse_recipients(people)))
    page = client.get("/compose", headers=headers).text
    assert len(brotli.compress(page.encode(), quality=5)) <= most


def test_bytes_of_the_outbox(client):
    assert len(brotli.compress(client.get("/outbox").text.encode(), quality=5)) <= 1250
