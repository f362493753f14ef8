"""Other people's mail: every file is read, in bounds, and as its authors expect where they state a standard."""

import gzip
import json
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from webmail.mail.charsets import decode
from webmail.mail.mime import Message, message_text, parse, part_content, part_text, snippet

CORPORA = Path(os.environ.get("MTUMAIL_CORPORA") or Path(__file__).resolve().parents[3] / "shared/corpora")
SETS = (
    "mime-*",
    "dsn-bounces",
    "arf",
    "spam-phish",
    "calendar",
    "tnef",
    "dkim",
    "dmarc*",
    "threading",
)
NOT_MAIL = (".json", ".jsonl", ".md", ".xml", ".out", ".yml", ".html")

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason=f"no test material in {CORPORA}"),
]


def folders() -> list[str]:
    return (
        sorted({folder.name for pattern in SETS for folder in CORPORA.glob(pattern)})
        if CORPORA.is_dir()
        else []
    )


def files(folder: str) -> Iterator[tuple[Path, bytes]]:
    for path in sorted((CORPORA / folder).iterdir()):
        if path.is_file() and not path.name.endswith(NOT_MAIL):
            raw = path.read_bytes()
            yield (
                path,
                gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") and path.name.endswith(".gz") else raw,
            )


def strings(message: Message) -> Iterator[str]:
    """The strings of one line."""
    yield from (message.subject, message.message_id, message.in_reply_to, *message.references)
    for header in message.headers:
        yield from (header.name, header.value)
    for addresses in (message.from_, message.reply_to, message.to, message.cc, message.bcc):
        for one in addresses:
            yield from (one.local, one.domain, one.name, one.email, one.display)
    for part in message.parts:
        yield from (
            part.content_type,
            part.charset,
            part.name,
            part.content_id,
            part.download_name,
            part.path,
        )


def check(path: Path, raw: bytes, message: Message) -> None:
    assert "unreadable" not in message.problems, path
    for line in strings(message):
        assert not set("\0\r\n\u202e") & set(line), (path, line)
        line.encode()
    for text in (message.text, *message.html_parts, message_text(message), snippet(message)):
        assert "\0" not in text, path
        assert "\r" not in text, path
        text.encode()
    assert len(message.html_parts) == sum(part.kind == "body-html" for part in message.parts), path
    for part in message.parts:
        assert len(part.name) <= 150, path
        assert "/" not in part.name, path
        assert "\\" not in part.name, path


def check_tiling(path: Path, raw: bytes, message: Message) -> None:
    """Parts lie within their container, after one another, and the root holds the rest of the message."""
    last: dict[int, int] = {}
    for number, part in enumerate(message.parts):
        assert part.number == number, path
        assert 0 <= part.head <= part.start <= part.end <= len(raw), path
        if part.parent < 0:
            assert number == 0, path
            assert part.end == len(raw) or "too-many-parts" in message.problems, path
        else:
            above = message.parts[part.parent]
            assert above.kind == "container", path
            assert above.start <= part.head <= part.end <= above.end, path
            assert last.get(part.parent, above.start) <= part.head, path
            last[part.parent] = part.end
        if part.kind != "container":
            assert len(part_content(raw, part)) == part.size, path


@pytest.mark.parametrize("folder", folders())
def test_every_mail_is_read(folder):
    """Never raises, clean strings, sound tree, under two seconds of work each."""
    count = 0
    for path, raw in files(folder):
        begun = time.process_time()
        message = parse(raw)
        message_text(message)
        snippet(message)
        assert time.process_time() - begun < 2, path
        check(path, raw, message)
        check_tiling(path, raw, message)
        count += 1
    assert count or folder == "dmarc-policy"


