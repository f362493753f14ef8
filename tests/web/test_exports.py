"""Exports and imports in their pages: an owner's alone, asked for with a fresh proof, fetched in ranges."""

import hashlib
import io

import pytest
from sqlalchemy import text

from webmail.db import show_id
from webmail.identity import stepup
from webmail.privacy.export import asking, parts


@pytest.fixture(autouse=True)
def _proof(monkeypatch):
    """Whoever asks has just proved who they are; what was asked for is written down."""
    monkeypatch.setattr(stepup, "require", lambda _viewer, *, act, target: ACTS.append((act, target)))
    ACTS.clear()


ACTS = []


@pytest.fixture
def jobs(worker, monkeypatch):
    monkeypatch.setattr("workers.exporting.core", lambda: worker)
    from workers import exporting

    return exporting


@pytest.fixture
def made(browser_of, csrf, ann, deliver, letter, jobs, opened):
    """Ann's client, her made export, and its first part as (path, content)."""
    deliver(ann, letter("over the wire", "words " * 300))
    client = browser_of(ann)
    answer = client.post(
        "/my-data/exports",
        data={"csrf_token": csrf(client), "folder": ["inbox", "archive"], "form": "mbox", "records": "1"},
    )
    assert answer.status_code == 303
    jobs.drain_exports()

    def read(keys):
        [export] = asking.listed(keys.mailbox_id, ann.account_id)
        of = asking.opened(keys, ann.account_id, export.export_id)
        part = parts.listed(keys.mailbox_id, export.export_id)[0]
        return export.export_id, part, b"".join(parts.pieces(of, part.number))

    export_id, part, content = opened(ann, read)
    return client, export_id, f"/my-data/exports/{show_id(export_id)}/{part.number}/{part.name}", content


def test_P23_who_asks_proves_who_they_are(made, ann):
    [asked] = ACTS
    assert asked == ("export.ask", f"{ann.mailbox_id},mbox,inbox,archive,True")


def test_P23_the_page_shows_parts_and_until_when(made):
    client, _export, path, _content = made
    page = client.get("/my-data/exports").text
    assert f'href="{path}"' in page
    assert "Kept until" in page
    assert "hx-trigger" not in page.split('id="exports"')[1].split(">")[0], (
        "nothing is polled when nothing will change"
    )


def test_progress_is_polled_while_it_is_made(browser_of, csrf, ann):
    client = browser_of(ann)
    client.post("/my-data/exports", data={"csrf_token": csrf(client), "folder": "inbox", "form": "mbox"})
    page = client.get("/my-data/exports").text
    assert "<progress" in page
    assert "every 3s" in page
    assert "Look again" in page
    again = client.post(
        "/my-data/exports", data={"csrf_token": csrf(client), "folder": "inbox", "form": "mbox"}
    )
    assert again.status_code == 409


def test_a_download_goes_on_where_it_broke_off(made, superuser):
    client, _export, path, content = made
    whole = client.get(path)
    assert whole.data == content
    assert whole.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    etag = whole.headers["ETag"]
    rest = client.get(path, headers={"Range": "bytes=100-", "If-Range": etag})
    assert (rest.status_code, rest.data) == (206, content[100:])
    assert rest.headers["Content-Range"] == f"bytes 100-{len(content) - 1}/{len(content)}"
    assert client.get(path, headers={"Range": "bytes=-7"}).data == content[-7:]
    assert client.get(path, headers={"Range": "bytes=100-", "If-Range": '"old"'}).data == content
    beyond = client.get(path, headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(content)}")
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    head = client.head(path)
    assert (head.headers["Content-Length"], head.data) == (str(len(content)), b"")
    fetched = superuser.execute(
        text("SELECT count(*) FROM audit_event WHERE kind = 'export.fetched'")
    ).scalar()
    assert fetched == 2, "a beginning is noted, a rest is not"


