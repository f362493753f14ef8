"""The machine-readable part of a report: groups of fields (RFC 3464 section 2), as servers really write them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, get_args

from webmail.mail import mime
from webmail.mail.address_lists import parse_list
from webmail.mail.bounces import reasons
from webmail.mail.bounces.model import Action, Recipient
from webmail.mail.charsets import clean_name

MAX_TEXT: Final = 262_144
MAX_RECIPIENTS: Final = 200
MAX_VALUE: Final = 4000
_FIELD = re.compile(r"[ \t]{0,8}([A-Za-z][A-Za-z0-9-]{2,40})[ \t]{0,8}:[ \t]*(.*)", re.DOTALL)
_ABOUT_ONE = ("final-recipient", "original-recipient")
_KNOWN = (*_ABOUT_ONE, "action", "status", "diagnostic-code", "remote-mta", "will-retry-until", "last-attempt-date")  # fmt: skip
_ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
_XTEXT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_SPEC = re.compile(r"[^\s<>;,()\"]{1,256}@[^\s<>;,()\"]{1,255}")

Group = dict[str, str]


def groups(text: str) -> list[Group]:
    """The groups of fields about one recipient each. A field that comes again begins a new group, with or without a blank line."""
    found: list[Group] = []
    group: Group = {}
    for name, value in _fields(text[:MAX_TEXT]):
        if not name or (name in group and name in (*_ABOUT_ONE, "action")):
            _keep(found, group)
            group = {}
        if name:
            group.setdefault(name, value)
        if len(found) >= MAX_RECIPIENTS:
            return found
    _keep(found, group)
    return found


def _keep(found: list[Group], group: Group) -> None:
    if any(name in group for name in _ABOUT_ONE):
        found.append(group)
    elif found and "status" in group and "status" not in found[-1]:
        found[-1] |= {name: value for name, value in group.items() if name not in found[-1]}


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """(name, unfolded value) of the fields we know; ("", "") for a blank line."""
    name, value = "", [""]
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if line[:1] in (" ", "\t") and line.strip() and name and not _starts_field(line):
            value.append(line.strip())
            continue
        if name:
            yield name, " ".join(value)[:MAX_VALUE]
        match = _FIELD.fullmatch(line[:MAX_VALUE])
        name = match[1].lower() if match and match[1].lower() in _KNOWN else ""
        value = [match[2].strip()] if match and name else [""]
        if not line.strip():
            yield "", ""
    if name:
        yield name, " ".join(value)[:MAX_VALUE]


def _starts_field(line: str) -> bool:
    match = _FIELD.fullmatch(line[:200])
    return match is not None and match[1].lower() in _KNOWN


def recipients(text: str) -> tuple[Recipient, ...]:
    """What the fields say of each recipient, each address once. Those without an action are as their status says."""
    found: dict[tuple[str, str], Recipient] = {}
    for group in groups(text):
        one = recipient(group)
        if one is not None:
            found.setdefault((one.address.lower(), one.action), one)
    return tuple(found.values())


def recipient(group: Group, more: str = "") -> Recipient | None:
    """A recipient from its fields; `more` is what the prose says of it. None without an address."""
    final, original = (address(group.get(name, "")) for name in _ABOUT_ONE)
    if not (final or original):
        return None
    kind, _, said = group.get("diagnostic-code", "").partition(";")
    diagnostic = (said if said and " " not in kind.strip() else group.get("diagnostic-code", "")).strip()
    text = diagnostic or more
    action = _action(group)
    status = _status(group.get("status", ""), text, action)
    code = reasons.reply_code(text)
    ok = action in ("delivered", "relayed", "expanded")
    reason = "unknown" if ok else reasons.reason_of(status, text)
    if not ok and not status and reason != "unknown":
        status = reasons.likely_status(reason, code)
    return Recipient(
        address=final or original,
        original=original,
        action=action,
        status=status,
        reason=reason,
        hard=action == "failed" and reasons.is_hard(status, reason),
        reply_code=code,
        diagnostic=reasons.clean_reply(text),
        remote=host(group.get("remote-mta", "")),
        until=date(group.get("will-retry-until", "")),
    )


def _action(group: Group) -> Action:
    said = group.get("action", "").strip().lower().split(" ")[0].strip("()")
    for action in _ACTIONS:
        if said == action:
            return action
    return "delivered" if group.get("status", "").startswith("2") else "failed"


def _status(field: str, diagnostic: str, action: Action) -> str:
    """The field's code, unless the reply of the last server says more, in the class of its own reply code."""
    said = reasons.enhanced(field) or _first(field)
    told = reasons.enhanced(diagnostic)
    if action in ("delivered", "relayed", "expanded"):
        return said
    code = reasons.reply_code(diagnostic)
    in_class = code is None or told.startswith(str(code // 100))
    deeper = in_class and reasons.depth(told) >= reasons.depth(said)
    return told if told and (deeper or said.startswith("2")) else said


def _first(field: str) -> str:
    match = re.search(r"(?<!\d)2\.\d{1,3}\.\d{1,3}(?!\d)", field[:100])
    return match[0] if match else ""


def address(field: str) -> str:
    """The address of a typed field ("rfc822; a@b", "utf-8; \\x{20AC}@b" after RFC 6533), or ""."""
    kind, mark, value = field[:1000].partition(";")
    value = value if mark else kind
    if "utf-8" in kind.lower():
        value = _XTEXT.sub(_unescaped, value)
    value = clean_name(value.strip())
    first = next(iter(parse_list(value, 1)), None)
    if first is not None and first.local and first.domain:
        return first.email
    found = _SPEC.search(value)
    return found[0] if found else ""


def _unescaped(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\ufffd"


def host(field: str) -> str:
    """The host of a typed field ("dns; mx.example.org (192.0.2.1)"), or ""."""
    words = (field.partition(";")[2] or field).split()
    name = words[0].strip("()[]<>.,").lower() if words else ""
    return name if re.fullmatch(r"[a-z0-9_.:-]{1,255}", name) else ""


def date(field: str) -> datetime | None:
    """A date as mail writes it; None for one that is not."""
    return mime.parse(f"Date: {clean_name(field[:200])}\r\n\r\n".encode()).date if field else None


def any_of(texts: Sequence[str]) -> tuple[Recipient, ...]:
    """The recipients of the first text that has any."""
    return next((found for found in map(recipients, texts) if found), ())


def completed(one: Recipient, said: Recipient | None) -> Recipient:
    """A recipient from fields, with what the prose said of it where they say nothing."""
    if said is None or one.action not in ("failed", "delayed"):
        return one
    reason = said.reason if one.reason == "unknown" else one.reason
    told = reasons.enhanced(said.diagnostic)
    better = not one.diagnostic and reasons.depth(told) > reasons.depth(one.status)
    status = told if better else one.status or said.status
    return replace(
        one,
        reason=reason,
        status=status,
        reply_code=one.reply_code or said.reply_code,
        diagnostic=one.diagnostic or said.diagnostic,
        hard=one.action == "failed" and reasons.is_hard(status, reason),
    )