@pytest.mark.parametrize("folder", folders())
def test_line_ends_do_not_change_what_is_read(folder):
    """As sent by SMTP: every line end CRLF. The tree, the text and the headers must be those of the stored file."""
    for path, raw in list(files(folder))[::5]:
        if b"\0" in raw or b"Content-Transfer-Encoding: binary" in raw or b"\n" not in raw:
            continue
        unix = raw.replace(b"\r\n", b"\n")
        if b"\r" in unix:
            continue
        a, b = parse(unix), parse(unix.replace(b"\n", b"\r\n"))
        assert [(part.path, part.content_type, part.kind, part.name) for part in a.parts] == [
            (part.path, part.content_type, part.kind, part.name) for part in b.parts
        ], path
        assert (a.headers, a.date, a.references) == (b.headers, b.date, b.references), path
        if not any(problem.endswith("cut") for problem in (*a.problems, *b.problems)):
            assert (a.text, a.html_parts) == (b.text, b.html_parts), path


@pytest.mark.slow
def test_memory_of_the_hostile_ones():
    for path, raw in files("mime-generated"):
        if len(raw) < 20_000:
            continue
        tracemalloc.start()
        try:
            message = parse(raw)
            message_text(message)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 100 * 2**20, path


GENERATED = {
    "nest-multipart-100": "too-deep",
    "nest-multipart-1000": "too-deep",
    "attachments-empty-name-10000": "too-many-parts",
    "from-two-headers": "duplicate-header:from",
    "ct-duplicate": "duplicate-header:content-type",
    "cte-duplicate": "duplicate-header:content-transfer-encoding",
    "cte-unknown": "unknown-encoding",
    "cte-multipart-b64": "encoded-multipart",
    "boundary-dup-param": "duplicate-param:boundary",
    "boundary-missing": "bad-boundary",
    "boundary-long": "bad-boundary",
    "boundary-unclosed": "unclosed-multipart",
    "subject-encoded-words-20k": "header-cut",
    "to-nested-comments": "header-cut",
    "header-long-300000": "header-cut",
    "charset-zlib": "bad-charset",
    "charset-idna-long": "bad-charset",
    "charset-unicode_escape": "bad-charset",
    "charset-x_unknown": "bad-charset",
}


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_what_is_wrong_is_named(name):
    path = CORPORA / "mime-generated" / f"{name}.eml"
    raw = (
        path.read_bytes()
        if path.exists()
        else gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
    )
    assert GENERATED[name] in parse(raw).problems


def test_hostile_names_and_duplicates_are_safe():
    read = {path.name.partition(".")[0]: parse(raw) for path, raw in files("mime-generated")}
    assert "/" not in read["file-absolute"].attachments[0].name
    assert len(read["file-long"].attachments[0].name) == 150
    assert read["boundary-prefix"].text.strip() == "part"
    assert len(read["efail"].html_parts) == 2
    assert read["related-cid-loop"].inline_images == {}
    assert read["ct-duplicate"].html is None
    assert not set("\r\n") & set(read["subject-crlf-encoded"].subject)
    assert len(read["from-two-addresses"].from_) == 2


# --- Stalwart's golden files: subject, addresses, bodies and attachments of 64 messages

