"""Bytes to text that a page, an index and Postgres can all take.

Only the codecs listed here are ever used. Python's registry also knows codecs that are not character sets (`zlib`, `rot13`,
`unicode_escape`), that are quadratic (`idna`, `punycode`) or that hide markup (`utf-7`); a label that is not in the list is
read as UTF-8 or, failing that, Windows-1252, and the caller is told so.

Encoded words follow RFC 2047, with the language suffix of RFC 2231 section 5.
"""

import binascii
import functools
import re
import unicodedata

_ALIASES = {
    "cp1252": "windows-1252 iso-8859-1 iso8859-1 iso88591 latin1 latin-1 l1 cp819 ibm819 ansi 8859-1 iso-ir-100",
    "utf-8": "utf-8 utf8 utf-8-sig unicode-1-1-utf-8 utf-8-mac utf8mb4 x-unicode20utf8",
    "utf-16": "utf-16 utf16 unicode ucs-2 iso-10646-ucs-2",
    "utf-16-le": "utf-16le utf-16-le unicodefeff",
    "utf-16-be": "utf-16be utf-16-be unicodefffe",
    "utf-32": "utf-32 utf32 ucs-4 iso-10646-ucs-4",
    "utf-32-le": "utf-32le utf-32-le",
    "utf-32-be": "utf-32be utf-32-be",
    "iso8859-2": "latin2 l2",
    "iso8859-3": "latin3 l3",
    "iso8859-4": "latin4 l4",
    "cp1254": "latin5 l5 iso-8859-9 iso8859-9",
    "iso8859-5": "cyrillic",
    "iso8859-6": "arabic ecma-114",
    "iso8859-7": "greek greek8 ecma-118 elot-928 sun-eu-greek",
    "iso8859-8": "hebrew logical visual",
    "iso8859-10": "latin6 l6",
    "iso8859-15": "latin9 latin-9 l9",
    "cp874": "tis-620 tis620 iso-8859-11 iso8859-11 windows-874 dos-874",
    "koi8_r": "koi8-r koi8 koi koi8r koi-8 koi8-r-dos",
    "koi8_u": "koi8-u koi8-ru koi8u",
    "mac_roman": "macintosh mac mac-roman macroman x-mac-roman",
    "mac_cyrillic": "mac-cyrillic x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "gb18030 gbk gb2312 gb-2312 gb-2312-80 gb2312-80 chinese x-gbk cp936 ms936 windows-936 csgb2312 euc-cn "
    "iso-ir-58 gb18030-2005 gb18030-2022",
    "hz": "hz-gb-2312 hz hzgb",
    "big5hkscs": "big5 big5-hkscs big-5 big5hkscs cn-big5 csbig5 x-x-big5 cp950 windows-950 big5-eten",
    "euc_jp": "euc-jp eucjp x-euc-jp ujis x-euc cseucpkdfmtjapanese",
    "cp932": "shift-jis shiftjis sjis x-sjis ms-kanji windows-31j cp932 ms932 csshiftjis cswindows31j",
    "iso2022_jp_ext": "iso-2022-jp iso2022jp csiso2022jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-ms cp50220 "
    "cp50221 iso-2022-jp-ext",
    "cp949": "euc-kr euckr ks-c-5601-1987 ks-c-5601-1989 ks-c-5601 ksc5601 ksc-5601 korean cp949 uhc windows-949 cseuckr",
    "iso2022_kr": "iso-2022-kr iso2022kr csiso2022kr",
}
_CODECS = {label: codec for codec, labels in _ALIASES.items() for label in labels.split()}
_CODECS |= {f"iso-8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)}
_CODECS |= {f"iso8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)}
_CODECS |= {"iso-8859-6-i": "iso8859-6", "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8"}
_CODECS |= {f"{p}{n}": f"cp{n}" for n in range(1250, 1259) for p in ("windows-", "cp", "win-", "win", "cp-")}
_CODECS |= {
    f"{p}{n}": f"cp{n}"
    for n in (437, 850, 852, 855, 858, 860, 862, 865, 866)
    for p in ("cp", "ibm", "ibm-", "cp-")
}

# Labels that promise plain ASCII, or nothing: mail under them is UTF-8 or Windows-1252 as often as not.
_PLAIN = frozenset(
    ("us-ascii", "ascii", "ansi-x3.4-1968", "ansi-x3.4-1986", "iso-ir-6", "iso646-us", "us", "646", "default")
)
_PLAIN |= {"unknown-8bit", "8bit", "7bit", "none"}

REPLACEMENT = "\ufffd"
_LINE_ENDS = re.compile("\r\n|[\r\u0085\u2028\u2029\x0b\x0c]")
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""The marks that turn the direction of reading."""
_CONTROLS = {**dict.fromkeys([*range(1, 9), *range(0x0E, 0x20), *range(0x7F, 0xA0)]), 0: REPLACEMENT}
_LINE_CONTROLS: dict[int, str | None] = {**_CONTROLS, **dict.fromkeys(map(ord, BIDI))}
_LINE_CONTROLS |= dict.fromkeys((9, 10, 11, 12, 13, 0x85, 0x2028, 0x2029), " ")
_SURROGATES = re.compile("[\ud800-\udfff]")


@functools.lru_cache(maxsize=1024)
def codec_for(label: str) -> str | None:
    """The Python codec for a MIME charset label; "" where the label says nothing (ASCII, empty); None where it is refused."""
    name = label.strip(" \t\"'").lower().replace("_", "-")[:64]
    if not name or name in _PLAIN:
        return ""
    if name.startswith("cs") and name[2:] in _CODECS:
        name = name[2:]
    return _CODECS.get(name)


def decode(data: bytes, label: str = "") -> tuple[str, bool]:
    """Decode with replacement. False beside the text says that the label was refused, not that some bytes were bad."""
    codec = codec_for(label)
    if codec:
        if codec == "utf-8" and data.startswith(b"\xef\xbb\xbf"):
            data = data[3:]
        try:
            return _SURROGATES.sub(REPLACEMENT, data.decode(codec, "replace")), True
        except (UnicodeError, ValueError):  # a stateful codec may still refuse
            return guess(data), False
    return guess(data), codec is not None


def guess(data: bytes) -> str:
    """UTF-8 if all of it is, else Windows-1252, which is what an undeclared 8-bit byte has meant for thirty years."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _SURROGATES.sub(REPLACEMENT, data.decode("utf-16", "replace"))
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def clean_text(text: str) -> str:
    """Text of many lines: ends become LF, NUL becomes U+FFFD, other controls (escape sequences of terminals) go."""
    return _SURROGATES.sub(REPLACEMENT, unix_ends(text).translate(_CONTROLS))


def unix_ends(text: str) -> str:
    """Every kind of line end as LF."""
    return _LINE_ENDS.sub("\n", text)


def clean_line(text: str) -> str:
    """Text of one line, for display: line ends and tabs become spaces, controls and bidi overrides go."""
    return _SURROGATES.sub(REPLACEMENT, text.translate(_LINE_CONTROLS)).strip(" ")


def clean_name(text: str) -> str:
    """As `clean_line`, without any invisible format character, runs of space as one: for names of people and files."""
    shown = "".join(c for c in clean_line(text) if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFC", " ".join(shown.split()))


_WORD_START = re.compile(r"=\?([!-)+->@-~]{1,60})(?:\*[A-Za-z0-9-]{0,40})?\?([bBqQ])\?")
_Q_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def base64_run(data: bytes) -> bytes:
    """Decode one run of base64 without its padding: other octets are skipped, a last half octet is dropped."""
    digits = data.translate(None, _NOT_BASE64)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def _word_bytes(charset: str, encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if not text.isascii() and (
        codec := codec_for(charset)
    ):  # 8-bit octets left in the word are in its own charset
        raw = text.encode(codec, "replace")
    if encoding in "bB":
        return base64_run(raw)
    return _Q_ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), raw.replace(b"_", b" "))


def _words(text: str) -> list[tuple[str, str, bytes]]:
    """Split into (literal, charset, encoded bytes): one of literal and charset is empty. One pass, no backtracking."""
    out: list[tuple[str, str, bytes]] = []
    done = at = 0
    while (start := text.find("=?", at)) >= 0:
        at = start + 2
        head = _WORD_START.match(text, start)
        if not head:
            continue
        end = text.find("?=", head.end())
        if end < 0:
            break
        body = text[head.end() : end]
        if "=?" in body and (inner := _WORD_START.search(body)) and head[2] in "bB":
            at = head.end() + inner.start()  # the outer word was never closed
            continue
        if start > done:
            out.append((text[done:start], "", b""))
        out.append(("", head[1], _word_bytes(head[1], head[2], body)))
        done = at = end + 2
    if done < len(text):
        out.append((text[done:], "", b""))
    return out


def decode_words(text: str) -> str:
    """RFC 2047 encoded words decoded once. Space between two words goes; bytes of one charset are joined before they are
    decoded, because real senders split characters. The result is not cleaned."""
    if "=?" not in text:
        return text
    out: list[str] = []
    charset, space = "", ""
    pending: list[bytes] = []
    for literal, label, data in _words(text):
        if literal:
            if pending and literal.isspace():
                space = literal
                continue
            if pending:
                out.append(decode(b"".join(pending), charset)[0])
            out.append(literal)
            charset, pending = "", []
        elif pending and label.lower() == charset.lower():
            pending.append(data)
        else:
            if pending:
                out.append(decode(b"".join(pending), charset)[0])
            charset, pending = label, [data]
        space = ""
    if pending:
        out.append(decode(b"".join(pending), charset)[0])
    return "".join(out) + space


def header_text(raw: bytes) -> str:
    """One unfolded header value as text: raw 8-bit octets as UTF-8 (RFC 6532) or Windows-1252; words not yet decoded."""
    return guess(raw)


def display_text(raw: bytes) -> str:
    """One unfolded header value as a person should read it."""
    return clean_line(decode_words(header_text(raw)))
