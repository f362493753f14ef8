"""DMARC (RFC 9989): the policy of the domain that is shown, found by the DNS tree walk, and whether something aligned passed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from inbound.authentication.dns import Asker, Status
from inbound.authentication.results import Dmarc, Signature, Spf
from webmail.mail.idn import is_within

_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s,]")
_POLICIES = ("none", "quarantine", "reject")
_MILDER = {"reject": "quarantine", "quarantine": "none", "none": "none"}
_LONGEST_WALK = 8


class Unanswered(Exception):
    """DNS did not answer in time."""


@dataclass(frozen=True, slots=True)
class Record:
    """One policy record, as published at `domain`."""

    domain: str
    tags: dict[str, str]

    def policy(self, *names: str) -> str:
        """The first of these tags that holds a policy; p= that is not one counts as none, if reports are asked for; else ""."""
        for name in names:
            if self.tags.get(name, "").lower() in _POLICIES:
                return self.tags[name].lower()
        return "none" if _URI.match(self.tags.get("rua", "")) else ""

    def is_strict(self, name: str) -> bool:
        return self.tags.get(name, "").lower() == "s"


class Walker:
    """Records by domain, and organizational domains, each asked for once a message."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask

    def record(self, domain: str) -> Record | None:
        """The one record at a domain (RFC 9989 section 4.10). Raises Unanswered."""
        answer = self._ask(f"_dmarc.{domain}", "TXT")
        if answer.status is Status.TEMPORARY:
            raise Unanswered
        found = [text for text in answer.records if _VERSION.match(text)]
        return Record(domain, _tags(found[0])) if len(found) == 1 else None

    def walk(self, domain: str) -> list[Record]:
        """The records at a domain and above it, the longest name first. Raises Unanswered."""
        found = []
        for name in names_above(domain):
            record = self.record(name)
            if record is not None:
                found.append(record)
                if record.tags.get("psd", "").lower() in ("y", "n"):
                    break
        return found

    def organization(self, domain: str) -> str:
        """The organizational domain (section 4.10.2). Raises Unanswered."""
        records = self.walk(domain)
        for record in records:
            psd = record.tags.get("psd", "").lower()
            if psd == "n":
                return record.domain
            if psd == "y" and record.domain != domain:
                labels = record.domain.count(".") + 2
                return ".".join(domain.split(".")[-labels:])
        return records[-1].domain if records else domain

    def policy_record(self, author: str, organization: str) -> Record | None:
        """The record that says what is to be done (section 4.10.1). Raises Unanswered."""
        records = self.walk(author)
        for wanted in (author, organization):
            for record in records:
                if record.domain == wanted:
                    return record
        return next((record for record in records if record.tags.get("psd", "").lower() == "y"), None)

    def exists(self, domain: str) -> bool:
        """False if the name is not in DNS at all (section 3.2.14). Raises Unanswered."""
        status = self._ask(domain, "A").status
        if status is Status.TEMPORARY:
            raise Unanswered
        return status is not Status.NXDOMAIN


def names_above(domain: str) -> list[str]:
    """The names that a tree walk visits: the domain, then at most seven labels, then one less each time."""
    labels = domain.split(".")
    start = 1 if len(labels) < _LONGEST_WALK else len(labels) - _LONGEST_WALK + 1
    return [domain, *(".".join(labels[number:]) for number in range(start, len(labels)))]


def evaluate(author: str, spf: Spf | None, dkim: Sequence[Signature], ask: Asker) -> Dmarc:
    """DMARC for one author domain. `spf` is None where it could not be looked at: then nothing is called a failure."""
    walker = Walker(ask)
    try:
        organization = walker.organization(author)
        record = walker.policy_record(author, organization)
        policy = _applied(walker, record, author) if record else ""
    except Unanswered:
        return Dmarc("temperror", author=author)
    if record is None or not policy:
        return Dmarc(author=author, organization=organization)
    passed = [one.domain for one in dkim if one.result == "pass"]
    by_dkim, unsure = _aligned(walker, author, organization, passed, record.is_strict("adkim"))
    sender = [spf.domain] if spf and spf.result == "pass" and spf.domain else []
    by_spf, unsure_too = _aligned(walker, author, organization, sender, record.is_strict("aspf"))
    # Only of what could have been aligned: a stranger's dead name server may not turn a failure into a doubt.
    doubtful = [one.domain for one in (*dkim, *((spf,) if spf else ())) if one.result == "temperror"]
    waiting = unsure or unsure_too or any(is_within(one, organization) for one in doubtful)
    if by_dkim or by_spf:
        result = "pass"
    elif waiting:
        result = "temperror"
    else:
        result = "fail" if spf is not None else "none"
    return Dmarc(
        result,
        author=author,
        policy=policy,
        organization=organization,
        by_dkim=by_dkim,
        by_spf=by_spf,
    )


def _applied(walker: Walker, record: Record, author: str) -> str:
    """The policy for mail of `author`: of the domain itself, of a subdomain, or of one that does not exist; milder while tested."""
    if record.domain == author:
        policy = record.policy("p")
    elif "np" in record.tags and not walker.exists(author):
        policy = record.policy("np", "sp", "p")
    else:
        policy = record.policy("sp", "p")
    return _MILDER[policy] if policy and record.tags.get("t", "").lower() == "y" else policy


def _aligned(
    walker: Walker, author: str, organization: str, domains: Sequence[str], strict: bool
) -> tuple[str, bool]:
    """The first of `domains` that is aligned with the author's, or ""; and whether one could not be decided."""
    unsure = False
    for domain in sorted(domains, key=lambda one: one != author):
        if domain == author:
            return domain, False
        # Two names of one organization have its name in common: others need not be looked up.
        if strict or not is_within(domain, organization):
            continue
        try:
            if walker.organization(domain) == organization:
                return domain, False
        except Unanswered:
            unsure = True
    return "", unsure


def _tags(text: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for spec in text[:4096].split(";"):
        name, equals, value = spec.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    return tags