# Where we read a message in another way, and why. What is not listed here must agree.
UTF7 = "utf-7 is refused: it hides markup"
DIFFERENT = {
    "legacy__001": ("subject to text", UTF7),
    "legacy__005": ("subject to text", UTF7),
    "legacy__034": ("text", UTF7),
    "legacy__020": ("subject to", "raw Latin-1 headers are read, not replaced"),
    "legacy__022": ("subject to", "raw Latin-1 headers are read, not replaced"),
    "legacy__016": ("attachments", "the golden name has its Latin-1 octets replaced"),
    "legacy__023": ("attachments", "the golden name has its Latin-1 octets replaced"),
    "legacy__035": ("attachments", "a Windows path is cut to its last component"),
    "malformed__000": ("text html", "a multipart in which no part is found is shown, so that nothing hides"),
    "malformed__001": (
        "text attachments",
        "a multipart in which no part is found is shown, so that nothing hides",
    ),
    "malformed__003": (
        "text attachments",
        "a multipart in which no part is found is shown, so that nothing hides",
    ),
    "malformed__004": (
        "text attachments",
        "a multipart in which no part is found is shown, so that nothing hides",
    ),
    "malformed__006": ("text attachments", "the same boundary twice: the outer one wins (RFC 2046 5.1.2)"),
    "malformed__008": ("html attachments", "the same boundary twice: the outer one wins (RFC 2046 5.1.2)"),
    "malformed__009": (
        "text attachments",
        "an outer delimiter ends an unclosed inner multipart (RFC 2046 5.1.2)",
    ),
    "malformed__012": ("attachments", "an outer delimiter ends an unclosed inner message (RFC 2046 5.1.2)"),
    "malformed__013": ("text", "delimiters are whole lines: what follows a close is epilogue"),
    "malformed__016": (
        "text attachments",
        "an outer delimiter ends an unclosed inner multipart (RFC 2046 5.1.2)",
    ),
    "malformed__017": ("attachments", "a file name counts without a disposition before it"),
    "malformed__021": ("text html", "of two Content-Type headers the first stands"),
    "rfc__001": (
        "from to attachments",
        "a word without @ is shown as an address without a domain; no paths in names",
    ),
    "rfc__004": ("from to", "a word without @ is shown as an address without a domain"),
    "thirdparty__002": (
        "text attachments",
        "one part of garbage in base64 is shown as far as it decodes",
    ),
    "thirdparty__005": ("text", "a delimiter begins a line (RFC 2046 5.1.1)"),
    "thirdparty__015": (
        "attachments",
        "attached messages end at the outer delimiter, so all three are found",
    ),
}


def golden() -> list[Path]:
    found = sorted((CORPORA / "mime-stalwart").glob("*.json")) if CORPORA.is_dir() else []
    return [path for path in found if path.with_suffix(".eml").exists()]


def header(expected: dict[str, Any], name: str) -> list[Any]:
    return [one["value"] for one in expected["parts"][0]["headers"] if one["name"] == name]


def addresses(expected: dict[str, Any], name: str) -> list[tuple[str, str]]:
    out = []
    for value in header(expected, name):
        if isinstance(value, dict):
            kind = value["Address"]
            listed = (
                kind["List"]
                if "List" in kind
                else [one for group in kind["Group"] for one in group["addresses"]]
            )
            out += [(words(one.get("name") or ""), (one.get("address") or "").lower()) for one in listed]
    return out


def words(text: str) -> str:
    return " ".join(text.split())


def body(part: dict[str, Any]) -> tuple[str, Any]:
    return next(iter(part["body"].items()))


def bodies(expected: dict[str, Any], view: str, kind: str) -> list[str]:
    found = [body(expected["parts"][number]) for number in expected[view]]
    return [words(content) for one, content in found if one == kind]


def attachments(expected: dict[str, Any]) -> list[tuple[str, int | None]]:
    out = []
    for number in expected["attachments"]:
        part, name = expected["parts"][number], ""
        kind, content = body(part)
        typed = (
            one["value"].get("ContentType") or {} for one in part["headers"] if isinstance(one["value"], dict)
        )
        for attribute in (one for value in typed for one in value.get("attributes") or []):
            name = attribute["value"] if attribute["name"] in ("filename", "name") else name
        out.append((name, len(content) if kind in ("Binary", "InlineBinary") else None))
    return out


def differences(raw: bytes, message: Message, expected: dict[str, Any]) -> set[str]:
    subject = header(expected, "subject")
    wanted = (
        words(subject[0]["Text"]) if subject and isinstance(subject[0], dict) and "Text" in subject[0] else ""
    )
    found = {"subject"} if words(message.subject) != wanted else set()
    for name, listed in (("from", message.from_), ("to", message.to), ("cc", message.cc)):
        if addresses(expected, name) != [(words(one.name), one.email.lower()) for one in listed]:
            found.add(name)
    for view, kind, ours, numbers in (
        ("text_body", "Text", "text", message.text_body),
        ("html_body", "Html", "html", message.html_body),
    ):
        chosen = [message.parts[n] for n in numbers if message.parts[n].kind == f"body-{ours}"]
        if bodies(expected, view, kind) != [words(part_text(raw, part)) for part in chosen]:
            found.add(ours)
    files = [part for part in message.parts if part.kind in ("attachment", "message", "inline-image")]
    want = attachments(expected)
    if [name for name, _ in want] != [part.name for part in files] or any(
        size is not None
        and size != len(part_content(raw, part).replace(b"\r\n", b"\n"))
        and size != part.size
        for (_, size), part in zip(want, files, strict=True)
    ):
        found.add("attachments")
    return found


