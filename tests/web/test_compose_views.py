"""The composer: as a page, as a fragment, as an autosave; nothing typed is lost, and nothing is sent twice."""

import dataclasses
import email
import email.policy
import html
import io
import re
import threading

import pytest
from sqlalchemy import text

from webmail.db import read_id, show_id
from webmail.mail import contacts, correspondents, identities, messages
from webmail.mail.addresses import parse_recipients
from webmail.mail.contacts import Details
from webmail.mail.identities import Identity
from webmail.sending import answers_kept, drafts

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}
TO = "carla@example.org"
TYPED = {
    "to": f"Carla <{TO}>",
    "cc": "dmitri@example.net",
    "bcc": "secret@example.com",
    "subject": "Lunch?",
    "body": "At one?\n",
}
NAMES = (
    "to",
    "cc",
    "bcc",
    "subject",
    "body",
    "draft_id",
    "revision",
    "reply",
    "forward",
    "csrf_token",
    "reminded",
    "was",
)


def fields(page: str) -> dict[str, str]:
    """The composer's form as a browser would send it."""
    found = {}
    for tag in re.findall(r"<input [^>]*>", page):
        name = re.search(r'name="([^"]+)"', tag)
        if name and name[1] in NAMES:
            found[name[1]] = html.unescape(re.search(r'value="([^"]*)"', tag)[1])
    for select, options in re.findall(r'<select id="[^"]*" name="([^"]+)">(.*?)</select>', page, re.DOTALL):
        if select == "identity":
            found[select] = re.search(r'value="([^"]+)" selected', options)[1]
    if re.search(r'<input type="checkbox" name="formatted" value="1" checked', page):
        found["formatted"] = "1"
    body = re.search(r'<textarea id="body"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)
    if body:
        found["body"] = html.unescape(body[1])
    return found


class Writer:
    """Somebody at the composer."""

    def __init__(self, client, headers):
        self.client, self.headers = client, headers

    def open(self, query=""):
        answer = self.client.get(f"/compose{query}", headers=self.headers, follow_redirects=True)
        assert answer.status_code == 200, answer.status_code
        return fields(answer.text)

    def press(self, form, button="save", files=(), headers=None, **typed):
        value = typed.pop("value", "1")
        data = form | typed | {button: value}
        if files:
            data["attachment"] = [(io.BytesIO(content), name) for name, content in files]
        kind = {"content_type": "multipart/form-data"} if files else {}
        return self.client.post("/compose", data=data, headers=self.headers | (headers or {}), **kind)


@pytest.fixture(params=["page", "htmx"])
def writer(request, browser_of, ann):
    return Writer(browser_of(ann), HX if request.param == "htmx" else {})


@pytest.fixture
def plain(browser_of, ann):
    return Writer(browser_of(ann), {})


@pytest.fixture
def outbox(superuser):
    """(submission, message, recipients) of everything that was sent."""

    def read():
        rows = superuser.execute(
            text(
                "SELECT message_id, array_agg(recipient ORDER BY number) FROM submission JOIN delivery USING (mailbox_id, submission_id) GROUP BY 1"
            )
        )
        return [(row[0], row[1]) for row in rows]

    return read


@pytest.fixture
def kept(opened, superuser):
    """The drafts of somebody, opened, oldest first."""

    def read(person):
        query = text("SELECT message_id FROM draft WHERE mailbox_id = :id ORDER BY saved_at")
        ids = superuser.execute(query, {"id": person.mailbox_id}).scalars().all()
        return [opened(person, lambda keys, number=number: drafts.load(keys, number)) for number in ids]

    return read


@pytest.fixture
def leaves(opened, outbox):
    """The one message that was sent: its bytes, and parsed."""

    def read(person):
        ((message, _),) = outbox()
        raw = opened(person, lambda keys: messages.source(keys, message))
        return raw, email.message_from_bytes(raw, policy=email.policy.default)

    return read


# --- writing -------------------------------------------------------------------------------------------------------------


def test_an_empty_composer_saves_nothing_and_knows_its_draft_already(writer, kept, ann):
    form = writer.open("?to=carla@example.org")
    assert form["to"] == TO
    assert len(form["draft_id"]) == 8
    assert form["revision"] == "0"
    assert writer.open()["draft_id"] != form["draft_id"]
    assert kept(ann) == []


def test_a_mailto_link_fills_it(writer):
    form = writer.open(
        "?mailto=mailto%3Acarla%40example.org%3Fsubject%3DHi%250d%250aBcc%253a%2520x%26bcc%3Deve%40x.example%26body%3DOne%250aTwo"
    )
    assert form["to"] == TO
    assert form["subject"] == "Hi Bcc: x"
    assert form["body"] == "One\nTwo"
    assert form["bcc"] == ""


def test_page_and_fragment_agree(browser_of, ann):
    client = browser_of(ann)
    page, part = client.get("/compose"), client.get("/compose", headers=HX)
    assert "<html" in page.text
    assert part.text.lstrip().startswith("<main")
    assert fields(page.text).keys() == fields(part.text).keys()


def test_saving_gives_the_draft_and_its_revision_back(writer, kept, ann):
    answer = writer.press(writer.open(), **TYPED)
    assert answer.status_code == 303
    again = fields(writer.client.get(answer.headers["Location"], headers=writer.headers).text)
    assert {name: again[name] for name in TYPED} == TYPED
    assert again["revision"] == "1"
    answer = writer.press(again, subject="Dinner?")
    assert answer.status_code == 303
    (draft,) = kept(ann)
    assert (draft.revision, draft.fields.subject, draft.fields.bcc) == (2, "Dinner?", TYPED["bcc"])
    assert "Dinner?" in writer.client.get("/mail/drafts").text


def test_an_autosave_answers_json(writer, kept, ann):
    form = writer.open()
    answer = writer.press(form, headers={"Accept": "application/json"}, **TYPED)
    assert answer.status_code == 200
    assert answer.json["draft_id"] == form["draft_id"]
    assert answer.json["revision"] == 1
    assert re.fullmatch(r"\d\d:\d\d", answer.json["saved_at"])
    answer = writer.press(
        form | answer.json, headers={"Accept": "application/json"}, **TYPED | {"body": "Two?"}
    )
    assert (answer.json["revision"], len(kept(ann))) == (2, 1)


def test_a_save_whose_answer_was_lost_can_be_made_again(writer, kept, ann):
    form = writer.open()
    for _ in range(3):
        assert writer.press(form, **TYPED).status_code == 303
    (draft,) = kept(ann)
    assert draft.revision == 1


def test_saving_over_a_newer_revision_keeps_both(writer, kept, ann):
    form = writer.open()
    writer.press(form, files=[("a.txt", b"a")], **TYPED)
    stale = fields(writer.client.get(f"/compose?draft={form['draft_id']}").text)
    assert writer.press(stale, body="from the first tab\n").status_code == 303
    answer = writer.press(stale, body="from the second tab\n", files=[("b.txt", b"b")])
    assert answer.status_code == 409
    assert 'role="alert"' in answer.text
    assert (
        f'<a href="/compose?draft={form["draft_id"]}" target="_blank">Look at the other version</a>'
        in answer.text
    )
    assert [draft.fields.body for draft in kept(ann)] == ["from the first tab\n", "from the second tab\n"]
    assert [[item.name for item in draft.attachments] for draft in kept(ann)] == [
        ["a.txt"],
        ["a.txt", "b.txt"],
    ]
    shown = fields(answer.text)
    assert shown["body"] == "from the second tab\n"
    assert shown["draft_id"] == show_id(kept(ann)[1].message_id)
    assert writer.press(shown, body="and on it goes\n").status_code == 303
    assert len(kept(ann)) == 2


def test_files_are_attached_and_removed(writer, kept, ann, outbox, leaves):
    form = writer.open()
    answer = writer.press(form, "attach", files=[("plan.pdf", b"%PDF"), ("Größe.txt", "ü".encode())], **TYPED)
    assert answer.status_code == 303
    page = writer.client.get(answer.headers["Location"]).text
    assert "plan.pdf" in page
    answer = writer.press(fields(page), "remove", value="1")
    page = writer.client.get(answer.headers["Location"]).text
    assert "plan.pdf" not in page
    assert [item.name for item in kept(ann)[0].attachments] == ["Größe.txt"]
    assert writer.press(fields(page), "send").status_code == 303
    _, message = leaves(ann)
    (part,) = message.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("Größe.txt", "ü")


def test_files_that_are_too_large_are_refused_and_the_text_is_kept(plain, kept, ann, web_app, monkeypatch):
    small = dataclasses.replace(web_app.extensions["settings"], message_bytes=1000)
    monkeypatch.setitem(web_app.extensions, "settings", small)
    answer = plain.press(plain.open(), "attach", files=[("big.bin", b"\0" * 701)], **TYPED)
    assert answer.status_code == 422
    assert fields(answer.text)["body"] == TYPED["body"]
    (draft,) = kept(ann)
    assert (draft.fields.body, draft.attachments) == (TYPED["body"], ())
    assert plain.press(fields(answer.text), "save").status_code == 303


def test_discarding_destroys_the_draft(writer, kept, ann, superuser):
    form = writer.open()
    assert writer.press(form, "discard", **TYPED).status_code == 303
    assert kept(ann) == []
    writer.press(form, files=[("a.txt", b"a")], **TYPED)
    form = fields(writer.client.get(f"/compose?draft={form['draft_id']}").text)
    assert writer.press(form, "discard").status_code == 303
    for table in ("draft", "draft_attachment", "message"):
        assert superuser.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


@pytest.mark.parametrize("revision", ["-1", "99999999999", "x"])
def test_a_revision_that_cannot_be_keeps_what_was_typed(plain, outbox, revision):
    form = plain.open()
    plain.press(form, **TYPED)
    for button in ("save", "send"):
        answer = plain.press(form | {"revision": revision}, button, **TYPED | {"body": "Newer."})
        assert answer.status_code == 422
        assert fields(answer.text)["body"] == "Newer."
    assert outbox() == []


# --- sending -------------------------------------------------------------------------------------------------------------


def test_what_was_sent_lies_in_sent_and_its_recipients_are_queued(
    writer, kept, ann, ben, browser_of, outbox, leaves
):
    answer = writer.press(writer.open(), "send", **TYPED)
    assert answer.status_code == 303
    ((message, recipients),) = outbox()
    assert recipients == [TO, TYPED["cc"], TYPED["bcc"]]
    assert answer.headers["Location"] == f"/mail/sent/{show_id(message)}"
    assert kept(ann) == []
    page = writer.client.get(answer.headers["Location"])
    assert page.status_code == 200
    assert page.text.count("Waiting to leave") == 3
    part = writer.client.get(f"/deliveries/{show_id(message)}", headers=HX)
    assert part.status_code == 200
    assert TYPED["cc"] in part.text
    assert "<html" not in part.text
    assert browser_of(ben).get(f"/deliveries/{show_id(message)}", headers=HX).status_code == 404
    raw, sent = leaves(ann)
    assert sent["From"] == f"{ann.name} <{ann.address}>"
    assert (sent["Subject"], sent["To"], sent["Cc"]) == ("Lunch?", TYPED["to"], TYPED["cc"])
    assert sent["Message-ID"].endswith("@mtumail.test>")
    assert "Bcc" not in sent
    assert b"secret@" not in raw
    assert sent.get_content().strip() == "At one?"


def test_the_states_are_shown_as_they_change(plain, outbox, superuser):
    plain.press(plain.open(), "send", **TYPED)
    ((message, _),) = outbox()
    superuser.execute(
        text("UPDATE delivery SET state = 'failed', reply = '550 5.1.1 <b>nobody</b>' WHERE recipient = :to"),
        {"to": TO},
    )
    page = plain.client.get(f"/deliveries/{show_id(message)}").text
    assert "Not delivered" in page
    assert "&lt;b&gt;nobody" in page


def test_pressing_send_twice_sends_once(writer, kept, ann, outbox):
    for form in (writer.open(), None):
        if form is None:  # of a draft that was saved before, too
            saved = writer.press(writer.open(), **TYPED | {"subject": "Second"})
            form = fields(writer.client.get(saved.headers["Location"]).text)
            first = writer.press(form, "send", body="long  line " * 30)
            second = writer.press(form, "send", body="long  line " * 30)
        else:
            first, second = (writer.press(form, "send", **TYPED) for _ in range(2))
        assert first.status_code == second.status_code == 303
        assert first.headers["Location"] == second.headers["Location"]
        assert "/mail/sent/" in first.headers["Location"]
    assert len(outbox()) == 2
    assert kept(ann) == []


def test_pressing_send_twice_at_once_sends_once(browser_of, ann, kept, outbox):
    form = Writer(browser_of(ann), {}).open()
    clients = [Writer(browser_of(ann), {}) for _ in range(4)]
    answers = []
    gate = threading.Barrier(len(clients))

    def press(client):
        gate.wait()
        answers.append(client.press(form, "send", **TYPED))

    threads = [threading.Thread(target=press, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(outbox()) == 1
    assert kept(ann) == []


def test_another_text_under_a_draft_that_was_sent_is_kept(writer, kept, ann, outbox):
    form = writer.open()
    writer.press(form, "send", **TYPED)
    answer = writer.press(form, "send", **TYPED | {"body": "On second thoughts: at two."})
    assert answer.status_code == 409
    assert "the other version" not in answer.text
    (draft,) = kept(ann)
    assert draft.fields.body == "On second thoughts: at two."
    assert len(outbox()) == 1


UNSENDABLE = [
    ("to", ""),
    ("to", "carla at example.org"),
    ("cc", f"{TO}, <>"),
    ("bcc", "x@localhost"),
    ("to", ", ".join(f"p{number}@example.org" for number in range(101))),
    ("to", "a@example.org\r\nBcc: eve@example.com"),
    ("cc", '"Carla\r\nBcc: eve@example.com" <carla@example.org>'),
    ("bcc", "Carla\u2028X: y <carla@example.org>"),
    ("to", "carla\0@example.org"),
    ("to", "carla@example.org\u2028"),
    ("subject", "Hello\r\nBcc: eve@example.com"),
    ("subject", "Hello\nX: y"),
    ("subject", "Hello\rX: y"),
    ("subject", "Hello\0"),
    ("subject", "Hello\u2028X: y"),
    ("subject", "x" * 2001),
    ("body", "a\0b"),
]


def test_what_cannot_leave_is_marked_and_everything_typed_is_kept(writer, kept, ann, outbox):
    for field, value in UNSENDABLE:
        typed = {"to": TO, "cc": "", "bcc": "", "subject": "S", "body": "Every word."} | {field: value}
        answer = writer.press(writer.open(), "send", **typed)
        assert answer.status_code == 422, (field, value)
        assert outbox() == [], (field, value)
        shown = fields(answer.text)
        blank = str.maketrans(dict.fromkeys("\r\n\0", ""))
        for name, words in typed.items():
            assert shown[name].translate(blank).replace("\ufffd", "") == words.translate(blank), (name, value)
        if field == "body":
            assert 'class="err"' in answer.text
        else:
            assert re.search(rf'<input id="{field}"[^>]*aria-invalid="true"', answer.text), (field, value)
            assert answer.text.count("aria-invalid") == 1
        if len(value) < 2001:
            assert kept(ann)[-1].fields.body == typed["body"]
            assert writer.press(shown, "discard").status_code == 303
    mended = {"to": TO, "cc": "", "bcc": "", "subject": "S", "body": "B"}
    assert writer.press(shown | mended | {"revision": "0"}, "send").status_code == 303
    assert len(outbox()) == 1
    assert kept(ann) == []


def test_a_hundred_recipients_over_all_fields_and_no_more(plain, outbox):
    half = [", ".join(f"{letter}{number}@example.org" for number in range(50)) for letter in "ab"]
    typed = {"to": half[0], "cc": half[1], "subject": "s", "body": "b"}
    answer = plain.press(plain.open(), "send", **typed, bcc="c1@example.org")
    assert answer.status_code == 422
    assert outbox() == []
    assert plain.press(plain.open(), "send", **typed, bcc="b49@example.org").status_code == 303
    assert len(outbox()[0][1]) == 100


def test_file_names_cannot_add_headers(plain, ann, leaves):
    names = [
        "../../etc/passwd",
        "a\u2028b.txt",
        "invoice\u202etxt.exe",
        "it's;x=(1).txt",
        "a%0D%0ABcc: eve@example.com.txt",
    ]
    answer = plain.press(plain.open(), "send", files=[(name, b"x") for name in names], **TYPED)
    assert answer.status_code == 303
    raw, message = leaves(ann)
    parts = list(message.iter_attachments())
    kept_as = ["passwd", "a b.txt", "invoicetxt.exe", "it's;x=(1).txt"]
    assert [part.get_filename() for part in parts[:4]] == kept_as
    assert not any("Bcc" in part for part in [message, *parts])
    assert b"\r\nBcc" not in raw


def test_raw_line_ends_in_file_names_are_made_harmless(ann, opened, plain, leaves):
    form = plain.open()
    plain.press(form, **TYPED)
    names = ["a\r\nBcc: eve@example.com", "a\nX-Bad: 1", "a\rX-Bad: 2", "a\0b"]
    uploads = [drafts.Upload(name, f"text/plain\r\n{name}", b"x") for name in names]
    opened(ann, lambda keys: drafts.attach(keys, read_id(form["draft_id"]), uploads, 1000))
    assert plain.press(plain.open(f"?draft={form['draft_id']}"), "send").status_code == 303
    raw, message = leaves(ann)
    assert set(message.keys()) == {
        "Date",
        "From",
        "To",
        "Cc",
        "Subject",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
    }
    for part in message.iter_attachments():
        assert set(part.keys()) == {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"}
    assert not re.search(rb"^(Bcc|X-Bad)", raw, re.MULTILINE)


# --- answering -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def original(deliver, ann, letter):
    raw = letter(
        "AW: Plans",
        "First.\r\nSecond.\r\n-- \r\nZoe\r\n",
        To="Ann <ann+work@mtumail.test>, Carla <carla@example.org>",
        Cc="dmitri@example.net, ANN@mtumail.test",
        Message_ID="<parent@example.org>",
        References="<root@example.org>",
    )
    return show_id(deliver(ann, raw))


def test_a_reply_goes_to_its_author_and_quotes_it(writer, original, leaves, ann):
    form = writer.open(f"?reply={original}")
    assert (form["to"], form["cc"], form["bcc"]) == ("Zoë Ñandú <zoe@example.org>", "", "")
    assert form["subject"] == "Re: Plans"
    assert form["reply"] == original
    assert re.fullmatch(r"\n\nOn .*, Zoë Ñandú wrote:\n> First\.\n> Second\.\n", form["body"])
    assert writer.press(form, "send").status_code == 303
    _, message = leaves(ann)
    assert message["In-Reply-To"] == "<parent@example.org>"
    assert message["References"].split() == ["<root@example.org>", "<parent@example.org>"]
    page = writer.client.get(f"/mail/inbox/{original}").text
    assert "Re: Plans" in page or "2 messages" in page or page.count('id="m-') == 2


def test_a_reply_to_all_leaves_oneself_out(writer, original):
    form = writer.open(f"?reply={original}&all=1")
    assert form["to"] == "Zoë Ñandú <zoe@example.org>, Carla <carla@example.org>"
    assert form["cc"] == "dmitri@example.net"


def test_reply_to_is_followed(writer, deliver, ann, letter):
    message = show_id(deliver(ann, letter(Reply_To='"List, the" <list@example.org>')))
    assert writer.open(f"?reply={message}")["to"] == '"List, the" <list@example.org>'


def test_answering_ones_own_message_goes_on_to_its_recipients(writer, outbox):
    writer.press(writer.open(), "send", **TYPED)
    ((message, _),) = outbox()
    assert writer.open(f"?reply={show_id(message)}")["to"] == TYPED["to"]
    form = writer.open(f"?reply={show_id(message)}&all=1")
    assert (form["to"], form["cc"]) == (TYPED["to"], TYPED["cc"])


def test_an_answer_finds_its_thread_when_the_original_is_gone(writer, original, superuser, leaves, ann):
    form = writer.open(f"?reply={original}")
    saved = writer.press(form)
    form = fields(writer.client.get(saved.headers["Location"]).text)
    assert form["reply"] == original
    superuser.execute(text("DELETE FROM message WHERE direction = 'in'"))
    assert writer.press(form, "send").status_code == 303
    _, message = leaves(ann)
    assert message["In-Reply-To"] == "<parent@example.org>"


def test_a_message_is_passed_on_with_its_files(writer, deliver, ann, leaves, kept, superuser):
    raw = (
        b"From: Zoe <zoe@example.org>\r\nTo: ann@mtumail.test\r\nSubject: Fwd: Re: Map\r\nMessage-ID: <m@example.org>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee the map.\r\n--b\r\n'
        b'Content-Type: image/png; name="map.png"\r\nContent-Disposition: attachment; filename="map.png"\r\n\r\nPNG\r\n--b--\r\n'
    )
    message = show_id(deliver(ann, raw))
    form = writer.open(f"?forward={message}")
    assert (form["to"], form["subject"], form["forward"]) == ("", "Fwd: Map", message)
    assert "From: Zoe <zoe@example.org>" in form["body"]
    assert "See the map." in form["body"]
    assert [item.name for item in kept(ann)[0].attachments] == ["map.png"]
    assert writer.press(form, "send", to=TO).status_code == 303
    _, sent = leaves(ann)
    assert "In-Reply-To" not in sent
    (part,) = sent.iter_attachments()
    assert (part.get_filename(), part.get_content_type(), part.get_content()) == (
        "map.png",
        "image/png",
        b"PNG",
    )
    assert superuser.execute(text("SELECT forwarded FROM message WHERE direction = 'in'")).scalar()


# --- strangers -----------------------------------------------------------------------------------------------------------


def test_a_strangers_messages_and_drafts_are_not_there(writer, original, browser_of, ben, kept, ann):
    form = writer.open()
    writer.press(form, **TYPED)
    draft = form["draft_id"]
    stranger = Writer(browser_of(ben), writer.headers)
    for query in (
        f"?draft={draft}",
        f"?reply={original}",
        f"?forward={original}",
        "?draft=x",
        "?reply=AAAAAAAA",
    ):
        assert stranger.client.get(f"/compose{query}", headers=writer.headers).status_code == 404
    own = stranger.open()
    for button in ("save", "send", "attach", "discard"):
        assert stranger.press(own | {"draft_id": draft, "revision": "1"}, button, **TYPED).status_code == 404
    for name in ("reply", "forward"):
        assert stranger.press(own | {name: original}, **TYPED).status_code == 404
    assert kept(ben) == []
    # An id that nothing was saved under is one's own to use: it names another draft in another mailbox.
    assert (
        stranger.press(own | {"draft_id": draft, "revision": "0"}, **TYPED | {"body": "ben's"}).status_code
        == 303
    )
    assert [item.fields.body for item in kept(ann)] == [TYPED["body"]]
    assert [item.fields.body for item in kept(ben)] == ["ben's"]


# --- formatting ----------------------------------------------------------------------------------------------------------


def preview_of(page: str) -> str:
    found = re.search(
        r'<section class="pad" aria-labelledby="preview">.*?<div class="reading"[^>]*>(.*?)</div></section>',
        page,
        re.DOTALL,
    )
    return found[1] if found else ""


def test_a_preview_shows_what_will_be_read_and_keeps_everything(writer, kept, ann, outbox):
    typed = TYPED | {"body": "A **bold** plan <script>x</script>\n\n- one\n"}
    answer = writer.press(writer.open(), "preview", formatted="1", **typed)
    assert answer.status_code == 200
    assert "<strong>bold</strong>" in preview_of(answer.text)
    assert "<li>one" in preview_of(answer.text)
    assert "<script" not in preview_of(answer.text)
    shown = fields(answer.text)
    assert {name: shown[name] for name in typed} == typed
    assert shown["formatted"] == "1"
    assert kept(ann)[0].fields.formatted
    plain = writer.press({name: value for name, value in shown.items() if name != "formatted"}, "preview")
    assert "**bold**" in preview_of(plain.text)
    assert not kept(ann)[0].fields.formatted
    assert outbox() == []


def test_a_formatted_message_leaves_with_both_texts(plain, leaves, ann):
    answer = plain.press(plain.open(), "send", formatted="1", **TYPED | {"body": "A **bold** plan"})
    assert answer.status_code == 303
    _, message = leaves(ann)
    assert message.get_content_type() == "multipart/alternative"
    assert message.get_body(("plain",)).get_content().strip() == "A **bold** plan"
    assert "A <strong>bold</strong> plan" in message.get_body(("html",)).get_content()


# --- quotes, templates, files of other messages -----------------------------------------------------------------------------


def test_quoting_less_leaves_the_last_author(writer, deliver, ann, letter):
    told = "New words.\r\n\r\nOn Sun, 22 Nov 2026 08:00, Ben wrote:\r\n> older\r\n>> oldest\r\n"
    message = show_id(deliver(ann, letter("Plans", told)))
    page = writer.client.get(f"/compose?reply={message}", headers=writer.headers).text
    assert 'name="less"' in page
    form = fields(page)
    assert "oldest" in form["body"]
    answer = writer.press(form, "less", body="Mine.\n" + form["body"])
    assert answer.status_code == 303
    page = writer.client.get(answer.headers["Location"], headers=writer.headers).text
    assert 'name="less"' not in page
    body = fields(page)["body"]
    assert body.startswith("Mine.\n")
    assert "> New words." in body
    assert "older" not in body
    assert "oldest" not in body


def test_a_template_is_inserted_above_the_quote(writer, opened, ann, original):
    number = opened(ann, lambda keys: answers_kept.add(keys, "Thanks", "Thank you,\nand all the best."))
    page = writer.client.get(f"/compose?reply={original}", headers=writer.headers).text
    assert f'<option value="{show_id(number)}">Thanks</option>' in page
    answer = writer.press(fields(page), "insert", template=show_id(number))
    assert answer.status_code == 303
    body = fields(writer.client.get(answer.headers["Location"], headers=writer.headers).text)["body"]
    assert re.match(r"Thank you,\nand all the best\.\n\nOn .*, Zoë Ñandú wrote:\n> First\.", body)


def test_templates_are_kept_on_a_page_of_their_own(plain, opened, ann, ben, browser_of):
    def change(client=plain.client, **data):
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/settings/templates").text)[1]
        return client.post("/settings/templates", data={"csrf_token": token} | data)

    assert change(ident="", name="Thanks", words="Many.").status_code == 303
    [one] = opened(ann, answers_kept.names)
    page = plain.client.get(f"/settings/templates?edit={show_id(one.answer_id)}").text
    assert ">\nMany.</textarea>" in page
    assert change(ident=show_id(one.answer_id), name="Thanks", words="Many more.").status_code == 303
    assert opened(ann, lambda keys: answers_kept.load(keys, one.answer_id)).words == "Many more."
    wrong = change(ident="", name="", words="<b>kept")
    assert wrong.status_code == 422
    assert "&lt;b&gt;kept</textarea>" in wrong.text
    assert 'aria-describedby="name-err"' in wrong.text
    stranger = browser_of(ben)
    assert stranger.get(f"/settings/templates?edit={show_id(one.answer_id)}").status_code == 404
    change(stranger, remove=show_id(one.answer_id))
    assert len(opened(ann, answers_kept.names)) == 1
    assert change(remove=show_id(one.answer_id)).status_code == 303
    assert opened(ann, answers_kept.names) == []


@pytest.fixture
def with_file(deliver, ann):
    """A received message with a file; its shown id and the file's number."""
    raw = (
        b"From: z@example.org\r\nTo: ann@mtumail.test\r\nSubject: files\r\nMessage-ID: <f@example.org>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee.\r\n--b\r\n"
        b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=plan.pdf\r\n\r\n%PDF-1\r\n--b--\r\n"
    )
    return show_id(deliver(ann, raw))


def test_files_of_the_answered_message_can_be_attached(writer, with_file, kept, ann):
    page = writer.client.get(f"/compose?reply={with_file}", headers=writer.headers).text
    [ref] = re.findall(r'name="take" value="([^"]+)"', page)
    answer = writer.press(fields(page), "take", value=ref)
    assert answer.status_code == 303
    page = writer.client.get(answer.headers["Location"], headers=writer.headers).text
    assert 'name="take"' not in page
    assert "6 B of " in html.unescape(page).replace("\u00a0", " ")
    [file] = kept(ann)[0].attachments
    assert (file.name, file.content_type, file.size_bytes) == ("plan.pdf", "application/pdf", 6)


def test_a_file_of_an_opened_message_begins_a_draft(plain, with_file, kept, ann, ben, browser_of, csrf):
    page = plain.client.get(f"/compose?reply={with_file}").text
    [ref] = re.findall(r'name="take" value="([^"]+)"', page)
    token = fields(page)["csrf_token"]
    assert plain.client.get(f"/compose?attach={ref}").status_code == 200
    assert kept(ann) == [], "looking changes nothing"
    answer = plain.client.post(f"/compose?attach={ref}", data={"csrf_token": token})
    assert answer.status_code == 303
    assert [file.name for file in kept(ann)[0].attachments] == ["plan.pdf"]
    other = browser_of(ben)
    for wrong in (ref, f"{with_file}.999", f"{with_file}.x", "AAAAAAAA.1", ""):
        assert other.post(f"/compose?attach={wrong}", data={"csrf_token": csrf(other)}).status_code == 404
    assert kept(ben) == []


# --- reminders -------------------------------------------------------------------------------------------------------------


def said(page: str) -> list[str]:
    """What the composer points out before sending."""
    found = re.search(r'<div role="alert">[^<]*<ul>(.*?)</ul>', page, re.DOTALL)
    return [html.unescape(item) for item in re.findall(r"<li>([^<]*)", found[1])] if found else []


def test_a_forgotten_file_is_pointed_out_once(writer, outbox, kept, ann):
    answer = writer.press(writer.open(), "send", **TYPED | {"body": "See the attached plan."})
    assert answer.status_code == 422
    assert outbox() == []
    assert said(answer.text) == ["You wrote that something is attached, but there is no file."]
    assert re.search(r'<button class="b go" name="send" value="1">Send all the same</button>', answer.text)
    shown = fields(answer.text)
    assert shown["body"] == kept(ann)[0].fields.body == "See the attached plan."
    assert writer.press(shown, "send").status_code == 303
    assert len(outbox()) == 1


def test_with_the_file_nothing_is_said(plain, outbox):
    typed = TYPED | {"body": "See the attached plan."}
    assert plain.press(plain.open(), "send", files=[("plan.pdf", b"%PDF")], **typed).status_code == 303


def test_what_comes_up_after_a_reminder_is_said_too(plain, outbox):
    answer = plain.press(plain.open(), "send", **TYPED | {"body": "See the attached plan."})
    answer = plain.press(fields(answer.text), "send", subject=" ")
    assert answer.status_code == 422
    assert said(answer.text)[-1] == "It has no subject."
    assert len(said(answer.text)) == 2
    assert plain.press(fields(answer.text), "send").status_code == 303


def test_an_address_that_is_a_slip_of_the_finger(plain, opened, ann, outbox):
    opened(ann, lambda keys: contacts.add(keys, Details(name="Carla", addresses=("carla@example.org",))))
    typed = {"subject": "S", "body": "B"}
    for wrong in ("carla@exmple.org", "clara@mtumial.test", "karla@example.org"):
        answer = plain.press(plain.open(), "send", to=wrong, **typed)
        assert answer.status_code == 422, wrong
        [words] = said(answer.text)
        assert f"You have not written to {wrong} before. Did you mean" in words
    assert plain.press(fields(answer.text), "send").status_code == 303
    for right in ("carla@example.org", "dmitri@example.org", "new@elsewhere.example"):
        assert plain.press(plain.open(), "send", to=right, **typed).status_code == 303
    opened(ann, lambda keys: correspondents.written_to(keys, ["karla@example.org"]))
    assert plain.press(plain.open(), "send", to="karla@example.org", **typed).status_code == 303


def test_an_address_that_failed_lately(plain, opened, ann, outbox):
    opened(ann, lambda keys: correspondents.failed(keys, TO, "5.1.1"))
    answer = plain.press(plain.open(), "send", **TYPED)
    assert said(answer.text) == [f"The last mail to {TO} came back for good. It may do so again."]
    assert plain.press(fields(answer.text), "send").status_code == 303


def test_an_answer_to_many(plain, deliver, ann, letter, outbox):
    people = ", ".join(f"p{number}@example.org" for number in range(11))
    message = show_id(deliver(ann, letter(Cc=people)))
    answer = plain.press(plain.open(f"?reply={message}&all=1"), "send")
    assert said(answer.text) == ["It goes to all of 12 people."]
    assert plain.press(fields(answer.text), "send").status_code == 303
    assert plain.press(plain.open(f"?reply={message}"), "send").status_code == 303


def test_reminders_can_be_switched_off(plain, outbox):
    page = plain.client.get("/settings/templates").text
    token = fields(page)["csrf_token"]
    told = {"csrf_token": token, "reminders": "off"}
    assert plain.client.post("/settings/templates", data=told).status_code == 303
    assert "Reminders are off." in plain.client.get("/settings/templates").text
    assert plain.press(plain.open(), "send", **TYPED | {"body": "attached", "subject": ""}).status_code == 303


def test_a_new_address_is_noted_quietly(plain, opened, ann):
    answer = plain.press(plain.open(), "save", **TYPED | {"cc": "", "bcc": ""})
    page = plain.client.get(answer.headers["Location"]).text
    assert f"You have not written to {TO} before." in page
    opened(ann, lambda keys: correspondents.written_to(keys, [TO]))
    assert "You have not written to" not in plain.client.get(answer.headers["Location"]).text


# --- names -----------------------------------------------------------------------------------------------------------------


def test_people_are_suggested_to_their_owner_alone(plain, opened, ann, ben, browser_of):
    opened(ann, lambda keys: contacts.learn(keys, parse_recipients("Carla Ruiz <carla@example.org>")))
    assert plain.client.get("/contacts/suggest?q=car").json == ["Carla Ruiz <carla@example.org>"]
    assert plain.client.get("/contacts/suggest?q=").json == []
    assert plain.client.get("/contacts/suggest").json == []
    assert browser_of(ben).get("/contacts/suggest?q=car").json == []


def test_a_group_goes_to_its_members(plain, opened, ann, outbox):
    opened(
        ann, lambda keys: contacts.add_group(keys, "Choir", parse_recipients("a@example.org, b@example.org"))
    )
    form = plain.open()
    for _ in range(2):
        assert plain.press(form, "send", to="choir, c@example.net", subject="S", body="B").status_code == 303
    [(_, people)] = outbox()
    assert people == ["a@example.org", "b@example.org", "c@example.net"]


@pytest.fixture
def office(opened, ann):
    one = Identity(-1, "The Office", "ann+office@mtumail.test", "Office hours: 9 to 5", "desk@example.org")
    opened(ann, lambda keys: identities.keep(keys, Identity(0, "Ann", "", "Ann W.", is_default=True)))
    return opened(ann, lambda keys: identities.keep(keys, one))


def test_a_message_goes_out_under_the_chosen_name_with_its_signature(plain, office, leaves, ann, kept):
    form = plain.open()
    assert form["body"] == "\n\n-- \nAnn W.\n"
    answer = plain.press(
        form, "save", identity=show_id(office), to=TO, subject="S", body="Hello.\n\n-- \nAnn W.\n"
    )
    form = plain.open(answer.headers["Location"].removeprefix("/compose"))
    assert form["body"] == "Hello.\n\n-- \nOffice hours: 9 to 5\n"
    assert form["identity"] == form["was"] == show_id(office)
    assert plain.press(form, "send").status_code == 303
    _, message = leaves(ann)
    assert message["From"] == "The Office <ann+office@mtumail.test>"


def test_answers_are_asked_for_where_the_identity_says(plain, office, leaves, ann):
    plain.press(plain.open(), "send", identity=show_id(office), to=TO, subject="S", body="B")
    assert leaves(ann)[1]["Reply-To"] == "desk@example.org"


def test_an_answer_comes_from_the_address_that_was_written_to(plain, office, deliver, ann, letter):
    message = show_id(deliver(ann, letter(To="ann+office@mtumail.test")))
    form = plain.open(f"?reply={message}")
    assert form["identity"] == show_id(office)
    assert form["body"].endswith("> How are you?\n\n-- \nOffice hours: 9 to 5\n")


def test_a_signature_that_was_changed_stays(plain, office):
    answer = plain.press(plain.open(), "save", identity=show_id(office), body="Hello.\n\n-- \nMy own.\n")
    assert (
        plain.open(answer.headers["Location"].removeprefix("/compose"))["body"] == "Hello.\n\n-- \nMy own.\n"
    )


def test_nobody_sends_under_a_name_that_is_not_theirs(browser_of, ann, ben, office, outbox, kept):
    other = Writer(browser_of(ben), {})
    answer = other.press(other.open(), "send", identity=show_id(office), **TYPED)
    assert answer.status_code == 422
    assert fields(answer.text)["body"] == TYPED["body"]
    assert outbox() == []
