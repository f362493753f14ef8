"""Structured header values: Content-Type and Content-Disposition with their parameters (RFC 2045, 2183, 2231), file names."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from webmail.mail.charsets import BIDI, clean_line, clean_name, decode, decode_words
from webmail.mail.mime.limits import MAX_NAME, MAX_PARAMS, MAX_SEGMENTS

_PIECE = re.compile(r'(?:[^";]++|"(?:[^"\\]++|\\.)*+"?)*+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)"?', re.DOTALL)
_SEGMENT = re.compile(r"([^*]{1,80})\*(?:(\d{1,4})(\*)?)?")
_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,127})/([a-z0-9!#$&^_.+-]{1,127})")
_FILE_PARAMS = ("filename", "name")


@dataclass(slots=True)
class Value:
    """A header value and its parameters, names in lower case; the first of a repeated parameter stands."""

    value: str
    params: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def parse(text: str) -> Value:
    """Split `value; name=value; ...`. Never raises; linear; parameters and segments beyond their limits are ignored."""
    pieces = _pieces(text)
    words = clean_line(pieces[0].partition("(")[0]).split(" ", 1)
    if len(words) > 1 and "=" in words[1]:  # the first semicolon was forgotten
        pieces.insert(1, words.pop())
    parsed = Value(" ".join(words).lower())
    segments: dict[str, dict[int, tuple[str, bool]]] = {}
    for piece in pieces[1:]:
        name, equals, written = piece.partition("=")
        name = name.strip().lower()
        if not equals or not name:
            continue
        value = _unquoted(name, written.strip())
        if part := _SEGMENT.fullmatch(name):
            number = int(part[2] or 0)
            if number < MAX_SEGMENTS:
                segments.setdefault(part[1], {}).setdefault(number, (value, bool(part[3]) or part[2] is None))
            else:
                parsed.problems.append("too-many-segments")
        elif name in parsed.params:
            parsed.problems.append(f"duplicate-param:{clean_line(name)[:40]}")
        else:
            parsed.params[name] = value
    for name, numbered in segments.items():
        if 0 in numbered:
            parsed.params[name] = _joined(numbered)
    return parsed


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    at = 0
    while at <= len(text) and len(pieces) <= MAX_PARAMS:
        match = _PIECE.match(text, at)
        end = match.end() if match else len(text)
        if not pieces or text[at:end].strip():
            pieces.append(text[at:end])
        at = end + 1
    return pieces


def _unquoted(name: str, written: str) -> str:
    if written.startswith('"'):
        quoted = _QUOTED.match(written)
        inner = quoted[1] if quoted else written
        # In a file name a lone backslash is a path of Windows that was never escaped.
        escape = r"\\([\"\\])" if name.partition("*")[0] in _FILE_PARAMS else r"\\(.)"
        return re.sub(escape, r"\1", inner, flags=re.DOTALL)
    if written.endswith(")") and (comment := written.rfind(" (")) > 0:
        return written[:comment].rstrip()
    return written


def _joined(numbered: dict[int, tuple[str, bool]]) -> str:
    """RFC 2231 sections 3 and 4: segments in the order of their numbers up to the first gap, one charset for all."""
    charset, out = "", []
    for number in range(len(numbered)):
        if number not in numbered:
            break
        value, is_encoded = numbered[number]
        if is_encoded and not number and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        raw = value.encode("utf-8", "replace")
        out.append(unquote_to_bytes(raw) if is_encoded else raw)
    return decode(b"".join(out), charset or "utf-8")[0]


def content_type(text: str) -> str | None:
    """ "type/subtype" if it is one, in lower case; None if not."""
    found = _TYPE.fullmatch(text.strip())
    return found[0] if found else None


_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')


def turns(written: str) -> bool:
    """Whether a file name holds a mark that turns the direction of reading, so that its end can look like another."""
    return not BIDI.isdisjoint(decode_words(written))


def file_name(written: str) -> str:
    """A name to show and to save under: the last component of a path, no control, invisible or reserved character, no dots or
    spaces at its ends, at most 150 characters with the extension kept. "" where nothing is left."""
    name = clean_name(decode_words(written).replace("\\", "/")[-4096:])
    name = _UNSAFE.sub("_", name.rpartition("/")[2].replace('"', "")).strip(" .")
    if _RESERVED.match(name):
        name = "_" + name
    if len(name) > MAX_NAME:
        stem, dot, extension = name.rpartition(".")
        if dot and 0 < len(extension) <= 20:
            name = stem[: MAX_NAME - 1 - len(extension)].rstrip(" .") + "." + extension
        else:
            name = name[:MAX_NAME].rstrip(" .")
    return name
