"""Complaints that servers send: feedback reports (ARF, RFC 5965; failure reports, RFC 6591) and XARF within them. Pure.

`read` never raises and is linear in time. It says what a message claims and nothing of whether to believe it: what is ours is
known by a return path that we made, and not by what a report says.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from webmail.mail import mime
from webmail.mail.charsets import clean_name, decode

MAX_TEXT: Final = 65_536
MAX_VALUE: Final = 998
MAX_VALUES: Final = 20
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60})[ \t]*:[ \t]*(.*)")
_PATH = re.compile(r"<?([^\s<>@]{1,256}@[^\s<>@]{1,255})>?")
_RETURNED: Final = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global-headers",
)
_JSON: Final = ("application/json", "text/json", "application/xarf+json")
KINDS: Final = {
    "abuse": "spam", "opt-out": "spam", "opt-out-list": "spam", "complaint": "spam", "spam": "spam", "spamvertised": "spam",
    "fraud": "phishing", "phishing": "phishing", "trademark": "fraud", "copyright": "other", "virus": "malware",
    "malware": "malware", "compromised": "security", "botnet": "security", "auth-failure": "delivery", "miscategorized": "other",
    "not-spam": "other", "other": "other",
}  # fmt: skip
"""Types of reports as kinds of cases; what is not here is "other"."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a complaint says. Addresses are bare and as they were written; `message_id` has no brackets; "" for what is not said.

    `kind` is one of a case's. `sender` is the author of the message that is complained of; `paths` are return paths that it
    may have left with, the surest first.
    """

    type: str
    kind: str
    agent: str = ""
    paths: tuple[str, ...] = ()
    sender: str = ""
    message_id: str = ""
    subject: str = ""
    source_ip: str = ""
    domains: tuple[str, ...] = ()
    incidents: int = 1
    text: str = ""
    """The words of what is complained of, where they came along."""


def read(parsed: mime.Message, raw: bytes) -> Feedback | None:
    """The complaint that `parsed` is; None for all other mail. `raw` is what it was parsed from. Never raises; linear."""
    try:
        return _read(parsed, raw)
    except Exception:  # the last wall: a complaint that cannot be read is mere mail
        return None


def _read(parsed: mime.Message, raw: bytes) -> Feedback | None:
    fields: dict[str, list[str]] = {}
    told: dict[str, Any] = {}
    for part in parsed.parts:
        if part.content_type == "message/feedback-report" and not fields:
            fields = _fields(_text(raw, part))
        elif part.content_type in _JSON and not told:
            told = _xarf(_text(raw, part))
    if not fields and not told:
        return None
    kind = (_first(fields, "feedback-type") or told.get("type", "") or "other").lower()[:60]
    original = _original(parsed, raw)
    paths = [*fields.get("original-mail-from", ()), *([original.header("Return-Path")] if original else [])]
    sender = next((one.email for one in original.from_), "") if original else ""
    return Feedback(
        type=kind,
        kind=KINDS.get(kind, "other"),
        agent=_first(fields, "user-agent")[:200],
        paths=tuple(dict.fromkeys(found[1] for path in paths if (found := _PATH.search(path[:MAX_VALUE])))),
        sender=sender or told.get("sender", ""),
        message_id=original.message_id if original else "",
        subject=original.subject[:300] if original else "",
        source_ip=(_first(fields, "source-ip") or told.get("ip", ""))[:45],
        domains=tuple(dict.fromkeys(value.lower()[:255] for value in fields.get("reported-domain", ()))),
        incidents=_count(_first(fields, "incidents")),
        text=mime.message_text(original)[:MAX_TEXT] if original else "",
    )


def _original(parsed: mime.Message, raw: bytes) -> mime.Message | None:
    for part in parsed.parts:
        if part.content_type in _RETURNED:
            return mime.parse(mime.part_content(raw, part)[:MAX_TEXT].lstrip(b"\r\n") + b"\r\n\r\n")
    return None


def _text(raw: bytes, part: mime.Part) -> str:
    return decode(mime.part_content(raw, part)[:MAX_TEXT], "utf-8")[0]


def _fields(text: str) -> dict[str, list[str]]:
    """The fields of a machine-readable part by name in lower case, unfolded (RFC 5965 section 3)."""
    found: dict[str, list[str]] = {}
    for name, value in _unfolded(text):
        values = found.setdefault(name.lower(), [])
        if len(values) < MAX_VALUES:
            values.append(clean_name(value.strip())[:MAX_VALUE])
    return found


def _unfolded(text: str) -> Iterator[tuple[str, str]]:
    name, pieces = "", [""]
    for line in text.splitlines():
        if line[:1] in (" ", "\t") and name:
            pieces.append(line.strip()[:MAX_VALUE])
            continue
        if name:
            yield name, " ".join(pieces)
        match = _FIELD.fullmatch(line[: 2 * MAX_VALUE])
        name, pieces = (match[1], [match[2]]) if match else ("", [""])
    if name:
        yield name, " ".join(pieces)


def _first(fields: dict[str, list[str]], name: str) -> str:
    return next(iter(fields.get(name, ())), "")


def _count(value: str) -> int:
    return min(int(value), 1_000_000) if re.fullmatch(r"[0-9]{1,7}", value) and int(value) else 1


def _xarf(text: str) -> dict[str, Any]:
    """Type, source and sender of an XARF report, version 3 or 4; {} for other JSON. Samples are not looked at."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    report = told.get("Report")
    if isinstance(report, dict) and isinstance(report.get("ReportType"), str):
        return {
            "type": report["ReportType"],
            "ip": _word(report.get("SourceIp")),
            "sender": _word(report.get("FromAddress")),
        }
    if isinstance(told.get("xarf_version"), str) and isinstance(told.get("type"), str):
        source = _word(told.get("source_identifier"))
        return {"type": told["type"], "ip": source, "sender": _word(told.get("smtp_from"))}
    return {}


def _word(value: object) -> str:
    return clean_name(value)[:MAX_VALUE] if isinstance(value, str) else ""