def test_P15_a_stranger_and_another_member_get_nothing(made, browser_of, ben, superuser, ann):
    client, export, path, _content = made
    other = browser_of(ben)
    assert other.get(path).status_code == 404
    assert client.get(path.replace(".mbox", ".zip")).status_code == 404
    assert client.get(f"/my-data/exports/{show_id(export)}/99/readme.txt").status_code == 404
    superuser.exec_driver_sql(
        "SET session_replication_role = replica;"
        f"INSERT INTO mailbox_member (mailbox_id, account_id, role) VALUES ({ann.mailbox_id}, {ben.account_id}, 'reader');"
        "SET session_replication_role = origin"
    )
    box = f"/box/{show_id(ann.mailbox_id)}"
    assert other.get(f"{box}/my-data/exports").status_code == 403
    assert other.get(f"{box}{path}").status_code == 403
    superuser.exec_driver_sql(
        "SET session_replication_role = replica;"
        f"UPDATE mailbox_member SET role = 'owner' WHERE account_id = {ben.account_id};"
        "SET session_replication_role = origin"
    )
    assert other.get(f"{box}{path}").status_code == 404, "an owner too: the records are of who asked"


def test_an_export_is_deleted(made, csrf, superuser):
    client, export, path, _content = made
    answer = client.post(f"/my-data/exports/{show_id(export)}/delete", data={"csrf_token": csrf(client)})
    assert answer.status_code == 303
    assert client.get(path).status_code == 404
    assert superuser.execute(text("SELECT count(*) FROM export_chunk")).scalar() == 0


def test_what_was_exported_comes_in_again_by_a_plain_form(made, browser_of, csrf, ben, jobs):
    _client, _export, _path, content = made
    client = browser_of(ben)
    answer = client.post(
        "/my-data/imports",
        data={"csrf_token": csrf(client), "file": (io.BytesIO(content), "inbox.mbox"), "folder": "archive"},
        follow_redirects=True,
    )
    assert "is being read" in answer.text
    jobs.drain_imports()
    page = client.get("/my-data/imports").text
    assert "1 message was taken in." in page
    assert "over the wire" in client.get("/mail/inbox").text


def test_a_file_comes_in_pieces(made, browser_of, csrf, ben, jobs):
    _client, _export, _path, content = made
    client = browser_of(ben)
    token = csrf(client)

    def send(**fields):
        return client.post("/my-data/imports/pieces", data={"csrf_token": token} | fields)

    number = send(total=str(len(content)), name="in.mbox", folder="inbox").json["import"]
    first = send(**{"import": number, "offset": "0", "piece": (io.BytesIO(content[:50]), "piece")}).json
    assert (first["offset"], first["done"]) == (50, False)
    last = send(**{"import": number, "offset": "50", "piece": (io.BytesIO(content[50:]), "piece")}).json
    assert last["done"]
    assert send(total="9999999999999").status_code == 400
    assert send(total=str(3 << 30)).status_code == 409
    jobs.drain_imports()
    assert "1 message was taken in." in client.get("/my-data/imports").text


def test_an_import_is_taken_back_or_forgotten(made, browser_of, csrf, ben, jobs, superuser):
    _client, _export, _path, content = made
    client = browser_of(ben)
    form = {"csrf_token": csrf(client), "file": (io.BytesIO(content), "inbox.mbox")}
    client.post("/my-data/imports", data=form)
    jobs.drain_imports()
    number = show_id(superuser.execute(text("SELECT import_id FROM mail_import")).scalar())
    page = client.get("/my-data/imports").text
    assert 'name="undo"' in page
    answer = client.post(
        f"/my-data/imports/{number}", data={"csrf_token": csrf(client), "undo": "1"}, follow_redirects=True
    )
    assert "is deleted" in answer.text
    assert ACTS[-1][0] == "import.undo"
    count = "SELECT count(*) FROM message WHERE mailbox_id = :m"
    assert superuser.execute(text(count), {"m": ben.mailbox_id}).scalar() == 0
    client.post(f"/my-data/imports/{number}", data={"csrf_token": csrf(client)})
    assert superuser.execute(text("SELECT count(*) FROM mail_import")).scalar() == 0


