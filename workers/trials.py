"""Trying the relays for an admin: each once, with the whole conversation kept for the page."""

from datetime import UTC, datetime

from webmail import jobs, phrases
from webmail.config import Settings
from webmail.db import transaction
from webmail.mail.addresses import AddressError
from webmail.phrases import gettext as _
from webmail.sending import roads, trials
from webmail.sending.composing import CompositionError
from webmail.sending.relay import trial
from webmail.sending.relay.trial import Line
from webmail.settings import languages
from workers.context import core, master


def drain() -> int:
    """Make every trial that waits; how many. Safe to run many times at once."""
    done = 0
    with core().app_context():
        jobs.answered(jobs.TRIAL)
        while True:
            with transaction():
                claimed = trials.claim()
            if claimed is None:
                return done
            trial_id, address = claimed
            with phrases.written_in(languages.glance()):
                outcome, lines = _try(core().extensions["settings"], address)
            with transaction():
                trials.finish(trial_id, outcome, lines)
            done += 1


def _try(settings: Settings, address: str) -> tuple[str, list[Line]]:
    relays = roads.outward(settings, master())
    if not relays:
        return "no-relay", []
    sender = f"postmaster@{settings.host_name}"
    try:
        raw = trial.build_mail(sender, address, datetime.now(UTC))
    except (AddressError, CompositionError):
        return "failed", [Line("-", _("there is no address to send to: the account has no contact address"))]
    lines, kinds = [], set()
    for one in relays:
        lines.append(Line("-", f"{one.name} ({one.label})"))
        tried = trial.try_relay(one, sender, address, raw)
        lines += tried.lines
        kinds |= {recipient.kind for recipient in tried.outcome.recipients}
    return next((kind for kind in trials.WORST_FIRST if kind in kinds), "unknown"), lines
