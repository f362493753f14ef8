"""What a message says of who wrote it: name, address, where answers go."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Final

from webmail.mail import idn
from webmail.mail.addresses import fold
from webmail.mail.trust.confusables import skeleton
from webmail.mail.trust.domains import (
    domain_of,
    is_deceptive_name,
    is_freemail,
    is_mixed_name,
    likeness,
    same_organisation,
)
from webmail.mail.trust.model import Facts, Finding, Level

_ADDRESS: Final = re.compile(
    r"[^\s@<>\"'(),;:\[\]]{1,64}@((?:[^\s@<>\"'(),;:\[\].]{1,63}\.){1,8}[^\W\d_]{2,24})"
)
_DOMAIN: Final = re.compile(
    r"(?<![\w.@-])((?:[a-z0-9-]{1,63}\.){1,4}(?:com|net|org|edu|gov|info|bank|co|uk|de|fr|nl|it|es|pl|eu|us|ca|au|jp|cn|ru))(?![\w-])",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"(?<![\w.-])((?:[^\W_][\w-]{0,62}\.){1,6}[^\W\d_]{2,24})(?![\w-])")
# Names of those who keep a mail service: from outside, with the first kind whatever the address says.
_KEEPERS: Final = frozenset(
    map(skeleton, (
        "postmaster", "administrator", "system administrator", "mail administrator", "email administrator", "webmaster",
        "hostmaster", "mtumail", "mtumail support", "mtumail team", "webmail", "webmail support", "mail support",
        "email support", "mail team", "email team", "mailbox team", "mailbox support", "it helpdesk", "it help desk",
        "it support", "it department", "it service desk", "mail server", "email security", "mail security", "root",
    ))
)  # fmt: skip
# What bounces are signed with by right. The null sender alone excuses nobody: it is anybody's to say.
_BOUNCERS: Final = frozenset(
    map(skeleton, (
        "postmaster", "administrator", "system administrator", "mail administrator", "email administrator", "mail server",
    ))
)  # fmt: skip
_OFFICES: Final = frozenset(
    map(
        skeleton,
        (
            "support",
            "help desk",
            "helpdesk",
            "service desk",
            "admin",
            "security",
            "security team",
            "support team",
        ),
    )
)
_MANY: Final = 5
_READ: Final = 1000
_DOTS: Final = str.maketrans({"\u3002": ".", "\uff61": ".", "\u2024": ".", "\u00b7": "."})
_AT: Final = re.compile(r"[ \u00a0\u2000-\u200a]?(?:@|[(\[](?:at|AT)[)\]])[ \u00a0\u2000-\u200a]?")


def findings(facts: Facts) -> Iterator[Finding]:
    """What to tell of From and Reply-To, in no order. Nothing here trusts a header to excuse another."""
    name, address = facts.sender
    if not address or not domain_of(address) or "@" not in address:
        yield Finding("no-sender", "warn", name)
    else:
        yield from _address(facts, address)
        if name or "@" in address.rpartition("@")[0]:
            yield from _name(facts, _as_read(name), address)
    if "duplicate-header:from" in facts.problems:
        yield Finding("several-froms", "bad")
    elif facts.authors > 1:
        yield Finding("several-authors", "warn", count=facts.authors)
    yield from _replies(facts, address)


def is_hosted(facts: Facts, address: str) -> bool:
    """Whether an address lies in one of our own domains, or in a name below one."""
    domain = domain_of(address)
    return any(idn.is_within(domain, ours) for ours in facts.hosted_domains)


def is_own(facts: Facts, address: str) -> bool:
    return fold(address) in {fold(own) for own in facts.own_addresses}


def _has_written_to(facts: Facts) -> bool:
    return facts.known is not None and facts.known.sent > 0


def _address(facts: Facts, address: str) -> Iterator[Finding]:
    domain, local = domain_of(address), address.rpartition("@")[0]
    if is_hosted(facts, address) or is_own(facts, address):
        return
    if idn.is_mixed(local):
        yield Finding("mixed-address", "warn", address)
    people = [domain_of(person) for _, person in facts.familiar]
    alike = likeness(domain, facts.hosted_domains, [one for one in people if not is_freemail(one)])
    if alike and not _has_written_to(facts):
        level: Level = "bad" if alike.kind in ("same-look", "inside") else "warn"
        yield Finding("lookalike", level, domain, alike.target)
    elif is_mixed_name(domain):
        yield Finding("mixed-domain", "bad", domain)
    elif is_deceptive_name(domain):
        yield Finding("coded-domain", "warn", domain)


def _as_read(name: str) -> str:
    """A name with what only looks like a sign of an address as that sign: wide and small forms, blanks around it."""
    plain = unicodedata.normalize("NFKC", name[:_READ]).translate(_DOTS)
    return _AT.sub("@", plain)


def _name(facts: Facts, name: str, address: str) -> Iterator[Finding]:
    """A name may be anything; what counts is whom it makes a reader think of."""
    if is_own(facts, address) or is_hosted(facts, address):
        claim = _claimed_address(facts, name, address)
        if claim and not is_hosted(facts, claim[0].other):
            yield claim[0]
        return
    claims = _claimed_address(facts, name, address) or _claimed_domain(facts, name, address)
    if claims:
        yield from claims
    elif any(skeleton(own) == skeleton(name) and len(own) > 3 for own in facts.own_names if own):
        yield Finding("own-name", "note" if _has_written_to(facts) else "warn", address, name)
    elif _is_keeper(facts, name, address):
        yield Finding("keeper-name", "warn", address, name)
    elif _is_somebody_else(facts, name, address):
        yield Finding("known-name", "warn", address, name)


def _claimed_address(facts: Facts, name: str, address: str) -> list[Finding]:
    """The name, or a quoted local part, shows an address of somebody else."""
    local = address.rpartition("@")[0]
    shown = f"{name} {local}" if "@" in local else name
    for found in islice(_ADDRESS.finditer(shown), _MANY) if "@" in shown else ():
        claimed, domain = found[0], domain_of(found[0])
        if fold(claimed) == fold(address):
            continue
        if is_own(facts, claimed) or is_hosted(facts, claimed):
            # A list that rewrites From keeps the author's address in the name, and says through which list it came.
            via_list = bool(facts.list_id) and " via " in name and not is_own(facts, claimed)
            return [Finding("name-shows-ours", "warn" if via_list else "bad", address, claimed)]
        if same_organisation(domain, domain_of(address)) and not is_freemail(domain):
            continue
        via_list = bool(facts.list_id) and " via " in name
        return [Finding("name-shows-address", "note" if via_list else "warn", address, claimed)]
    return []


def _claimed_domain(facts: Facts, name: str, address: str) -> list[Finding]:
    """The name shows a domain of somebody else."""
    if "." not in name:
        return []
    hosted = {ours for ours in facts.hosted_domains if "." in ours}
    shown = {found[1].lower() for found in _NAME.finditer(name)} & hosted
    others = (found[1].lower() for found in islice(_DOMAIN.finditer(name), _MANY))
    for claimed in (*sorted(shown), *others):
        if same_organisation(claimed, domain_of(address)):
            continue
        ours = any(same_organisation(claimed, one) for one in hosted)
        return [
            Finding(
                "name-shows-ours" if ours else "name-shows-domain",
                "bad" if ours else "warn",
                address,
                claimed,
            )
        ]
    return []


def _is_keeper(facts: Facts, name: str, address: str) -> bool:
    shape = skeleton(name)
    if _has_written_to(facts) or (facts.return_path == "" and shape in _BOUNCERS):
        return False
    if shape in _KEEPERS or shape in _ours(tuple(facts.hosted_domains)):
        return True
    local = skeleton(address.rpartition("@")[0])
    return shape in _OFFICES and not (local and (local in shape or shape in local))


@lru_cache(maxsize=64)
def _ours(hosted: tuple[str, ...]) -> frozenset[str]:
    """What a service would call itself after one of its domains."""
    return frozenset(
        skeleton(domain.partition(".")[0] + more)
        for domain in hosted
        for more in ("", " support", " team", " mail", " security", " helpdesk", " administrator")
    )


def _is_somebody_else(facts: Facts, name: str, address: str) -> bool:
    """The name of a person whom the reader knows, at an address that is none of theirs."""
    shape = skeleton(name)
    theirs = [person for known, person in facts.familiar if known and skeleton(known) == shape]
    if len(shape) < 5 or not theirs or facts.list_id:
        return False
    return not any(
        person.casefold() == address.casefold()
        or (same_organisation(domain_of(person), domain_of(address)) and not is_freemail(domain_of(person)))
        for person in theirs
    )


def _replies(facts: Facts, address: str) -> Iterator[Finding]:
    """Answers that go to somebody else's domain. One finding, the worst: lists and forms name several."""
    worst: Finding | None = None
    for _, reply in list(facts.reply_to)[:100]:
        if "@" not in reply or not address or _is_at_home(facts, reply, address):
            continue
        verified = facts.authentication is not None and facts.authentication.verdict == "verified"
        is_calm = verified or bool(facts.list_id) or facts.is_bulk or _has_written_to(facts)
        level: Level = "note" if is_calm else "warn"
        code = "reply-elsewhere"
        if is_freemail(domain_of(reply)) and not is_freemail(domain_of(address)) and not facts.list_id:
            code, level = "reply-to-freemail", "note" if _has_written_to(facts) else "warn"
        finding = Finding(code, level, reply, address)
        if worst is None or (level == "warn" and worst.level == "note"):
            worst = finding
    if worst:
        yield worst


def _is_at_home(facts: Facts, reply: str, address: str) -> bool:
    if reply.casefold() == address.casefold() or is_own(facts, reply):
        return True
    if is_freemail(domain_of(reply)):
        # One person with two mailboxes keeps the name; a borrowed name does not help whoever wants the answer.
        return is_freemail(domain_of(address)) and skeleton(reply.rpartition("@")[0]) == skeleton(
            address.rpartition("@")[0]
        )
    return same_organisation(domain_of(reply), domain_of(address))
