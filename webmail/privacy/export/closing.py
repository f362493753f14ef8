"""The end of an export: records, contacts, rules, and the list of every message with its checksum."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from webmail.db import show_id
from webmail.governance.quarantine import reading
from webmail.governance.quarantine.reading import Held
from webmail.keys import MailboxKeys
from webmail.mail import bundle, contacts, correspondents, identities
from webmail.privacy.export import draft_file, records, zipped
from webmail.privacy.export.parts import Box, Writer, entries, listed
from webmail.sending import drafts

SCHEMA: Final = Path(__file__).with_name("schema.json")


def write(
    keys: MailboxKeys, of: Box, account_id: int, made_at: datetime, *, with_records: bool, form: str
) -> None:
    """Add the last parts of an export, each whole."""
    _file(of, "messages.jsonl", _messages(of))
    held = reading.held_here(keys, account_id)
    if held:
        _file(of, "held.jsonl", _held(held))
    if with_records:
        _file(of, "records.json", records.encoded(records.gather(keys, account_id, made_at)))
        _file(of, "schema.json", [SCHEMA.read_bytes()])
        _file(of, "contacts.vcf", [contacts.export(keys)])
        _file(of, "rules.sieve", [sieve([one.address for one in correspondents.blocked(keys)]).encode()])
        if records.draft_ids(keys.mailbox_id):
            _drafts(keys, of)
    _file(of, "readme.txt", [_readme(of, form).encode()])


def _file(of: Box, name: str, content: Iterable[bytes]) -> None:
    """Add a part, unless there is nothing in it."""
    pieces = filter(None, content)
    if (first := next(pieces, None)) is None:
        return
    writer = Writer.begin(of, name)
    for piece in chain([first], pieces):
        writer.write(piece)
    writer.finish()


def _messages(of: Box) -> Iterator[bytes]:
    """One line of JSON a message: in which file it is, and what was told of it."""
    for part in listed(of.mailbox_id, of.export_id):
        if part.folder_id is None:
            continue
        for ident, line, facts in entries(of, part.number):
            told = {"id": ident, "file": part.name, "entry": facts[0] if facts else None} | _pairs(line)
            yield json.dumps(told, ensure_ascii=False).encode() + b"\n"


def _held(found: Sequence[Held]) -> Iterator[bytes]:
    """One line of JSON for each message that the staff holds now: it is not lost, and comes with an export after that."""
    for one in found:
        told = {
            "id": show_id(one.message_id),
            "folder": one.folder.slug,
            "received_at": one.received_at.isoformat(),
            "size_bytes": one.size_bytes,
            "sender": one.sender[1],
            "subject": one.subject,
            "held_by_the_staff": {
                "reason": one.rule,
                "since": one.since.isoformat(),
                "until": one.until.isoformat(),
            },
        }
        yield json.dumps(told, ensure_ascii=False).encode() + b"\n"


def _pairs(line: str) -> dict[str, Any]:
    _version, *pairs = line.split("; ")
    said = dict(pair.partition("=")[::2] for pair in pairs)
    return {
        "folder": said["folder"],
        "received_at": said["received"],
        "size_bytes": int(said["bytes"]),
        "sha256": said["sha256"],
        "flags": said["flags"],
        "thread": said["thread"],
    }


def _drafts(keys: MailboxKeys, of: Box) -> None:
    """Drafts whole, in a folder each: what was typed (`draft.json`), and the files."""
    writer = Writer.begin(of, "drafts.zip")
    members = []
    people = {one.id: one for one in identities.of(keys)}

    def put(name: str, at: datetime, content: bytes) -> None:
        told, data = zipped.member(name, at, content, writer.size, "")
        members.append(told)
        writer.write(data)

    for draft_id in records.draft_ids(keys.mailbox_id):
        draft = drafts.load(keys, draft_id)
        folder, at = show_id(draft_id), draft.saved_at
        names = bundle.names(["draft.json", *(one.name for one in draft.attachments)])[1:]
        told = draft_file.tell(draft, people, names)
        put(f"{folder}/draft.json", at, json.dumps(told, ensure_ascii=False, indent=1).encode())
        for one, name in zip(draft.attachments, names, strict=True):
            put(f"{folder}/{name}", at, drafts.file(keys, draft_id, one.number).content)
    for piece in zipped.directory(members, writer.size):
        writer.write(piece)
    writer.finish()


def sieve(blocked: Iterable[str]) -> str:
    """Blocked senders as a script of RFC 5228: their mail goes to Junk."""
    addresses = sorted(blocked)
    if not addresses:
        return "# Nobody is blocked.\n"
    listed_ = ",\n    ".join(_string(address) for address in addresses)
    return f'require ["fileinto"];\n\nif address :all :is "from" [\n    {listed_}\n] {{\n    fileinto "Junk";\n    stop;\n}}\n'


def _string(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _readme(of: Box, form: str) -> str:
    about = [
        "An export of a mailbox of mtumail.",
        "",
        "Each file of messages holds one folder of one month (UTC)."
        if form == "mbox"
        else "Each zip holds the messages of one folder of one month (UTC), one .eml file each.",
        "mbox files are of the kind mboxrd. Four header lines after each From line are ours and no part of the message: X-Mtumail,"
        if form == "mbox"
        else "What X-Mtumail says elsewhere is the comment of each file in a zip:",
        "Status, X-Status and X-Keywords." if form == "mbox" else "folder, time, flags, and checksum.",
        "messages.jsonl lists every message with the SHA-256 of its exact bytes.",
        "held.jsonl, where there is one, lists messages that the staff holds now, and why: export again when that has ended.",
        "records.json is everything else; schema.json describes it (JSON Schema 2020-12).",
        "",
        "SHA-256 of the files:",
    ]
    sums = [
        f"{part.sha256.hex()}  {part.name}" for part in listed(of.mailbox_id, of.export_id) if part.sha256
    ]
    return "\n".join([*about, *sums]) + "\n"
