"""From a message to what it reports."""

import re
from typing import Final

from webmail.mail import mime
from webmail.mail.address_lists import parse_list
from webmail.mail.bounces import fields, prose, reasons
from webmail.mail.bounces.model import Kind, Recipient, Report
from webmail.mail.charsets import decode

MAX_RETURNED: Final = 65_536
MAX_IDS: Final = 12
_STATUS_PARTS: Final = ("message/delivery-status", "message/global-delivery-status")
_RETURNED_PARTS: Final = (
    "message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers",
)  # fmt: skip
_DAEMON = re.compile(
    r"""
        mail(?:er)?[ ._-]?(?:daemon|delivery|administrator|system|gateway)|post[ _]?master|(?:mail|delivery
        |system)\ (?:delivery|administrator|subsystem)|delivery\ (?:subsystem|service|status|system)|mail\ deliver|bounce
        |mmdf
    """,
    re.VERBOSE | re.IGNORECASE,
)  # fmt: skip
_FAILED = re.compile(
    r"""
        undeliver|(?:could\ not|cannot|can't|was\ not|wasn't|not\ be)\ (?:be\ )?(?:delivered|sent)|did\ not\ reach
        |unable\ to\ deliver|delivery[^\n]{0,30}(?:fail|status|notification|problem|report|error|delay)|(?:mail
        |message)[^\n]{0,30}(?:fail|not\ (?:be\ )?(?:sent|delivered)|could\ not|bounced|undeliver|delayed|error)
        |returned\ mail|return(?:ed)?\ to\ sender|fail(?:ure|ed)[^\n]{0,20}(?:notice|mail|delivery|notification)
        |non[- ]?deliver|nondeliver|can(?:not|'t)\ be\ (?:sent|delivered)|unzustellbar|warning:\ |mail\ system\ error
        |permanent\ error|rejected|\bndr\b|not\ delivered|user\ unknown|unknown\ (?:user|address)|address(?:es)?\ unknown
    """,
    re.VERBOSE | re.IGNORECASE,
)  # fmt: skip
_AWAY = re.compile(
    r"""
        ^\s{0,4}(?:(?:re|fwd?):\s{0,4})?\[?(?:auto(?:matic|mated|matisch\w{0,4})?[ :_-]{0,3}(?:reply|response|antwort
        |respon\w{1,6}|re)?\]?[:\s]|out\ of\ (?:the\ )?office|away|vacation|abwesen|absence|i\ am\ (?:away|on\ vacation
        |out)|on\ (?:leave|vacation|holiday)|autoreply|autoresp)
    """,
    re.VERBOSE | re.IGNORECASE,
)  # fmt: skip
_ANSWER = re.compile(r"\s{0,4}(?:re|aw|sv|fwd?|wg|tr)\s{0,4}:", re.IGNORECASE)
_CHALLENGE = re.compile(
    r"""
        (?:confirm|verify|authenticate|prove)[^\n]{0,60}(?:you\ are|human|your\ (?:message|mail|e-?mail|address))
        |challenge|click[^\n]{0,40}(?:to\ deliver|release)|requires?\ (?:your\ )?(?:confirmation|verification)|boxbe
        |spam\ ?arrest|tmda
    """,
    re.VERBOSE | re.IGNORECASE,
)  # fmt: skip
_FOR_AWAY: Final = (
    "x-autoreply", "x-autorespond", "x-autoresponder", "x-mail-autoreply", "x-auto-reply-from", "x-autoreply-from", "x-vacation",
)  # fmt: skip


def read(parsed: mime.Message, raw: bytes) -> Report | None:
    """What `parsed` reports, or None for mail that reports nothing. `raw` is what it was parsed from. Never raises; linear."""
    try:
        return _read(parsed, raw)
    except Exception:  # the last wall: a report that cannot be read is mere mail
        return None


def _read(parsed: mime.Message, raw: bytes) -> Report | None:
    kinds = [part.content_type for part in parsed.parts]
    if "message/feedback-report" in kinds:
        return Report("feedback", original_ids=_ids(parsed, raw, ""))
    if "message/disposition-notification" in kinds:
        return Report("receipt", original_ids=_ids(parsed, raw, ""))
    told = fields.any_of([_text(raw, part) for part in parsed.parts if part.content_type in _STATUS_PARTS])
    text = mime.message_text(parsed)[: prose.MAX_PROSE]
    if not told and re.search(r"^[ \t]{0,8}final-recipient[ \t]{0,8}:", text, re.IGNORECASE | re.MULTILINE):
        told = fields.recipients(text)
    if told:
        told = _filled(parsed, told, text)
        return Report("status", told, _ids(parsed, raw, text), by_machine=True)
    other = _other(parsed, text)
    if other is not None:
        return Report(other, original_ids=_ids(parsed, raw, text))
    return _from_prose(parsed, raw, text)


