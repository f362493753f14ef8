"""Domain names as mail uses them: one ASCII form to compare (RFC 5890 A-labels), one form to show.

The form to show is Unicode only while a label keeps to one script and does not look like another one; else it stays
punycode, so that a Cyrillic `exаmple` is seen for what it is. Linear and bounded: no label beyond 63 octets is encoded.
"""

import functools
import ipaddress
import re
import unicodedata

MAX_DOMAIN = 253
MAX_LABEL = 63

_LDH = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_DOTS = re.compile("[\u3002\uff0e\uff61]")  # the dots of IDNA: RFC 3490 section 3.1
_LETTERS = frozenset(("Ll", "Lo", "Lm", "Mn", "Mc", "Nd"))

# Letters of other scripts that read as Latin ones in most fonts. A label made of nothing else is shown as punycode.
_LOOKALIKES = frozenset("асԁеһіјӏорԛѕԝхуъЬҽпгѵѡоαικνρυωηογβοϲϳ0123456789-")
# Scripts that are written together: Unicode UTS 39 section 5.2, "highly restrictive".
_TOGETHER = (
    frozenset(("LATIN", "CJK", "HIRAGANA", "KATAKANA")),
    frozenset(("LATIN", "CJK", "BOPOMOFO")),
    frozenset(("LATIN", "CJK", "HANGUL")),
)


@functools.lru_cache(maxsize=4096)
def to_ascii(domain: str) -> str | None:
    """The lower-case A-label form, without a last dot; None where the name cannot be a host name (RFC 5321 section 4.1.2)."""
    if len(domain) > 1024:
        return None
    labels = _DOTS.sub(".", domain).removesuffix(".").split(".")
    encoded = [_label_to_ascii(label) for label in labels]
    name = ".".join(label for label in encoded if label)
    return name if all(encoded) and len(name) <= MAX_DOMAIN else None


def _label_to_ascii(label: str) -> str | None:
    if label.isascii():
        lower = label.lower()
        return lower if _LDH.fullmatch(lower) else None
    if len(label) > MAX_LABEL:
        return None
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", label).lower())
    if folded.isascii():
        return folded if _LDH.fullmatch(folded) and folded[2:4] != "--" else None
    if len(folded) > MAX_LABEL or not _is_u_label(folded):
        return None
    name = "xn--" + folded.encode("punycode").decode("ascii")
    return name if len(name) <= MAX_LABEL else None


def _is_u_label(label: str) -> bool:
    """A Unicode label as RFC 5891 section 4.2.3 allows it, without the context rules."""
    if label.startswith("-") or label.endswith("-") or label[2:4] == "--":
        return False
    if unicodedata.category(label[0]) in ("Mn", "Mc"):
        return False
    return all(c == "-" or unicodedata.category(c) in _LETTERS for c in label)


@functools.lru_cache(maxsize=4096)
def to_display(domain: str) -> str:
    """The name as a person should see it: Unicode where that is not misleading, else the ASCII form as given."""
    return ".".join(_label_to_display(label) for label in domain.split("."))


def _label_to_display(label: str) -> str:
    if not label.startswith("xn--") or len(label) > MAX_LABEL:
        return label
    try:
        shown = label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError):
        return label
    if _label_to_ascii(shown) != label or is_mixed(shown) or set(shown) <= _LOOKALIKES:
        return label
    return shown


def is_within(name: str, above: str) -> bool:
    """True if a domain is `above`, or below it; both in one form."""
    return f".{name}".endswith(f".{above}")


def is_mixed(text: str) -> bool:
    """True where letters of scripts come together that no writing system mixes."""
    if text.isascii():
        return False
    scripts = {
        unicodedata.name(c, "UNKNOWN").split()[0].split("-")[0]
        for c in text
        if unicodedata.category(c)[0] == "L"
    }
    return len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER)


def is_literal(domain: str) -> bool:
    """An address literal: [192.0.2.1] or [IPv6:2001:db8::1] (RFC 5321 section 4.1.3)."""
    if not (domain.startswith("[") and domain.endswith("]")) or len(domain) > 60:
        return False
    inner = domain[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            ipaddress.IPv6Address(inner[5:])
        else:
            ipaddress.IPv4Address(inner)
    except ValueError:
        return False
    return "%" not in inner
