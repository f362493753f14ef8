"""Other people's mail through the whole of mtumail: taken in, filed, listed, opened, its parts fetched, offered for an answer."""

import gzip
import io
import os
import re
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from webmail.db import show_id
from workers import filing

SETS = (
    "mime-*", "dsn-bounces", "arf", "spam-phish", "calendar", "tnef", "dkim", "dmarc*", "threading", "quoting", "tlsrpt",
)  # fmt: skip
NOT_MAIL = (
    ".json",
    ".jsonl",
    ".md",
    ".xml",
    ".out",
    ".yml",
    ".yaml",
    ".html",
    ".csv",
    ".key",
    ".pem",
    ".tnef",
    ".py",
)
INVITATION = (
    b"From: Zoe <zoe@example.org>\r\nTo: ann@mtumail.test\r\nSubject: Come\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nCome.\r\n"
    b"--b\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\n"
)
"""What a calendar file comes in: the corpora have most of them by themselves."""
EVERY = 1 if os.environ.get("MTUMAIL_ALL") else 8
LARGEST = 26_214_400
BATCH = 40
MOST_SECONDS = 30.0
MOST_FILES = 40
MOST_LOOKS = 6  # each is a process of its own in the jail

pytestmark = [pytest.mark.corpora, pytest.mark.slow]


