"""What a message carries: previews, thumbnails, all in one file, and messages within messages."""

import base64
import io
import re
import zipfile
from html import unescape

import pytest
from PIL import Image
from sqlalchemy import text

from webmail.db import show_id

HX = {"HX-Request": "true", "Sec-Fetch-Dest": "empty"}


def pdf(words: bytes = b"Rent is 40 euros") -> bytes:
    """One page with a line of text."""
    drawing = b"BT /F1 18 Tf 20 100 Td (%s) Tj ET" % words
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawing), drawing),
    )
    made, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(b"%010d 00000 n \n" % len(made))
        made += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(places)
    return made + table + b"trailer<</Root 1 0 R/Size 6>>\nstartxref\n%d\n%%%%EOF\n" % len(made)


PDF = pdf()


def drawn(form: str = "PNG") -> bytes:
    made = io.BytesIO()
    Image.effect_noise((900, 600), 60).convert("RGB").save(made, form)
    return made.getvalue()


def part(content_type: str, name: str, content: bytes) -> bytes:
    if content_type.startswith("message/"):
        return (
            f'Content-Type: {content_type}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\n'.encode()
            + content
        )
    return (
        f'Content-Type: {content_type}\r\nContent-Disposition: attachment; filename="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'.encode()
        + base64.encodebytes(content).replace(b"\n", b"\r\n")
    )  # fmt: skip


def mail(*parts: bytes, subject: str = "Files", mark: str = "b", words: bytes = b"see files") -> bytes:
    body = b"".join(
        b"--%s\r\n%s\r\n" % (mark.encode(), item)
        for item in (b"Content-Type: text/plain\r\n\r\n" + words, *parts)
    )
    return (
        f"From: Zoe <zoe@example.org>\r\nTo: ann@mtumail.test\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: multipart/mixed; boundary={mark}\r\n\r\n"
    ).encode() + body + f"--{mark}--\r\n".encode()  # fmt: skip


def without_tokens(page: str) -> str:
    return re.sub(r'(?<=csrf_token" value=")[^"]+', "", page)


FILES = (
    part("text/plain; charset=iso-8859-1", "notes.txt", "Prüfung <b>& more".encode("latin-1")),
    part("application/pdf", "rent.pdf", PDF),
    part("image/png", "well.png", drawn()),
    part("message/rfc822", "letter.eml", mail(part("image/png", "inner.png", drawn()), subject="Within", mark="c", words=b"words within")),
    part("application/zip", "x.zip", b"PK\x05\x06" + bytes(18)),
)  # fmt: skip


@pytest.fixture
def carried(deliver, ann, browser_of):
    """(client, address of a message with all kinds of files, its page)."""

    def make(*parts: bytes):
        client = browser_of(ann)
        where = f"/mail/inbox/{show_id(deliver(ann, mail(*parts or FILES)))}"
        return client, where, client.get(where).text

    return make


def hrefs(page: str, pattern: str) -> list[str]:
    return [unescape(href) for href in re.findall(rf'(?:href|src)="([^"]*{pattern}[^"]*)"', page)]


# --- looks ---------------------------------------------------------------------------------------------------------------


def test_every_look_that_a_page_offers_is_there(carried):
    client, _where, page = carried()
    looks = hrefs(page, r"/(?:preview|thumbnail|all\.zip|in/\d+|[^/]+\?view=1)")
    assert len(looks) == 6
    for href in looks + hrefs(page, r"/\d+/[^/]+\.\w+"):
        assert client.get(href).status_code == 200, href


def test_a_text_is_shown_in_its_own_letters(carried):
    client, _where, page = carried()
    shown = client.get(hrefs(page, "/preview")[0]).text
    assert "Prüfung &lt;b&gt;&amp; more" in shown
    assert "notes.txt" in shown


def test_a_pdf_is_shown_as_the_text_of_its_first_page(carried):
    client, _where, page = carried()
    assert "Rent is 40 euros" in client.get(hrefs(page, "/preview")[1]).text


@pytest.mark.parametrize(
    ("content", "words"), [(b"%PDF-1.4\nnothing", "cannot be shown"), (pdf(b" "), "no text")]
)  # fmt: skip
def test_a_pdf_without_text_says_so(carried, content, words):
    client, _where, page = carried(part("application/pdf", "a.pdf", content))
    answer = client.get(hrefs(page, "/preview")[0])
    assert answer.status_code == 200
    assert words in answer.text


