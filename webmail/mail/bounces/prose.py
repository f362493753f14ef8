"""Reports that only people were meant to read: which addresses they are about, and what was said of each."""

import re
from collections.abc import Sequence
from typing import Final

from webmail.mail.bounces import reasons
from webmail.mail.bounces.model import Recipient

MAX_PROSE: Final = 65_536
MAX_LINES: Final = 2000
MAX_FOUND: Final = 100
_ADDRESS = re.compile(
    r"(?<![\w.+=/-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}(?![\w@])"
)
# Where the message that comes back begins: what stands below says nothing of why.
_RETURNED = re.compile(
    r"""
        ^[ \t>]{0,8}(?:[-=*_ ]{2,40}.{0,60}?(?:copy\ of\ (?:the|your)\ message|(?:original|returned|unsent|undelivered
        |bounced)\ (?:message|mail)(?!\ was)|message\ (?:header|text|follows|contents?)|headers?\ follow|below\ this\ line
        |original\ headers?).{0,80}|(?:the\ |your\ )?(?:original|returned|unsent)\ (?:message
        |mail)(?:\ (?:is\ )?(?:follows|headers?|below|attached|text).{0,60})?\s{0,4}:?\.?|.{0,60}(?:headers?|message|mail
        |text)\ (?:is\ |are\ )?follow(?:s|ing)?.{0,20}|(?:received|return-path|message-id|x-mailer
        |mime-version):\ .{0,400})$
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)  # fmt: skip
_LEADS = re.compile(
    r"""
        (?:rcpt\ to|recipients?|addresse?e?s?|to|for|user|mailbox|unknown\ user|account|delivery\ to|deliver\ to
        |destination|failed|reached|mail\ to)[\w (]{0,40}[:=]?\s{0,4}[<\[(\"']{0,2}$
    """,
    re.VERBOSE | re.IGNORECASE,
)  # fmt: skip
_AVOIDS = re.compile(
    r"""
        (?:from|by|contact|postmaster|sender|reply.?to|helpdesk|support|mailto|message-id|subject|your\ address
        |please\ (?:send|write|e-?mail)|mail\ from)[\w (,]{0,30}[:=]?\s{0,4}[<\[(\"']{0,2}$
    """,
    re.VERBOSE | re.IGNORECASE,
)  # fmt: skip
_REPLIES = re.compile(r"[ \t>]{0,8}[45][0-5]\d[ \t]{1,4}<?")
_ROLES: Final = frozenset(
    ("mailer-daemon", "postmaster", "abuse", "support", "helpdesk", "noreply", "no-reply")
)
_TO = re.compile(r"^[ \t>]{0,8}(?:x-original-)?to:[ \t](.{1,500})$", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(r"^[ \t>]{0,8}message-id:[ \t]{0,8}<([^<>\s]{1,998})>", re.IGNORECASE | re.MULTILINE)


def parted(text: str) -> tuple[str, str]:
    """The notice, and below it what was returned of the message."""
    text = text[:MAX_PROSE]
    match = _RETURNED.search(text)
    return (text[: match.start()], text[match.start() :]) if match else (text, "")


def message_ids(text: str) -> tuple[str, ...]:
    """The Message-IDs that a returned header names."""
    return tuple(dict.fromkeys(_MESSAGE_ID.findall(text[:MAX_PROSE])[:4]))


def addressed(text: str) -> tuple[str, ...]:
    """Whom a returned header names as its recipients."""
    values = _TO.findall(text[:MAX_PROSE])[:8]
    return tuple(dict.fromkeys(one for value in values for one in _ADDRESS.findall(value)))[:20]


def recipients(
    notice: str, *, known: Sequence[str], to: Sequence[str], own: Sequence[str]
) -> tuple[Recipient, ...]:
    """Whom a notice is about. `known`: named by a header of the report; `to`: whom the returned message was for; `own`: who got
    this notice or wrote it, and so is not meant."""
    lines = notice.split("\n")[:MAX_LINES]
    not_meant = {address.lower() for address in own}
    places = _places(lines, not_meant)
    names = list(dict.fromkeys(known))
    if not names:
        strong = [name for name, (_line, is_strong) in places.items() if is_strong]
        meant = [name for name in places if name.lower() in {one.lower() for one in to}]
        names = list(dict.fromkeys(strong or meant)) or list(places)[:1]
    names = names or [name for name in to if name.lower() not in not_meant][:1]
    starts = sorted(places[name][0] for name in names if name in places)
    return tuple(_one(name, lines, places, starts, len(names)) for name in names[:MAX_FOUND])


def _places(lines: Sequence[str], not_meant: set[str]) -> dict[str, tuple[int, bool]]:
    """Address to its first telling line, and whether it stands there as one that something is said of."""
    found: dict[str, tuple[int, bool]] = {}
    folded: dict[str, str] = {}
    for number, line in enumerate(lines):
        for match in _ADDRESS.finditer(line[:1000]):
            name = match[0].strip("'`").rstrip(".")
            low = name.lower()
            if low in not_meant or low.partition("@")[0] in _ROLES or len(found) > MAX_FOUND:
                continue
            before = line[max(0, match.start() - 80) : match.start()]
            if _AVOIDS.search(before):
                continue
            is_strong = not before.strip(" \t<[('\"*->") or bool(
                _LEADS.search(before) or _REPLIES.fullmatch(before)
            )
            key = folded.setdefault(low, name)
            if key not in found or (is_strong and not found[key][1]):
                found[key] = (number, is_strong)
    return found


def _one(
    name: str, lines: Sequence[str], places: dict[str, tuple[int, bool]], starts: list[int], count: int
) -> Recipient:
    begin = places[name][0] if name in places else 0
    end = next((start for start in starts if start > begin), len(lines))
    own = "\n".join(lines[begin:end])[:4000]
    whole = "\n".join(lines)[:8000]
    text = own if count > 1 else whole
    said = _reply(own) or _reply(text)
    status, code = reasons.enhanced(said), reasons.reply_code(said)
    reason = reasons.reason_of(status, said) if said else reasons.reason_of("", own)
    if reason == "unknown":
        reason = reasons.reason_of(status, own)
    if reason == "unknown":
        reason = reasons.reason_of(status, text)
    delayed = bool(_STILL.search(whole)) and not _FINAL.search(whole)
    status = status or (reasons.likely_status(reason, code) if reason != "unknown" or code else "")
    return Recipient(
        address=name,
        original="",
        action="delayed" if delayed else "failed",
        status=status,
        reason=reason,
        hard=not delayed and reasons.is_hard(status, reason),
        reply_code=code,
        diagnostic=reasons.clean_reply(said or own),
    )


_STILL = re.compile(
    r"""
        warning\ message\ only|not\ yet\ been\ delivered|will\ (?:be\ retried|continue\ to|keep\ trying|try)
        |do\ not\ need\ to\ resend|delivery\ (?:status\ )?(?:notification\ )?\(?delay
    """,
    re.VERBOSE | re.IGNORECASE,
)  # fmt: skip
_FINAL = re.compile(
    r"permanent|given up|giving up|failed to deliver|could not be delivered|undeliverable", re.IGNORECASE
)
_REPLY_LINE = re.compile(
    r"(?:^|[\s<(:])(?:[45][0-5]\d[ -](?!.{0,3}$)|#?[45]\.\d{1,3}\.\d{1,3}\b)", re.MULTILINE
)


def _reply(text: str) -> str:
    """What a server said, in its own words: from the first line that looks like a reply, with what is folded below it."""
    lines = text.split("\n")
    first_hit = next((number for number, line in enumerate(lines) if _REPLY_LINE.search(line[:1000])), None)
    if first_hit is None:
        return ""
    near = range(first_hit, min(first_hit + 12, len(lines)))
    best = next((number for number in near if reasons.enhanced(lines[number])), first_hit)
    first = lines[best][:1000]
    match = _REPLY_LINE.search(first)
    taken = [first[match.start() :] if match else first]
    for line in lines[best + 1 : best + 6]:
        if not line.strip():
            break
        taken.append(line[:500])
    return " ".join(" ".join(taken).split())[:1500]
