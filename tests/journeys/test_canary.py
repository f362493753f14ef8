"""Words that only a message holds are looked for in everything that lies on disk: none may stand there in clear."""

import gzip
import os
import random
import re
import smtplib
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from webmail.embedded import programs

pytestmark = pytest.mark.slow

KINDS = ("subject", "body", "file", "content", "sender", "query", "draft", "reply", "header", "html")


def word(kind: str) -> str:
    """A word that stands nowhere else, made of letters that no encoding changes."""
    letters = random.Random(uuid.uuid4().int).choices("bcdfghjklmnpqrstvwxz", k=14)
    return f"{kind[:3]}{''.join(letters)}"


@pytest.fixture(scope="module")
def canaries(service, ann_client, mail_from_outside, relayed, eventually) -> dict[str, str]:
    """Put each word where people put such words, and let everything that handles mail run over it."""
    words = {kind: word(kind) for kind in (*KINDS, "bcc")}
    subject = f"A note on {words['subject']}"
    mail_from_outside(
        subject, f"Dear Ann,\n{words['body']} it is.\n", sender=f"{words['sender']} Person <zoe@example.org>",
        files={f"{words['file']}.bin": f"{words['content']}\n".encode()},
    )  # fmt: skip
    raw = (
        f"From: x <x@example.org>\r\nTo: ann@mtumail.test\r\nSubject: broken {words['subject']}\r\nX-Canary: {words['header']}\r\n"
        "Content-Type: text/html; charset=utf-9-none\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        f"!!{words['html']}<p>{words['html']}\r\n"  # no base64, no charset: what goes wrong must not say it
    )
    with smtplib.SMTP("127.0.0.1", service.smtp_port, timeout=20) as server:
        server.sendmail("x@example.org", ["ann@mtumail.test"], raw.encode())

    def rows():
        found = {row[2]: row[1] for row in ann_client.get("/").rows() if words["subject"] in row[2]}
        return found if len(found) == 2 else None

    found = eventually(rows, 5, "the messages with the canaries")
    href = found[subject]
    assert ann_client.get(found[f"broken {words['subject']}"]).status == 200
    page = ann_client.get(href)
    assert words["body"] in page.text
    assert words["content"].encode() in ann_client.get(page.link(words["file"])).answer.body
    for path in (
        f"/search?q={words['query']}",
        f"/search?q=subject:{words['query']}%20%22{words['query']}",
        f"{href}/source",
    ):
        assert ann_client.get(path).status == 200
    # What goes wrong must not say it either.
    for path in (
        f"/mail/{words['query']}/x",
        f"/compose?draft={words['query']}",
        f"/search?q=a&c={words['query']}",
    ):
        assert ann_client.get(path).status in (200, 404)

    composer = ann_client.get("/compose")
    form = composer.form(id="compose")
    bad = ann_client.press(
        composer, form, "Send", to="not an address", subject=words["draft"], body=f"{words['draft']} body\n"
    )
    assert bad.status == 422
    composer = ann_client.get("/compose?reply=" + href.rpartition("/")[2])
    form = composer.form(id="compose")
    ann_client.press(
        composer,
        form,
        "Send",
        bcc=f"{words['bcc']}@example.net",
        body=f"{words['reply']}\n",
        files={f"{words['file']}.txt": words["content"].encode()},
    )
    relayed(f"Re: {subject}")
    return words


def found_in(content: bytes, words: dict[str, str]) -> set[str]:
    """The kinds of canary that stand in `content`, in any case or as UTF-16."""
    lowered = content.lower()
    return {
        kind
        for kind, text in words.items()
        if text.encode() in lowered
        or text.encode("utf-16-le") in lowered
        or text.encode().hex().encode() in lowered
    }


def dump(service) -> bytes:
    """Everything that the database holds, as its superuser."""
    folder, _ = programs.postgres_programs()
    sockets = (service.data / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()[4]
    done = subprocess.run(
        [str(folder / "pg_dumpall"), "-h", sockets, "-U", "postgres", "--no-password"],
        capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", os.defpath), "PGPASSWORD": (service.data / "postgres" / "superuser.password").read_text().strip()},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def unhexed(content: bytes) -> bytes:
    r"""The bytea values of a dump (`\\x6869`), read."""
    return b"\n".join(
        bytes.fromhex(found[1].decode()) for found in re.finditer(rb"\\\\x((?:[0-9a-f]{2})+)", content)
    )


def test_the_database_holds_no_word_of_any_message(service, canaries):
    content = dump(service)
    assert b"ann" in content, "the dump holds metadata"
    assert b"example.org" in content, "envelope addresses are metadata"
    secret = {kind: text for kind, text in canaries.items() if kind != "bcc"}
    assert found_in(content, secret) == set()
    values = unhexed(content)
    assert len(values) > 10_000, "sealed values were looked into"
    assert found_in(values, secret) == set()


def test_the_search_can_find_them(canaries):
    """Otherwise the tests here could not fail."""
    text = canaries["subject"]
    for form in (
        text.encode(),
        text.upper().encode(),
        text.encode("utf-16-le"),
        text.encode().hex().encode(),
    ):
        assert found_in(b"..." + form + b"...", canaries) == {"subject"}
    assert found_in(unhexed(b"1\t\\\\x" + text.encode().hex().encode() + b"\t2"), canaries) == {"subject"}


def files_of(service) -> list[Path]:
    """Everything below the data folder but what the sink keeps on purpose, and Postgres' own files."""
    exempt = (service.data / "relay",)
    return [
        path
        for path in service.data.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not any(path.is_relative_to(folder) for folder in exempt)
    ]


def test_no_file_holds_a_word_of_any_message(service, canaries):
    """Logs, Valkey's files, temporary files, and the very blocks of Postgres with its write-ahead log."""
    time.sleep(1.5)  # Valkey writes its log once a second
    secret = {kind: text for kind, text in canaries.items() if kind != "bcc"}
    seen = files_of(service)
    names = {path.parent.name for path in seen}
    assert {"logs", "appendonlydir", "pg_wal"} <= names, names
    bad = {}
    for path in seen:
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # the servers go on
            continue
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        if found := found_in(content, secret):
            bad[str(path.relative_to(service.data))] = found
    assert bad == {}


def test_logs_hold_no_address_either(service, canaries):
    logs = list((service.data / "logs").iterdir())
    assert logs
    for path in logs:
        content = path.read_bytes()
        assert found_in(content, canaries) == set(), path.name
        assert b"zoe@example.org" not in content, path.name