def test_a_long_text_says_that_it_was_cut(carried):
    client, _where, page = carried(part("text/plain", "long.txt", b"word and word\n" * 40_000))
    answer = client.get(hrefs(page, "/preview")[0])
    assert "This is its beginning" in answer.text
    assert len(answer.text) < 200_000


def test_a_thumbnail_is_small_and_ours(carried):
    client, _where, page = carried()
    answer = client.get(hrefs(page, "/thumbnail")[0])
    assert len(answer.data) <= 6000
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"].startswith("private")
    with Image.open(io.BytesIO(answer.data)) as small:
        assert max(small.size) <= 192


@pytest.mark.parametrize("content", [b"<svg onload=alert(1)>", b"", b"\x89PNG\r\n\x1a\nnot really"])
def test_what_is_no_picture_has_no_thumbnail(carried, content):
    client, _where, page = carried(part("image/png", "x.png", content))
    [href] = hrefs(page, "/thumbnail")
    assert client.get(href).status_code == 404


def test_files_that_are_named_like_a_view_can_be_had(carried):
    """The last step of the address is a name from outside, beside words of ours."""
    names = ("preview", "thumbnail", "Preview", "all.zip", "..", "a/b", "%2e%2e")
    parts = [part("application/octet-stream", name, b"content %d" % n) for n, name in enumerate(names)]
    client, where, page = carried(*parts)
    links = [unescape(href) for href in re.findall(rf'href="({where}/\d+/[^"]*)" download', page)]
    assert len(links) == len(names)
    for number, href in enumerate(links):
        answer = client.get(href)
        assert (answer.status_code, answer.data) == (200, b"content %d" % number), href


# --- all of them ---------------------------------------------------------------------------------------------------------


def test_all_files_in_one(carried):
    client, where, page = carried()
    assert f'href="{where}/all.zip"' in page
    answer = client.get(f"{where}/all.zip")
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["notes.txt", "rent.pdf", "well.png", "letter.eml", "x.zip"]
        assert archive.read("rent.pdf") == PDF


def test_names_in_it_lead_nowhere_else(carried):
    names = ("../../etc/passwd", "C:\\\\Windows\\\\x.dll", "a.txt", "A.TXT", ".bashrc")
    client, where, _page = carried(*(part("application/x", name, b"x") for name in names))
    with zipfile.ZipFile(io.BytesIO(client.get(f"{where}/all.zip").data)) as archive:
        inside = archive.namelist()
    assert len({name.casefold() for name in inside}) == len(names)
    assert not [name for name in inside if "/" in name or "\\" in name or name.startswith(".")]


def test_one_file_needs_no_zip_and_none_has_none(carried, deliver, ann, letter):
    client, _where, page = carried(FILES[0])
    assert "all.zip" not in page
    bare = show_id(deliver(ann, letter()))
    assert client.get(f"/mail/inbox/{bare}/all.zip").status_code == 404


# --- messages within messages --------------------------------------------------------------------------------------------


def test_an_attached_message_opens_with_its_own_files(carried):
    client, _where, page = carried()
    (href,) = hrefs(page, "/in/")
    inner = client.get(href).text
    assert "words within" in inner
    assert "<h1><bdi>Within</bdi></h1>" in inner
    assert "was not checked" in inner
    files = hrefs(inner, r"inner\.png")
    assert files
    for file in files:
        assert file.startswith(f"{href}/")
        assert client.get(file).status_code == 200
    assert "see files" not in inner


def test_a_file_that_is_a_message_by_its_name_opens_too(carried):
    client, _where, page = carried(
        part("application/octet-stream", "letter.eml", mail(subject="By its name"))
    )
    (href,) = hrefs(page, "/in/")
    assert "By its name" in client.get(href).text


def nested(depth: int) -> bytes:
    raw = mail(subject=f"Depth {depth}", mark=f"m{depth}", words=b"bottom")
    for level in range(depth - 1, -1, -1):
        raw = mail(part("message/rfc822", "in.eml", raw), subject=f"Depth {level}", mark=f"m{level}")
    return raw


def test_messages_open_five_deep_and_no_deeper(deliver, ann, browser_of):
    client = browser_of(ann)
    where = f"/mail/inbox/{show_id(deliver(ann, nested(7)))}"
    links, depth = hrefs(client.get(where).text, "/in/"), 0
    while links:
        depth += 1
        answer = client.get(links[0])
        assert answer.status_code == 200, "what is offered is there"
        assert f"Depth {depth}" in answer.text
        deepest = links[0]
        links = [href for href in hrefs(answer.text, "/in/") if re.search(r"/in/[\d.]+$", href)]
    assert depth == 5
    assert client.get(deepest + ".2").status_code == 404


