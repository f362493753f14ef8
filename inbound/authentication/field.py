"""The Authentication-Results field (RFC 8601): written from a judgement, and taken out where a stranger forged ours. Pure."""

import re

from inbound.authentication.message import Field
from inbound.authentication.results import Arc, Dmarc, Judgement, Signature, Spf

NAME = b"authentication-results"

_TOKEN = re.compile(r"[A-Za-z0-9!#$&'*+^_`{|}~.@-]{1,320}")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{1,80}")
_NOISE = re.compile(rb"[\"\\]+")


def write(host: str, judgement: Judgement) -> bytes:
    """The whole field, folded, with CRLF. `host` is our authserv-id."""
    parts = [] if judgement.spf is None else [_spf(judgement.spf)]
    parts += [_dkim(one) for one in judgement.dkim]
    if judgement.spf is not None and not judgement.dkim:
        parts.append("dkim=none")
    if judgement.dmarc is not None:
        parts.append(_dmarc(judgement.dmarc))
    if judgement.arc.result != "none":
        parts.append(_arc(judgement.arc))
    lines = "".join(f";\r\n\t{part}" for part in parts or ["none"])
    return f"Authentication-Results: {host}{lines}\r\n".encode("ascii")


def is_forged(field: Field, host: str) -> bool:
    """True if a field that came with a message could be taken for ours by anybody (RFC 8601 section 5).

    Comments, quotes and escapes are no hiding place: our name anywhere before the results is enough.
    """
    if field.name != NAME:
        return False
    claimed = field.value.partition(b";")[0]
    if b"(" in claimed:
        claimed = field.value  # that semicolon may be in a comment
    claimed = _NOISE.sub(b"", claimed).lower()
    ours = re.escape(host.lower().encode())
    return re.search(rb"(?<![a-z0-9.-])%s(?![a-z0-9-]|\.[a-z0-9])" % ours, claimed) is not None


def _spf(one: Spf) -> str:
    return _words("spf", one.result, "", {f"smtp.{one.identity}": one.domain})


def _dkim(one: Signature) -> str:
    properties = {
        "header.d": one.domain,
        "header.s": one.selector,
        "header.b": one.start,
        "header.i": one.identity,
        "header.a": one.algorithm,
    }
    return _words("dkim", one.result, one.reason, properties)


def _dmarc(one: Dmarc) -> str:
    properties = {
        "header.from": one.author,
        "policy.dmarc": one.policy,
        "policy.by-dkim": one.by_dkim,
        "policy.by-spf": one.by_spf,
    }
    return _words("dmarc", one.result, one.reason, properties)


def _arc(one: Arc) -> str:
    oldest = str(one.oldest_pass) if one.result == "pass" else ""
    return _words("arc", one.result, one.reason, {"header.oldest-pass": oldest, "policy.sealer": one.sealer})


def _words(method: str, result: str, reason: str, properties: dict[str, str]) -> str:
    # Anything else that a stranger chose is left out: no quote, no semicolon and no encoded word can come through here.
    text = f"{method}={result}"
    if reason:
        text += f' reason="{reason}"'
    for name, value in properties.items():
        if value and _TOKEN.fullmatch(value):
            text += f"\r\n\t {name}={value}"
        elif _BASE64.fullmatch(value):
            text += f'\r\n\t {name}="{value}"'
    return text