@pytest.mark.parametrize("path", ["/my-data/exports", "/my-data/imports"])
def test_nothing_is_asked_for_without_a_token_or_a_choice(path, browser_of, csrf, ann):
    client = browser_of(ann)
    assert client.post(path, data={"folder": "inbox", "form": "mbox"}).status_code == 403
    assert client.post(path, data={"csrf_token": csrf(client), "form": "mbox"}).status_code in (409, 422)


def test_P23_all_files_of_an_export_come_in_by_one_plain_form_and_it_is_said_what_was_taken(
    made, browser_of, csrf, ann, ben, jobs, opened
):
    _client, export, _path, _content = made

    def read(keys):
        of = asking.opened(keys, ann.account_id, export)
        found = parts.listed(keys.mailbox_id, export)
        return [(one.name, b"".join(parts.pieces(of, one.number))) for one in found]

    files = opened(ann, read)
    assert len(files) > 5
    client = browser_of(ben)
    assert all(content for _name, content in files), "what is empty is left out"
    given = [(io.BytesIO(content), name) for name, content in [*files, ("empty.vcf", b"")]]
    page = client.post("/my-data/imports", data={"csrf_token": csrf(client), "file": given}, follow_redirects=True)  # fmt: skip
    assert "is being read" in page.text
    jobs.drain_imports()
    page = client.get("/my-data/imports").text
    assert "1 message was taken in." in page
    assert "Taken: 1 name to send under, settings." in page
    assert "There is nothing to take of this file" in page
    assert "stopped" not in page
    assert "0 messages were taken in." not in page, "of a file without mail nothing is said about mail"
    assert page.index("<form method") < page.index('id="imports"'), "the form is not below twenty files"
    cleared = client.post("/my-data/imports/clear", data={"csrf_token": csrf(client)}, follow_redirects=True)
    assert "records.json" not in cleared.text
    assert "over the wire" in client.get("/mail/inbox").text


def test_an_empty_file_alone_is_said_to_be_empty(browser_of, csrf, ann):
    client = browser_of(ann)
    data = {"csrf_token": csrf(client), "file": (io.BytesIO(b""), "empty.mbox")}
    answer = client.post("/my-data/imports", data=data)
    assert answer.status_code == 409
    assert "The file is empty." in answer.text


def test_what_broke_off_goes_on_when_the_file_is_chosen_again(made, browser_of, csrf, ben, jobs):
    _client, _export, _path, content = made
    client = browser_of(ben)
    token = csrf(client)

    def send(**fields):
        return client.post("/my-data/imports/pieces", data={"csrf_token": token} | fields).json

    said = {"total": str(len(content)), "name": "in.mbox", "folder": "inbox"}
    begun = send(**said)
    send(**{"import": begun["import"], "offset": "0", "piece": (io.BytesIO(content[:70]), "piece")})
    again = send(**said)
    assert (again["import"], again["offset"]) == (begun["import"], 70)
    assert send(**said | {"name": "other.mbox"})["import"] != begun["import"]
    rest = {"import": begun["import"], "offset": "70"}
    assert send(**rest, piece=(io.BytesIO(content[70:]), "piece"))["done"]
    lost = send(**rest, piece=(io.BytesIO(content[70:]), "piece"))
    assert lost["done"], "the answer to the last piece was lost"
    jobs.drain_imports()
    assert "1 message was taken in." in client.get("/my-data/imports").text


def test_the_form_tells_its_script_where_and_what(browser_of, ann):
    page = browser_of(ann).get("/my-data/imports").text
    assert 'data-pieces="/my-data/imports/pieces"' in page
    assert "imports.js" in page
    assert "multiple" in page
