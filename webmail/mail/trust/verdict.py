"""All facts to one word."""

from __future__ import annotations

from collections.abc import Iterator

from webmail.mail.trust import content, sender
from webmail.mail.trust.domains import domain_of
from webmail.mail.trust.model import SEVERITY, Facts, Finding, Trust, Word


def assess(facts: Facts) -> Trust:
    """The word for a message, and what to tell of it. Never raises; linear in what it is given.

    "danger" and "caution" have a warning behind them. "verified" says that the domain is proven, nothing of its intentions;
    "known" that the address wrote before, or was written to, and that nothing speaks against it.
    """
    if not facts.incoming:
        return Trust("self")
    found = [*_proof(facts), *sender.findings(facts), *content.findings(facts), *_first(facts)]
    warnings = tuple(sorted(dict.fromkeys(found), key=lambda finding: SEVERITY[finding.level]))
    return Trust(_word(facts, warnings), warnings)


def _word(facts: Facts, warnings: tuple[Finding, ...]) -> Word:
    levels = {finding.level for finding in warnings}
    if "bad" in levels:
        return "danger"
    if "warn" in levels:
        return "caution"
    verdict = facts.authentication.verdict if facts.authentication else "unknown"
    if verdict == "verified":
        return "self" if sender.is_own(facts, facts.sender[1]) else "verified"
    is_known = facts.known is not None and (facts.known.received > 0 or facts.known.sent > 0)
    return "known" if is_known and verdict != "failed" else "unknown"


def _proof(facts: Facts) -> Iterator[Finding]:
    """What authentication has against the message. A missing result says nothing; SPF alone says nothing either."""
    told, domain = facts.authentication, domain_of(facts.sender[1])
    if told is None or told.verdict == "verified":
        return
    failed = told.verdict == "failed" or told.dmarc == "fail"
    if sender.is_hosted(facts, facts.sender[1]) or sender.is_own(facts, facts.sender[1]):
        # Nothing excuses this, no list and no seal: whoever forges the one can forge the other.
        yield Finding(
            "own-service-failed" if failed else "own-service-unproven", "bad" if failed else "warn", domain
        )
    elif failed and told.dmarc_policy in ("reject", "quarantine"):
        yield _failed(facts, domain)


def _failed(facts: Facts, domain: str) -> Finding:
    """Lists change mail and so break its signatures. A seal and a list's name are easily had, and whom the reader knows is
    whom it pays to forge: only a list that the reader writes to is excused."""
    if not facts.list_id:
        return Finding("proof-failed", "bad", domain)
    return Finding("list-changed", "note" if facts.by_known_list else "warn", domain, facts.list_id[:200])


def _first(facts: Facts) -> Iterator[Finding]:
    known = facts.known
    if known is None or known.received or known.sent or facts.list_id or facts.is_bulk or not facts.sender[1]:
        return
    if not sender.is_hosted(facts, facts.sender[1]) and not sender.is_own(facts, facts.sender[1]):
        yield Finding("first-time", "note", facts.sender[1])
