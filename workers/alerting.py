"""Looking every minute whether all is well, and telling whoever answers for the service what is not: by mail and by a webhook.

The clock looks, for it needs neither Redis nor a worker; telling is a worker's job. What was rung for and heard by nobody the clock
tells itself, one letter and one call at a time. Mail goes straight to a relay, past the outbox, which may be what is stuck.
"""

import logging
import re
import shutil
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from sqlalchemy.exc import OperationalError

from webmail import jobs, metrics, phrases, samples
from webmail.config import Settings
from webmail.db import transaction
from webmail.errors import KeyTrouble, SettingError
from webmail.mail import mailboxes
from webmail.mail.addresses import Address, AddressError, parse_spec
from webmail.operations import alerts, alerts_hook, alerts_telling, alerts_words, queues, queues_workers
from webmail.operations.alerts import Limits
from webmail.operations.alerts_telling import MAIL, WEBHOOK, Telling
from webmail.samples import Span
from webmail.sending import dkim, roads, telling
from webmail.sending.composing import Composition, CompositionError, build
from webmail.sending.relay import Forgetful, Relays
from webmail.settings import dkim_keys, domains, kept, languages
from workers.context import core, master

log = logging.getLogger(__name__)
LOOK_SECONDS = 60.0
_LATELY = Span("lately", timedelta(minutes=30), 1)
_AUTOMATIC = b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
_looked = [-LOOK_SECONDS]


def nudge() -> bool:
    """For the clock, as often as it likes: once a minute, look, and ring for what is to be told. Whether it looked.

    Whatever goes wrong in it but the database is logged: no fault of a watchman may stop the clock.
    """
    if time.monotonic() - _looked[0] < LOOK_SECONDS:
        return False
    _looked[0] = time.monotonic()
    try:
        _look_and_ring()
    except OperationalError:
        raise
    except Exception as error:
        log.error("alerts not looked at", extra={"error": type(error).__name__})
        return False
    return True


def _look_and_ring() -> None:
    with core().app_context():
        look()
        with transaction():
            due, is_stuck = alerts_telling.is_due(), alerts_telling.is_due(stuck_only=True)
        if due and (not jobs.ring(jobs.ALERT) or is_stuck):
            for way in (MAIL, WEBHOOK):
                _tell(way)


def look() -> int:
    """Look at everything once; how many messages are to be told of it."""
    settings: Settings = core().extensions["settings"]
    here = _of_redis() | _of_machine(settings)
    with transaction():
        facts = {(one.name, one.label): one.value for one in metrics.facts()} | alerts.facts_of_people()
        wrong = alerts.judge(facts | _of_pages() | here, _limits(), queues.paused())
        return alerts.look(wrong, machine(), ways(settings))


def machine() -> str:
    """What this machine calls itself, as a code."""
    return re.sub(r"[^a-z0-9_.-]+", "-", socket.gethostname().lower())[:60] or "unnamed"


def ways(settings: Settings) -> list[str]:
    """How alerts are told, as the settings say now; in a transaction."""
    mail = [MAIL] if kept.is_on("alerts.mail") and _address() is not None else []
    return mail + ([WEBHOOK] if settings.alert_webhook else [])


def _address() -> Address | None:
    """Where alerts are mailed to; None for nowhere."""
    try:
        return parse_spec(kept.text("alerts.mail_to") or kept.text("service.contact"))
    except AddressError:
        return None


# --- facts that the database does not know -------------------------------------------------------------------------------


def _limits() -> Limits:
    names = Limits.__dataclass_fields__
    return Limits(**{name: kept.whole(f"alerts.{name}") for name in names})


def _of_redis() -> dict[tuple[str, str], float]:
    found = queues_workers.alive()
    if found is None:
        return {("bell_away", ""): 1}
    return {("worker_gone", queue): 1 for queue in queues_workers.gone(found)}


def _of_pages() -> dict[tuple[str, str], float]:
    told = samples.history(["http_requests_total"], _LATELY)
    codes = [(code, sum(values)) for (_name, code), values in told.items()]
    failed = sum(count for code, count in codes if code.startswith("5"))
    return {("pages", ""): sum(count for _code, count in codes), ("pages_failed", ""): failed}


