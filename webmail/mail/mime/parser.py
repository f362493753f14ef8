"""From raw bytes to a Message: see the package's docstring for what is promised."""

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz
from urllib.parse import unquote

from webmail.mail.address_lists import MAX_ADDRESSES, AddressList, parse_list
from webmail.mail.charsets import clean_line, clean_text, codec_for, decode, display_text, guess, header_text
from webmail.mail.mime import transfer
from webmail.mail.mime.bodies import RASTER, Bodies, choose
from webmail.mail.mime.headers import Block
from webmail.mail.mime.limits import MAX_BODY, MAX_MESSAGE_ID, MAX_PROBLEMS, MAX_REFERENCES
from webmail.mail.mime.model import Header, Kind, Message, Part
from webmail.mail.mime.structure import Node, Walker
from webmail.mail.text import unflow

_SINGLE = (
    "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject", "date",
)  # fmt: skip
_ID = re.compile(r"<\s*([^<>\s]{1,998})\s*>")
_CID = re.compile(r"cid:([^\"'\s<>)]{1,500})", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,400}?charset\s{0,20}=\s{0,20}[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def parse(raw: bytes) -> Message:
    """Read a message. Never raises: what cannot be read is left out and named in `problems`."""
    try:
        return _parse(raw)
    except Exception:  # the last wall: one odd message must not hide a mailbox
        return Message(size=len(raw), problems=("unreadable",))


def part_content(raw: bytes, part: Part) -> bytes:
    """The decoded octets of a part; those of a multipart or an attached message as they lie there. Never raises."""
    return transfer.decode(raw[part.start : part.end], part.encoding)


def part_text(raw: bytes, part: Part) -> str:
    """A text part as clean text, cut at 2 MiB of decoded octets: charset decoded, line ends LF, not unflowed."""
    return _text_of(part_content(raw, part)[:MAX_BODY], part.charset, part.content_type == "text/html")[0]


def _parse(raw: bytes) -> Message:
    lines = raw if b"\n" in raw else raw.replace(b"\r", b"\n")  # mail of old Macs; offsets stay
    walker = Walker(lines)
    walker.walk()
    block = walker.nodes[0].block
    content = _Content(lines, walker.nodes, choose(walker.nodes))
    problems = walker.problems + content.problems
    lists = {name: _addresses(block, name) for name in ("from", "reply-to", "to", "cc", "bcc")}
    problems += [f"duplicate-header:{name}" for name in _SINGLE if len(block.get_all(name)) > 1]
    problems += ["addresses-cut"] if any(one.more for one in lists.values()) else []
    date = _date(block.get("date"))
    problems += ["bad-date"] if date is None and block.get("date") else []
    return Message(
        size=len(raw),
        headers=tuple(Header(name, display_text(value)) for name, value in block.fields),
        subject=display_text(block.get("subject")),
        sender=next(iter(lists["from"]), None),
        from_=lists["from"],
        reply_to=lists["reply-to"],
        to=lists["to"],
        cc=lists["cc"],
        bcc=lists["bcc"],
        date=date,
        message_id=_first_id(block.get("message-id")),
        in_reply_to=_first_id(block.get("in-reply-to")),
        references=_references(block.get("references")),
        parts=content.parts,
        text="\n".join(content.texts),
        html=content.htmls[0] if content.htmls else None,
        html_parts=tuple(content.htmls),
        text_body=tuple(content.bodies.text),
        html_body=tuple(content.bodies.html),
        problems=tuple(dict.fromkeys(problems))[:MAX_PROBLEMS],
    )


class _Content:
    """The parts of the tree, decoded once each: sizes for all, text for the bodies."""

    def __init__(self, raw: bytes, nodes: list[Node], bodies: Bodies) -> None:
        self.bodies = bodies
        self.texts: list[str] = []
        self.htmls: list[str] = []
        self.problems: list[str] = []
        self._room = {"body-text": MAX_BODY, "body-html": MAX_BODY}
        shown = {*bodies.text, *bodies.html}
        parts = [self._part(raw, node, node.number in shown) for node in nodes]
        self.parts = tuple(self._with_images(parts))

    def _part(self, raw: bytes, node: Node, is_shown: bool) -> Part:
        kind = _kind(node, is_shown)
        size = node.end - node.start
        flowed = node.params.get("format", "").strip().lower() == "flowed"
        part = Part(
            number=node.number, path=node.path, parent=node.parent, content_type=node.content_type, kind=kind,
            encoding=node.encoding, head=node.head, start=node.start, end=node.end,
            charset=clean_line(node.params.get("charset", "")).lower()[:64], disposition=node.disposition, name=node.name,
            content_id=node.content_id, turned=node.turned, flowed=flowed,
            delsp=flowed and node.params.get("delsp", "").strip().lower() == "yes",
        )  # fmt: skip
        if kind not in self._room and node.encoding == "7bit":
            return replace(part, size=size)
        data = part_content(raw, part)
        if kind in self._room:
            self._take(part, data)
        return replace(part, size=len(data))

    def _take(self, part: Part, data: bytes) -> None:
        room = self._room[part.kind]
        self._room[part.kind] = max(room - len(data), 0)
        text, known = _text_of(data[:room], part.charset, part.kind == "body-html")
        self.problems += [] if known else ["bad-charset"]
        self.problems += ["text-cut"] if len(data) > room else []
        if part.kind == "body-html":
            self.htmls.append(text)
        else:
            self.texts.append(unflow(text, part.delsp) if part.flowed else text)

    def _with_images(self, parts: list[Part]) -> list[Part]:
        """Raster images that an HTML body shows by their Content-ID are part of it (RFC 2392), others are attachments."""
        wanted = {unquote(html.unescape(cid)) for one in self.htmls for cid in _CID.findall(one)}
        out: list[Part] = []
        for part in parts:
            if part.kind == "attachment" and part.content_type in RASTER and part.content_id in wanted:
                wanted.discard(part.content_id)  # an id given twice is the first one's
                part = replace(part, kind="inline-image")
            out.append(part)
        return out


def _kind(node: Node, is_shown: bool) -> Kind:
    if node.children or (node.content_type.startswith("multipart/") and node.end == node.start):
        return "container"
    if node.content_type in ("message/rfc822", "message/global"):
        return "message"
    if is_shown:
        return "body-html" if node.content_type == "text/html" else "body-text"
    return "attachment"


def _text_of(data: bytes, charset: str, is_html: bool) -> tuple[str, bool]:
    label = charset
    if is_html and codec_for(charset) == "" and (meta := _META.search(data[:2048])):
        named = meta[1].decode("ascii", "replace")
        label = "" if (codec_for(named) or "").startswith("utf-16") else named
    text, known = decode(data, label)
    return clean_text(text), known or label != charset


def _addresses(block: Block, name: str) -> AddressList:
    """All headers of that name as one list: what is hidden in a second From must be seen."""
    found: list[AddressList] = []
    room = MAX_ADDRESSES
    for value in block.get_all(name):
        found.append(parse_list(header_text(value), room))
        room -= len(found[-1])
    return AddressList(tuple(one for some in found for one in some), sum(some.more for some in found))


def _date(value: bytes) -> datetime | None:
    """RFC 5322 section 3.3, as lenient as the stdlib; None outside 1970 to 2100 or where the zone cannot be."""
    text = clean_line(guess(value[:200]))
    try:
        parsed = parsedate_tz(text)
        if parsed is None:
            return None
        year, month, day, hour, minute, second = parsed[:6]
        zone = timedelta(seconds=parsed[9] or 0)
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - zone
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if 1970 <= moment.year <= 2100 and abs(zone) <= timedelta(hours=24) else None


def _ids(value: bytes) -> list[str]:
    """Message ids without their brackets (RFC 5322 section 3.6.4); bare words with an @ where there is no bracket at all."""
    text = clean_line(header_text(value))
    if "<" in text:
        return _ID.findall(text)
    return [word for word in text.replace(",", " ").split() if "@" in word and len(word) <= MAX_MESSAGE_ID]


def _first_id(value: bytes) -> str:
    found = _ids(value)
    if found:
        return found[0]
    text = clean_line(header_text(value)).strip("<> ")
    return text if text and " " not in text and len(text) <= MAX_MESSAGE_ID else ""


def _references(value: bytes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_ids(value)))[-MAX_REFERENCES:]
