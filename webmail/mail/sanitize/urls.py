"""Addresses as a browser reads them (WHATWG URL), for the three schemes that mail may link to.

`canonical` gives pure ASCII that every parser reads alike, so that the host shown is the host visited.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_to_bytes

MAX_URL = 8192
_EDGES = "".join(map(chr, range(0x21)))
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_FORBIDDEN_HOST = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^|\x7f]")
_IGNORED = dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10)])
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_ADDRESS = re.compile(r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-zA-Z0-9.-]{1,253}")
_MAILTO_FIELDS = ("to", "cc", "subject", "body")
_LOOKALIKE_CYRILLIC = frozenset("асԁеһіјӏорԛѕԝхукмнтвьг")


@dataclass(frozen=True, slots=True)
class Address:
    """`url` is canonical; `host` is what people are shown; `odd` says that it carried a user name."""

    scheme: str
    url: str
    host: str
    odd: bool = False


@lru_cache(maxsize=2048)
def canonical(text: str) -> Address | None:
    """Read `text` as an href; None unless it is an absolute http, https or mailto address with a sound host."""
    text = text.strip(_EDGES).replace("\t", "").replace("\n", "").replace("\r", "")
    scheme = _SCHEME.match(text)
    if scheme is None or len(text) > MAX_URL:
        return None
    rest, name = text[scheme.end() :], scheme[1].lower()
    if name == "mailto":
        return _mailto(rest)
    return _web(name, rest) if name in ("http", "https") else None


def scheme_of(text: str) -> str:
    """The scheme a browser would see, lower case, or an empty string."""
    match = _SCHEME.match(text.strip(_EDGES).replace("\t", "").replace("\n", "").replace("\r", ""))
    return match[1].lower() if match else ""


def _escape(text: str, keep: str) -> str:
    """Percent-encode what is not printable ASCII and what could end an attribute or an address."""
    return quote(text, safe=keep, encoding="utf-8", errors="replace")


def _web(scheme: str, rest: str) -> Address | None:
    head, mark, fragment = rest.partition("#")
    head, query_mark, query = head.partition("?")
    head = head.replace("\\", "/").lstrip("/")
    authority, _, path = head.partition("/")
    user, at, hostport = authority.rpartition("@")
    raw, port = _split_port(hostport)
    host = _host(raw)
    if host is None or port is None:
        return None
    default = {"http": "80", "https": "443"}[scheme]
    where = f"{scheme}://{host}" + (f":{port}" if port not in ("", default) else "")
    url = where + "/" + _escape(_dots(path), "/%:@!$&()*+,;=~-._")
    if query_mark:
        url += "?" + _escape(query, "/?%:@!$&()*+,;=~-._[]|")
    if mark:
        url += "#" + _escape(fragment, "/?%:@!$&()*+,;=~-._[]")
    return Address(scheme, url, shown(host), bool(at and user))


def is_number(host: str) -> bool:
    """Whether the host of an `Address` is an IP address instead of a name."""
    return host.startswith("[") or host.rpartition(".")[2].isdigit()


def is_plain(host: str) -> bool:
    """Whether people can read where an `Address` leads: a name, in letters that are not mistaken for others."""
    return "xn--" not in host and not is_number(host)


def _split_port(hostport: str) -> tuple[str, str | None]:
    """(host, port without leading zeros); the port is None where it is no port."""
    cut = hostport.rfind(":")
    if cut < 0 or "]" in hostport[cut:]:
        return hostport, ""
    port = hostport[cut + 1 :]
    if port == "":
        return hostport[:cut], ""
    if not (port.isascii() and port.isdigit()) or len(port.lstrip("0")) > 5 or int(port) > 65535:
        return hostport[:cut], None
    return hostport[:cut], str(int(port))


def _dots(path: str) -> str:
    """Remove `.` and `..` segments, as a browser does before it asks."""
    if "." not in path and "%2e" not in path.lower():
        return path
    kept: list[str] = []
    parts = path.split("/")
    for index, part in enumerate(parts):
        plain = re.sub("%2e", ".", part, flags=re.IGNORECASE)
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(part)
            continue
        if index == len(parts) - 1:
            kept.append("")
    return "/".join(kept)


def _host(raw: str) -> str | None:
    """ASCII host, lower case; dotted decimal for every spelling of an IPv4 address."""
    if raw.startswith("["):
        try:
            return (
                f"[{ipaddress.IPv6Address(raw[1:-1]).compressed}]"
                if raw.endswith("]") and "%" not in raw
                else None
            )
        except ValueError:
            return None
    if not raw or len(raw) > 1024:
        return None
    try:
        host = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return None
    host = host.translate(_IGNORED)
    if not host.isascii():
        host = unicodedata.normalize("NFKC", host).translate(_DOTS)
    host = unicodedata.normalize("NFC", host.lower())
    if _FORBIDDEN_HOST.search(host):
        return None
    labels = [_ascii_label(label) for label in host.split(".")]
    if any(label is None for label in labels):
        return None
    ascii_host = ".".join(label for label in labels if label is not None)
    if not ascii_host.strip(".") or len(ascii_host) > 254 or ".." in ascii_host or ascii_host.startswith("."):
        return None
    return _ipv4(ascii_host)


def _ascii_label(label: str) -> str | None:
    if label.isascii():
        return label if len(label) <= 63 else None
    if len(label) > 63 or not all(unicodedata.category(char)[0] in "LMN" or char == "-" for char in label):
        return None
    encoded = "xn--" + label.encode("punycode").decode("ascii")
    return encoded if len(encoded) <= 63 else None


def _ipv4(host: str) -> str | None:
    """The host itself, or its dotted decimal form where its last label is a number; None for a bad number."""
    parts = host.removesuffix(".").split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return host
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        return None
    value = numbers[-1] + sum(number << (8 * (3 - place)) for place, number in enumerate(numbers[:-1]))
    return str(ipaddress.IPv4Address(value))


def _number(part: str) -> int:
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    return int(part, 8) if len(part) > 1 and part.startswith("0") else int(part)


def _mailto(rest: str) -> Address | None:
    """RFC 6068 with to, cc, subject and body alone: nobody is put in bcc by a link, and no line ends in headers."""
    path, _, query = rest.partition("#")[0].partition("?")
    fields: dict[str, str] = {"to": unquote(path, errors="replace")}
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        key = unquote(key).lower()
        if key in _MAILTO_FIELDS:
            fields[key] = ", ".join(filter(None, (fields.get(key), unquote(value, errors="replace"))))
    people = {key: _addresses(fields.get(key, "")) for key in ("to", "cc")}
    if not people["to"]:
        return None
    texts = {key: _one_line(fields.get(key, ""), keep_lines=key == "body") for key in ("subject", "body")}
    parts = [("cc", ",".join(people["cc"])), *texts.items()]
    query = "&".join(f"{key}={_escape(value, '@,' if key == 'cc' else '')}" for key, value in parts if value)
    url = (
        "mailto:"
        + ",".join(_escape(person, "@+!$*'") for person in people["to"])
        + ("?" + query if query else "")
    )
    return Address("mailto", url, ", ".join(people["to"])) if len(url) <= MAX_URL else None


def _addresses(text: str) -> list[str]:
    """At most 20 plain addresses; a list with anything else in it gives nothing."""
    found = [part.strip() for part in text.split(",") if part.strip()][:20]
    return found if all(_ADDRESS.fullmatch(person) for person in found) else []


def _one_line(text: str, *, keep_lines: bool) -> str:
    lines = text.splitlines() if keep_lines else [" ".join(text.splitlines())]
    return "\r\n".join("".join(char for char in line if char >= " " and char != "\x7f") for line in lines)[
        :2000
    ]


def shown(host: str) -> str:
    """The host for people: labels in one script are decoded, all others stay punycode."""
    if "xn--" not in host:
        return host
    return ".".join(_shown_label(label) for label in host.split("."))


def _shown_label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        text = label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, IndexError):
        return label
    if _ascii_label(unicodedata.normalize("NFKC", text).lower()) != label:
        return label
    scripts = {unicodedata.name(char, "?").split(" ")[0].split("-")[0] for char in text if char.isalpha()}
    if scripts <= {"CJK", "HIRAGANA", "KATAKANA"} or scripts <= {"CJK", "HANGUL"}:
        return text
    if len(scripts) != 1 or scripts & {"GREEK", "ARMENIAN", "CHEROKEE", "?"}:
        return label
    if scripts == {"LATIN"} and any(char.isalpha() and ord(char) > 0x17F for char in text):
        return label
    lookalike = scripts == {"CYRILLIC"} and all(
        not char.isalpha() or char in _LOOKALIKE_CYRILLIC for char in text
    )
    return label if lookalike else text