@pytest.mark.parametrize("path", golden(), ids=lambda path: path.stem)
def test_stalwart_golden(path):
    raw = path.with_suffix(".eml").read_bytes()
    expected = json.loads(path.read_text(encoding="utf-8"))
    allowed = set(DIFFERENT.get(path.stem, ("", ""))[0].split())
    assert differences(raw, parse(raw), expected) == allowed


def test_stalwart_deviations_are_all_in_use():
    assert set(DIFFERENT) <= {path.stem for path in golden()}


# --- mime4j: what each part decodes to


MIME4J_DIFFERENT = {
    "mimetools-testmsgs__multi-frag_decoded_1_3_2.bin": "base64 that ends within a group is decoded to its end",
    "testmsgs__basic-plain-with-bad-header-separator_decoded_1.txt": "the first line that is no header begins the body",
    "testmsgs__malformedHeader-nocrlfcrlf_decoded_1.txt": "the first line that is no header begins the body",
    "testmsgs__obsolete_decoded_1.txt": "the first line that is no header begins the body",
    "testmsgs__very-long-boundary_decoded_1_1.txt": "a boundary does not end in space (RFC 2046 5.1.1)",
}


def decoded() -> list[tuple[Path, str, Path]]:
    """(message, "1_2" as mime4j numbers parts, file with what it decodes to)."""
    out = []
    for path in sorted((CORPORA / "mime-mime4j").glob("*.msg")) if CORPORA.is_dir() else []:
        stem = path.name.removesuffix(".msg") + "_decoded_"
        for content in sorted(path.parent.glob(f"{stem}*")):
            if content.suffix in (".txt", ".bin"):
                out.append((path, content.stem.removeprefix(stem), content))
    return out


def lines(octets: bytes) -> list[bytes]:
    return [line.rstrip() for line in octets.replace(b"\r\n", b"\n").strip().split(b"\n")]


def test_mime4j_contents():
    """The decoded octets of every leaf that mime4j finds are those of a leaf that we find, in the same order."""
    by_message: dict[Path, list[Path]] = {}
    for path, _, content in decoded():
        by_message.setdefault(path, []).append(content)
    agreed, wrong = 0, []
    for path, contents in by_message.items():
        raw = path.read_bytes()
        message = parse(raw)
        ours = [
            part_content(raw, part) for part in message.parts if part.kind not in ("container", "message")
        ]
        for content in contents:
            octets = content.read_bytes()
            want = lines(octets)
            known = [lines(one) for one in ours] + [
                lines(decode(one, part.charset)[0].encode())
                for one, part in zip(
                    ours, (p for p in message.parts if p.kind not in ("container", "message")), strict=True
                )
            ]
            if want in known or inside_a_message(raw, message, want):
                agreed += 1
            else:
                wrong.append(content.name)
    assert set(wrong) <= set(MIME4J_DIFFERENT)
    assert agreed > 50


def inside_a_message(raw: bytes, message: Message, want: list[bytes]) -> bool:
    for part in message.parts:
        if part.kind != "message":
            continue
        inner_raw = part_content(raw, part)
        inner = parse(inner_raw)
        if any(
            lines(part_content(inner_raw, one)) == want
            for one in inner.parts
            if one.kind not in ("container", "message")
        ):
            return True
        if inside_a_message(inner_raw, inner, want):
            return True
    return False
