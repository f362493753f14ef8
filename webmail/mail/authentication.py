"""What inbound found out about a message's sender, read back from the message itself (RFC 8601). Pure, linear, never raises.

Inbound puts its own block before whatever came: Return-Path, Authentication-Results, Received, in this order and nothing between.
Only a field in that very place is believed, and only if it names the host that the Received field below it was written by. What
a stranger sends stands below that block, under whatever name. This holds for mail that inbound received; a message that came
into a mailbox in another way (an import) has no block of ours, and its caller does not ask.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from webmail.mail.idn import is_within
from webmail.mail.mime.model import Header

Verdict = Literal["verified", "failed", "unknown"]

_BLOCK = ("return-path", "authentication-results", "received")
_RECEIVED = re.compile(r"from \S{1,255} \(\S{1,80}\) by (\S{1,255}) with ")
_TOKEN = re.compile(
    r'\s*+(?:(;)|([a-z-]{1,20}(?:\.[a-z-]{1,20})?)=(?:"([^"]{0,400})"|([^\s";]{1,400}))(?=[\s;]|\Z))'
)
_METHODS = frozenset(("spf", "dkim", "dmarc", "arc"))
_RESULTS = frozenset(
    ("pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror")
)  # fmt: skip
_POLICIES = frozenset(("none", "quarantine", "reject"))
_MAX_FIELD = 16 * 1024


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM signature: its result, and what it says of itself. `start` is the beginning of its b= value."""

    result: str
    domain: str = ""
    selector: str = ""
    identity: str = ""
    start: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """Results as RFC 8601 names them; "none" where nothing was looked at or there was nothing to look at.

    `dmarc_policy` is the policy to apply: none, quarantine, reject, or "" where none is published. `from_domain` is the domain
    that was judged, `spf_domain` the one SPF was asked about. `reason` says why DMARC failed beyond a plain failure, in English,
    for the details; `by_dkim` and `by_spf` name the aligned domain that DMARC passed by.
    """

    spf: str = "none"
    spf_domain: str = ""
    dkim: tuple[Signature, ...] = ()
    dmarc: str = "none"
    dmarc_policy: str = ""
    from_domain: str = ""
    by_dkim: str = ""
    by_spf: str = ""
    arc: str = "none"
    arc_sealer: str = ""
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        """In one word: "verified", the domain in From vouches for this; "failed", it says that this is not its mail."""
        if self.dmarc == "fail":
            return "failed"
        if self.dmarc == "pass" or self.spf_aligned or any(map(self.is_aligned, self.dkim)):
            return "verified"
        return "unknown"

    @property
    def spf_aligned(self) -> bool:
        """True if SPF passed for the domain in From."""
        return bool(self.by_spf) or (
            self.spf == "pass" and bool(self.from_domain) and self.spf_domain == self.from_domain
        )

    def is_aligned(self, one: Signature) -> bool:
        """True if a signature passed and is of the domain in From, of one above it, or of one that DMARC took for aligned."""
        if one.result != "pass" or not one.domain:
            return False
        return one.domain == self.by_dkim or is_within(self.from_domain, one.domain)

    def covers(self, headers: Sequence[Header], names: Iterable[str]) -> bool:
        """Whether one aligned signature that passed covers every field of these names, and there is one of each (RFC 8058).

        `headers` are those of the same message. A name signed less often than it occurs is not covered.
        """
        counts: dict[str, int] = {}
        for header in headers:
            name = header.name.lower()
            counts[name] = counts.get(name, 0) + 1
        wanted = {name.lower() for name in names}
        if not wanted or not all(counts.get(name) for name in wanted):
            return False
        for one in filter(self.is_aligned, self.dkim):
            signed = _signed_names(headers, one)
            if all(signed.count(name) >= counts[name] for name in wanted):
                return True
        return False


def read(headers: Sequence[Header]) -> Authentication | None:
    """Our results from the header fields of a received message; None where there are none of ours."""
    if tuple(header.name.lower() for header in headers[:3]) != _BLOCK:
        return None
    by = _RECEIVED.match(headers[2].value)
    host, semicolon, rest = headers[1].value.partition(";")
    if by is None or not semicolon or host.strip().lower() != by[1].lower() or len(rest) > _MAX_FIELD:
        return None
    if rest.strip() == "none":
        return Authentication()
    groups = _groups(rest)
    return _combine(groups) if groups is not None else None


def _groups(text: str) -> list[dict[str, str]] | None:
    """The results, each as its properties with the method first; None if this is not what we write."""
    groups: list[dict[str, str]] = [{}]
    pos, end = 0, len(text.rstrip())
    while pos < end:
        token = _TOKEN.match(text, pos, end)
        if token is None:
            return None
        pos = token.end()
        if token[1]:
            groups.append({})
        else:
            groups[-1].setdefault(token[2], token[3] if token[3] is not None else token[4])
    return groups


def _combine(groups: list[dict[str, str]]) -> Authentication | None:
    found: dict[str, dict[str, str]] = {}
    signatures = []
    for group in groups:
        method = next(iter(group), "")
        if method not in _METHODS or group[method] not in _RESULTS:
            return None
        if method == "dkim":
            if group[method] != "none":
                signatures.append(_signature(group))
        elif method in found:
            return None
        else:
            found[method] = group
    spf, dmarc, arc = (found.get(method, {}) for method in ("spf", "dmarc", "arc"))
    policy = dmarc.get("policy.dmarc", "")
    return Authentication(
        spf=spf.get("spf", "none"),
        spf_domain=spf.get("smtp.mailfrom", "") or spf.get("smtp.helo", ""),
        dkim=tuple(signatures),
        dmarc=dmarc.get("dmarc", "none"),
        dmarc_policy=policy if policy in _POLICIES else "",
        from_domain=dmarc.get("header.from", ""),
        by_dkim=dmarc.get("policy.by-dkim", ""),
        by_spf=dmarc.get("policy.by-spf", ""),
        arc=arc.get("arc", "none"),
        arc_sealer=arc.get("policy.sealer", ""),
        reason=dmarc.get("reason", ""),
    )


def _signature(group: dict[str, str]) -> Signature:
    return Signature(
        result=group["dkim"],
        domain=group.get("header.d", ""),
        selector=group.get("header.s", ""),
        identity=group.get("header.i", ""),
        start=group.get("header.b", ""),
        reason=group.get("reason", ""),
    )


def _signed_names(headers: Sequence[Header], one: Signature) -> list[str]:
    """The names in h= of the field that a result is about; none if several fields could be meant, or none."""
    found = []
    for header in headers:
        if header.name.lower() != "dkim-signature" or len(header.value) > _MAX_FIELD:
            continue
        tags = dict.fromkeys("dsbh", "")
        for spec in header.value.split(";"):
            name, _, value = spec.partition("=")
            tags[name.strip()] = "".join(value.split())
        fits = (
            one.start
            and tags["b"].startswith(one.start)
            and tags["d"].lower() == one.domain
            and tags["s"].lower() == one.selector
        )
        if fits:
            found.append(tags["h"].lower().split(":"))
    return found[0] if len(found) == 1 else []