def _of_machine(settings: Settings) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    folder = settings.data_dir if settings.data_dir.is_dir() else Path("/")
    disk = shutil.disk_usage(folder)
    found["disk_free_percent", machine()] = int(disk.free * 100 / max(disk.total, 1))
    if settings.tls_certificate:
        days = _days_left(settings.tls_certificate)
        if days is not None:
            found["certificate_days", machine()] = days
    return found


def _days_left(path: Path) -> int | None:
    """Until a certificate ends; less than 0 when it has. None where it cannot be read here: `mtumail doctor` tells of that."""
    from cryptography import x509

    try:
        read = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None
    return (read.not_valid_after_utc - datetime.now(UTC)).days


# --- telling -------------------------------------------------------------------------------------------------------------


def drain() -> int:
    """Tell everything that is due; how many messages. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.ALERT)
        for way in (MAIL, WEBHOOK):
            while count := _tell(way):
                done += count
    return done


def _tell(way: str) -> int:
    """Take what is due by one way, a letter's worth or one call, and tell it; how many messages that were."""
    with transaction():
        lease, some = alerts_telling.claim(way, alerts_telling.MOST if way == MAIL else 1)
    if not some:
        return 0
    try:
        problem = _mail(some) if way == MAIL else _call(some[0])
    except OperationalError:
        raise  # the database is away: the lease ends by itself
    except Exception as error:
        level = logging.CRITICAL if isinstance(error, KeyTrouble) else logging.ERROR
        log.log(level, "alert not told", extra={"way": way, "error": type(error).__name__})
        problem = "not-configured" if isinstance(error, SettingError) else "error"
    with transaction():
        alerts_telling.finish(lease, some, problem)
    log.info("alert told", extra={"way": way, "messages": len(some), "problem": problem})
    return len(some)


def _mail(some: Sequence[Telling]) -> str:
    """One letter about all of these; "" or why it did not leave. The same ones make the same Message-ID, should it leave twice."""
    settings: Settings = core().extensions["settings"]
    with transaction():
        to = _address()
        raw = _letter(some, to, settings) if to is not None else b""
        found = mailboxes.resolve(to) if to is not None else None
    if to is None:
        return "no-address"
    if isinstance(found, mailboxes.Recipient):
        with transaction(found.mailbox_id):
            telling.keep(found, raw)
        return ""
    with Relays(roads.outward(settings, master()), Forgetful()) as road:
        outcome = road.send("", (to.email,), raw)
    kind = outcome.recipients[0].kind
    return "" if kind == "sent" else f"relay-{kind}"


def _letter(some: Sequence[Telling], to: Address, settings: Settings) -> bytes:
    home = next(iter(domains.names()), settings.host_name)
    with phrases.written_in(languages.standard()):
        subject, body = alerts_words.subject(some), alerts_words.letter(some, settings.origin)
    name = sha256("".join(f"alert:{one.telling_id}" for one in some).encode()).hexdigest()[:32]
    try:
        composition = Composition(
            sender=Address("noreply", home, "mtumail"),
            to=(to,),
            subject=subject,
            body=body,
            message_id=f"<{name}@{home}>",
            date=datetime.now(UTC),
        )
        raw = _AUTOMATIC + build(composition)
    except CompositionError:
        raise SettingError("alerts.mail_to", "cannot stand in a header") from None
    return dkim.sign(raw, home, dkim_keys.signing(master(), home), int(time.time()))


def _call(one: Telling) -> str:
    settings: Settings = core().extensions["settings"]
    with transaction():
        secret, language = kept.secret(master(), "alerts.webhook_secret"), languages.standard()
    if not settings.alert_webhook:
        return "url"
    with phrases.written_in(language):
        body = alerts_words.payload(one, settings.origin)
    return alerts_hook.call(settings.alert_webhook, secret, f"alert_{one.telling_id}", int(time.time()), body)