def files(folder: Path) -> Iterator[Path]:
    """The files of a set that are mail."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.removesuffix(".gz").endswith(NOT_MAIL):
            yield path


def mails(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The mail of a set as (name, bytes as SMTP brings them): one in EVERY, and one at the least; the same ones each time."""
    found = sorted(files(folder), key=lambda path: zlib.crc32(path.name.encode()))
    chosen = found[: -(-len(found) // EVERY)]
    for path in chosen:
        raw = path.read_bytes()
        if path.name.endswith(".gz"):
            raw = gzip.decompress(raw)
        raw = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
        if path.suffix == ".ics":
            raw = INVITATION + raw + b"\r\n--b--\r\n"
        if raw and len(raw) <= LARGEST:
            yield str(path.relative_to(folder.parent)), raw


def sets() -> list[str]:
    """The sets with mail that are here; one that says so where none is."""
    root = Path(os.environ.get("MTUMAIL_CORPORA") or Path(__file__).resolve().parents[3] / "shared/corpora")
    found = {folder.name for pattern in SETS for folder in root.glob(pattern) if any(files(folder))}
    return sorted(found) or ["mime-*"]


class Opening:
    """One message through every page that shows it; what answered wrongly, or too late, is kept in `bad`."""

    def __init__(self, enter: Callable[[], FlaskClient], bad: list[str]) -> None:
        self.enter = enter
        self.bad = bad
        self.asked = 0
        self.invitations = 0
        self.slowest = (0.0, "")
        self.client = enter()

    def ask(self, name: str, path: str, *good: int) -> str:
        """The text of a page; "" when it answered with anything but `good` (200 unless told)."""
        self.asked += 1
        began = time.monotonic()
        answer = self.client.get(path, follow_redirects=path.endswith("/formatted"))
        took = time.monotonic() - began
        self.slowest = max(self.slowest, (took, f"{name} {path}"))
        if took > MOST_SECONDS:
            self.bad.append(f"{name}: {took:.1f} s for {path}")
        try:
            if answer.status_code not in (good or (200,)):
                self.bad.append(f"{name}: {answer.status_code} {path}")
                return ""
            return answer.text if answer.mimetype == "text/html" else ""
        finally:
            answer.close()

    def all(self, name: str, shown: str, state: str, folder: str = "inbox") -> None:
        """Every page of one message."""
        self.client = self.enter()  # anew for each: a session's token is good for a minute
        here = f"/mail/{folder}/{shown}"
        page = self.ask(name, here)
        if page and f'<article class="message" id="m-{shown}"' not in page:
            self.bad.append(f"{name}: not shown")
        self.ask(name, f"{here}/source")
        self.ask(name, f"{here}/message.eml")
        if state == "unreadable":
            self.bad.append(f"{name}: set aside as unreadable")
            return
        if page and f'id="trust-{shown}"' not in page:
            self.bad.append(f"{name}: nothing said of its sender")
        self.invitations += f'id="invitation-{shown}"' in page
        self.ask(name, f"{here}/print")
        if f'id="pictures-{shown}"' in page:
            self.ask(name, f"{here}/pictures")
        self.looks(name, here, page)
        if "view=formatted" in page:
            self.ask(name, f"{here}?view=formatted")
            self.ask(name, f"{here}/formatted")
        for href in re.findall(rf'href="({here}/\d+/[^"]*)" download', page)[:MOST_FILES]:
            self.ask(name, unescape(href))
            self.ask(name, unescape(href) + "?view=1")
        self.ask(name, f"/compose?reply={shown}")
        self.ask(name, f"/compose?reply={shown}&all=1")
        self.ask(name, f"/compose?forward={shown}")

    def looks(self, name: str, here: str, page: str) -> None:
        """Whatever the table of files offers to look at, and all of them in one file."""
        found = re.findall(rf'(?:href|src)="({here}/(?:\d+/preview|\d+/thumbnail|in/\d+|all\.zip))"', page)
        for href in list(dict.fromkeys(found))[:MOST_LOOKS]:
            good = (200, 404) if href.endswith("/thumbnail") else (200,)  # it may be no picture at all
            inner = self.ask(name, href, *good)
            if "/in/" in href:
                for file in re.findall(rf'href="({here}/in/[^"]+)" download', inner)[:MOST_LOOKS]:
                    self.ask(name, unescape(file))
        if f"{here}/all.zip" in found:
            self.zip(name, f"{here}/all.zip")

    def zip(self, name: str, path: str) -> None:
        """It opens, and unpacks to nowhere but where one is."""
        with self.client.get(path) as answer, zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
            names = archive.namelist()
            if archive.testzip() is not None or len({one.casefold() for one in names}) < len(names):
                self.bad.append(f"{name}: its zip is damaged")
            if any(re.search(r"[/\\:\x00-\x1f]|^\.", one) for one in names):
                self.bad.append(f"{name}: names in its zip that lead elsewhere")


@pytest.mark.parametrize("folder", sets())
def test_every_message_is_filed_and_opened(folder, corpora, ann, receive, worker, browser_of, superuser):
    # Each message has a line of its own in the list, and a page to itself.
    superuser.execute(text('UPDATE account SET preferences = \'{"conversations": "flat"}\''))
    bad: list[str] = []
    batch: list[tuple[str, bytes]] = []
    opening, count = Opening(lambda: browser_of(ann), bad), 0

    def through() -> None:
        ids = {receive(ann, raw): name for name, raw in batch}
        began = time.monotonic()
        filing.drain()
        if time.monotonic() - began > MOST_SECONDS:
            bad.append(f"{time.monotonic() - began:.1f} s to file {', '.join(name for name, _ in batch)}")
        rows = superuser.execute(
            text(
                "SELECT message_id, state, f.kind FROM message JOIN folder f USING (mailbox_id, folder_id) WHERE message_id = ANY(:ids)"
            ),
            {"ids": list(ids)},
        ).all()
        assert {row.message_id for row in rows} == set(ids)
        listed = _listed(browser_of(ann), "inbox") | _listed(browser_of(ann), "junk")
        for row in rows:
            name, shown = ids[row.message_id], show_id(row.message_id)
            if row.state == "received":
                bad.append(f"{name}: not filed")
            if shown not in listed:
                bad.append(f"{name}: not in the list")
            opening.all(name, shown, row.state, row.kind)
        batch.clear()

    for item in mails(corpora / folder):
        batch.append(item)
        count += 1
        if len(batch) == BATCH:
            through()
    if batch:
        through()
    assert count, "all that was chosen is empty or too large"
    sys.stdout.write(
        f"\n{folder}: {count} messages, {opening.asked} pages, slowest {opening.slowest[0]:.1f} s: {opening.slowest[1]}\n"
    )
    assert superuser.execute(text("SELECT count(*) FROM work WHERE kind = 'file'")).scalar_one() == 0
    assert not bad, "\n".join(bad)
    assert opening.invitations or folder != "calendar", "not one invitation was seen"


def _listed(client: FlaskClient, folder: str) -> set[str]:
    """The ids on every page of a folder."""
    found: set[str] = set()
    path = f"/mail/{folder}"
    for _ in range(200):
        page = client.get(path)
        assert page.status_code == 200, path
        found |= set(re.findall(r'<tr data-id="([^"]+)"', page.text))
        older = re.search(r'href="([^"]+)" rel="next"', page.text)
        if older is None:
            return found
        path = unescape(older[1])
    raise AssertionError(f"{folder} has no end")


def test_what_is_not_shown_is_noticed(ann, browser_of):
    """Otherwise the tests here could not fail."""
    bad: list[str] = []
    Opening(lambda: browser_of(ann), bad).all("absent", show_id(7), "filed")
    assert any("404" in line for line in bad)
