"""Hosted domains in words: what they are, what their records are for, what was found, and why something was refused."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from webmail.settings.domain_records import Finding

STAGES: Mapping[str, tuple[Any, str]] = {
    "waiting": (_l("not verified"), "warn"),
    "active": (_l("in use"), "good"),
    "alias": (_l("alias"), "good"),
    "resting": (_l("no new names"), "warn"),
}
"""What a domain is, and the class that colours it."""

STATES: Mapping[str, tuple[Any, str]] = {
    "good": (_l("as it should be"), "good"),
    "wrong": (_l("another value"), "bad"),
    "missing": (_l("missing"), "bad"),
    "unknown": (_l("could not ask"), "warn"),
    "": (_l("not looked at yet"), "quiet"),
}

PURPOSES: Mapping[str, tuple[Any, Any]] = {
    "ownership": (
        _l("Ownership"),
        _l("Shows that the domain is yours to host here. Once that was seen it may go."),
    ),
    "mx": (_l("MX"), _l("Where mail for the domain comes in.")),
    "spf": (_l("SPF"), _l("Which servers send its mail.")),
    "dkim": (_l("DKIM"), _l("The public half of a key that signs its mail.")),
    "dmarc": (_l("DMARC"), _l("What others are to do with mail that is forged. “p=reject” is good too.")),
    "tls": (
        _l("TLS reports"),
        _l("Where others write when they could not encrypt. Any address of yours will do."),
    ),
    "sts": (_l("MTA-STS"), _l("That there is a policy, and whether it has changed.")),
    "sts-host": (
        _l("MTA-STS, host"),
        _l(
            "Where the policy is fetched by HTTPS; any record with the address of these pages will do. It needs a certificate."
        ),
    ),
}

STS: Mapping[str, Any] = {
    "none": _l("Off"),
    "testing": _l("Try: others tell of trouble and deliver all the same"),
    "enforce": _l("On: others deliver over TLS that they trust, or not at all"),
}

REGISTRATION: Mapping[str, Any] = {
    "": _l("As the service does"),
    "open": _l("Open: whoever signs in may take a name"),
    "invite": _l("Who has an invitation"),
    "closed": _l("Closed: nobody"),
}

_FETCHING: Mapping[str, Any] = {
    "tls": _l("its certificate is not valid for that name"),
    "status": _l("it answers, and not with the policy"),
    "type": _l("what it sends is not plain text"),
    "connect": _l("the host does not answer"),
    "slow": _l("the host does not answer in time"),
    "private": _l("its address is not public"),
}


def found_words(finding: Finding) -> str:
    """What was found in place of a record; of a policy's host in words."""
    words = _FETCHING.get(finding.found.partition("-")[0]) if finding.code == "sts-host" else None
    return str(words or finding.found)


KEY_STATES: Mapping[str, Any] = {
    "next": _l("waits: publish it, then switch"),
    "active": _l("signs"),
    "retired": _l("retired"),
}

REFUSALS: Mapping[str, Any] = {
    "not-a-domain": _l("That is no name of a domain. Write it like example.org."),
    "known": _l("This domain is here already."),
    "in-use": _l("There are mailboxes at this domain, so it stays what it is."),
    "has-aliases": _l("Other domains are aliases of this one. Free them first."),
    "not-a-target": _l("An alias needs a verified domain that has names itself."),
    "names-rest": _l(
        "Names rest at this domain: mail for whoever had them must reach nobody else. It can be an alias when they have rested."
    ),
    "names-given": _l(
        "This domain was another one’s alias, and both have the same names: their mail would go to somebody else."
    ),
    "not-an-address": _l("That address leads to no mailbox here that is open."),
    "sts-remembered": _l(
        "Others remember for two weeks that it is on. Choose “Try” and publish its record first; switch it off two weeks later."
    ),
    "no-such-choice": _l("There is no such choice."),
    "unpublished": _l("DNS does not have these keys yet, as far as the last look saw. Look again first."),
    "waits": _l("A key waits already. Publish it and switch, or drop it."),
    "no-key": _l("No key waits. Make one first."),
    "retired": _l("This key is retired already."),
}