def test_an_attached_messages_links_are_written_out(carried):
    html = b"From: z@example.org\r\nContent-Type: text/html\r\n\r\n<p><a href='https://example.org/very/long'>go</a>\r\n"
    client, _where, page = carried(part("message/rfc822", "a.eml", html))
    inner = client.get(hrefs(page, "/in/")[0]).text
    assert 'href="https://example.org/very/long"' in inner
    assert "/l/1" not in inner


# --- the questions that every view answers -------------------------------------------------------------------------------


@pytest.fixture
def everywhere(carried):
    """The addresses of a message's files, as its page names them."""
    client, where, page = carried()
    (inner,) = hrefs(page, "/in/")
    found = [hrefs(page, "/preview")[0], hrefs(page, "/thumbnail")[0], f"{where}/all.zip", inner]
    return (
        client,
        where,
        [*found, hrefs(client.get(inner).text, r"inner\.png")[0], hrefs(page, r"notes\.txt")[0]],
    )


def test_strangers_and_the_signed_out(everywhere, browser_of, stranger, ben):
    _client, _where, paths = everywhere
    theirs = browser_of(ben)
    for path in paths:
        absent = re.sub(r"/mail/inbox/[^/]+", "/mail/inbox/AAAAAAAA", path)
        one, other = theirs.get(path), theirs.get(absent)
        assert (one.status_code, other.status_code) == (404, 404), path
        assert without_tokens(one.text) == without_tokens(other.text)
        assert stranger.get(path).headers["Location"].startswith("/auth/sign-in")
        stranger.delete_cookie("__clerk_redirect_count", domain="mail.localhost")


def test_other_folders_and_methods(everywhere, csrf):
    client, _where, paths = everywhere
    token = csrf(client)
    for path in paths:
        assert client.get(path.replace("/inbox/", "/sent/")).status_code == 404
        assert client.get(path.replace("/inbox/", "/nowhere/")).status_code == 404
        assert client.post(path, data={"csrf_token": token}).status_code == 405


def test_a_suspended_person_is_stopped(everywhere, superuser):
    client, _where, paths = everywhere
    superuser.execute(text("UPDATE account SET status = 'suspended'"))
    for path in paths:
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("number", ["0", "1", "99", "99999999999999999999", "-1", "x", "1.5", "9" * 5000])
@pytest.mark.parametrize("path", ["{}/preview", "{}/thumbnail", "in/{}", "in/5/{}/a.png", "{}/a.txt"])
def test_parts_that_are_not_there(everywhere, number, path):
    client, where, _paths = everywhere
    assert client.get(f"{where}/{path.format(number)}").status_code == 404


@pytest.mark.parametrize(
    "within",
    ["1.1.1.1.1.1.1", "5.", ".5", "5..3", "5.3", "2", "\u0665", "\u00b2", "5\u0660", "+5", "5 ", "05.x", "%2e%2e", "99999", "5.99999999999999999999"],
)  # fmt: skip
def test_nestings_that_are_not_there(everywhere, within):
    client, where, _paths = everywhere
    assert client.get(f"{where}/in/{within}").status_code == 404
    assert client.get(f"{where}/in/{within}/1/a.png").status_code == 404


def test_previews_of_what_has_none(everywhere):
    client, where, paths = everywhere
    picture = re.search(r"/(\d+)/thumbnail", paths[1])[1]
    note = re.search(r"/(\d+)/preview", paths[0])[1]
    assert client.get(f"{where}/{picture}/preview").status_code == 404
    assert client.get(f"{where}/{note}/thumbnail").status_code == 404
    assert client.get(f"{where}/in/{note}").status_code == 404


def test_fragment_and_page_agree(everywhere):
    client, _where, paths = everywhere
    for path in (paths[0], paths[3]):
        mains = [
            re.search(r"(?s)<main.*</main>", without_tokens(client.get(path, headers=headers).text))[0]
            for headers in ({}, HX)
        ]
        assert mains[0] == mains[1]


def test_looking_changes_nothing(everywhere, superuser):
    client, _where, paths = everywhere
    before = superuser.execute(text("SELECT * FROM message")).all()
    for path in paths:
        client.head(path)
        client.get(path)
    assert superuser.execute(text("SELECT * FROM message")).all() == before
