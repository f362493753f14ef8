"""Looking at the records of hosted domains in DNS, one domain after the other, outside of any transaction."""

import logging

from inbound.authentication.dns import Asker, Kind, Status
from inbound.authentication.resolver import DnsResolver
from webmail import jobs
from webmail.config import Settings
from webmail.db import transaction
from webmail.errors import NotFound
from webmail.operations import deliveries
from webmail.remote import Client, Failed, Limits
from webmail.schedules import Run
from webmail.settings import domain_health, domains
from webmail.settings.domain_records import Finding, Record, look
from workers.context import core

log = logging.getLogger(__name__)
SECONDS, QUESTIONS = 15.0, 60
"""For one domain."""
FETCH_SECONDS = 10.0
MOST_DOMAINS = 500
"""In one job: the next goes on."""


def drain() -> int:
    """Make the looks that wait; how many. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.DOMAINS)
        settings: Settings = core().extensions["settings"]
        # A new one each time: what it remembered would be yesterday's answer to whoever has just published a record.
        resolver = DnsResolver(settings.dns_servers)
        while done < MOST_DOMAINS:
            with transaction():
                claimed = domain_health.claim()
            if claimed is None:
                return done
            check_id, domain_id = claimed
            findings = _look(resolver, settings, domain_id)
            with transaction():
                domain_health.finish(check_id, domain_id, findings)
            log.info("domain looked at", extra={"domain": domain_id, "findings": len(findings)})
            done += 1
        jobs.ring(jobs.DOMAINS)
    return done


def _look(resolver: DnsResolver, settings: Settings, domain_id: int) -> list[Finding]:
    try:
        with transaction():
            wanted = domain_health.records(domains.one(domain_id), settings)
    except NotFound:  # removed since it was asked for
        return []
    return ask(resolver, wanted)


def ask(resolver: DnsResolver, wanted: list[Record]) -> list[Finding]:
    """What DNS says of these records."""
    asker = Asker(resolver, SECONDS, QUESTIONS)

    def answer(name: str, kind: Kind) -> tuple[str, ...] | None:
        found = asker(name, kind)
        return None if found.status is Status.TEMPORARY else found.records

    return [look(record, answer, _fetch) for record in wanted]


def _fetch(url: str) -> tuple[str | None, str]:
    """What a server that senders would ask tells them: with the care that strangers' servers are asked with."""
    answer = Client().get_text(url, Limits(whole=FETCH_SECONDS, body=65_536))
    return (None, answer.short) if isinstance(answer, Failed) else (answer, "")


# --- by the clock ----------------------------------------------------------------------------------------------------------


def look_daily(_run: Run) -> None:
    """Have every domain looked at, and do it."""
    with transaction():
        domain_health.ask_all()
    drain()


def fold(_run: Run) -> None:
    """Count what was told of mail that left into its days."""
    while True:
        with transaction():
            if deliveries.fold() < deliveries.BATCH:
                return