def _text(raw: bytes, part: mime.Part) -> str:
    return decode(mime.part_content(raw, part)[: fields.MAX_TEXT], "utf-8")[0]


def _filled(parsed: mime.Message, told: tuple[Recipient, ...], text: str) -> tuple[Recipient, ...]:
    """Recipients whose fields give no reason, as far as the prose above them does."""
    if all(one.reason != "unknown" and one.diagnostic for one in told if one.action in ("failed", "delayed")):
        return told
    notice, _ = prose.parted(text)
    said = {
        one.address.lower(): one
        for one in prose.recipients(notice, known=[one.address for one in told], to=(), own=())
    }
    return tuple(fields.completed(one, said.get(one.address.lower())) for one in told)


def _is_from_machine(parsed: mime.Message) -> bool:
    people = " ".join(f"{one.name} {one.local}" for one in parsed.from_)
    return bool(_DAEMON.search(f"{people} {parsed.header('From')}"[:2000])) or not parsed.from_


def _has_null_path(parsed: mime.Message) -> bool:
    """Nobody is to answer it (RFC 5321 section 4.5.5), as far as its header says."""
    return parsed.header("Return-Path").strip() == "<>"


def _other(parsed: mime.Message, text: str) -> Kind | None:
    """The answers of machines that tell of no delivery (RFC 3834), and those that want an answer."""
    auto = parsed.header("Auto-Submitted").lower()
    precedence = parsed.header("Precedence").lower()
    subject = parsed.subject[:300]
    if not _is_from_machine(parsed) and _CHALLENGE.search(f"{subject}\n{text[:1500]}") and not _FAILED.search(subject):  # fmt: skip
        wants = auto.startswith("auto-") or any(
            header.name.lower().startswith(("x-tmda", "x-spamarrest", "x-boxbe")) for header in parsed.headers
        )
        if wants:
            return "challenge"
    away = any(parsed.header(name) for name in _FOR_AWAY) or "auto_reply" in precedence
    if away or _AWAY.search(subject):
        return None if _is_from_machine(parsed) and _FAILED.search(subject) else "autoreply"
    if auto.startswith(("auto-replied", "auto-generated", "auto-notified")) and not (
        _is_from_machine(parsed) or _FAILED.search(subject)
    ):
        return "autoreply"
    return None


def _from_prose(parsed: mime.Message, raw: bytes, text: str) -> Report | None:
    named = tuple(
        one.email
        for value in parsed.header_all("X-Failed-Recipients")[:10]
        for one in parse_list(value, 100)
        if one.domain
    )
    subject = parsed.subject[:300]
    fails = bool(_FAILED.search(subject)) and not _ANSWER.match(subject)
    if not named and not (_is_from_machine(parsed) or _has_null_path(parsed) or fails):
        return None
    notice, below = prose.parted(text)
    if not named and not (fails or _FAILED.search(notice[:4000]) or reasons.reply_code(notice)):  # fmt: skip
        return None
    to = (*_returned_to(parsed, raw), *prose.addressed(below))
    own = [one.email for one in (*parsed.to, *parsed.from_) if one.domain]
    found = prose.recipients(notice, known=named, to=to, own=own)
    return Report("status", found, _ids(parsed, raw, below or text)) if found or named else None


def _returned(parsed: mime.Message, raw: bytes) -> list[mime.Message]:
    parts = [part for part in parsed.parts if part.content_type in _RETURNED_PARTS][:4]
    return [
        mime.parse(mime.part_content(raw, part)[:MAX_RETURNED].lstrip(b"\r\n") + b"\r\n\r\n")
        for part in parts
    ]


def _returned_to(parsed: mime.Message, raw: bytes) -> tuple[str, ...]:
    people = [one for message in _returned(parsed, raw) for one in (*message.to, *message.cc)]
    return tuple(one.email for one in people if one.domain)[:20]


def _ids(parsed: mime.Message, raw: bytes, text: str) -> tuple[str, ...]:
    """The Message-IDs that this may be about, the surest first."""
    inner = [message.message_id for message in _returned(parsed, raw)]
    named = [parsed.header(name).strip("<> ") for name in ("X-Original-Message-ID", "Original-Message-ID")]
    found = (*inner, *prose.message_ids(text), *named, parsed.in_reply_to, *reversed(parsed.references))
    return tuple(dict.fromkeys(one for one in found if one and len(one) <= 998))[:MAX_IDS]
