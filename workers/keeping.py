"""What runs by the clock."""

from webmail import jobs, schedules, work
from webmail.db import transaction
from webmail.identity import errands
from webmail.operations import queues
from webmail.sending import trials
from webmail.settings import domain_health
from workers import intake, owners, quarantining
from workers.context import core


def sweep() -> list[str]:
    """Ring for work that is due and that nobody was told of: lost nudges, ended leases, retries. The kinds that were."""
    with core().app_context():
        with transaction():
            kinds = [kind for kind in work.kinds_due() if not queues.is_paused(kind)]
            kinds += [jobs.KEEP] if schedules.due() else []
            kinds += [jobs.ERRAND] if errands.is_due() else []
            kinds += [jobs.TRIAL] if trials.is_due() else []
            kinds += [jobs.DOMAINS] if domain_health.is_due() else []
            kinds += [jobs.OWNERS] if owners.is_due() else []
            kinds += [jobs.QUARANTINE] if quarantining.is_due() else []
        if intake.look():
            jobs.ring(jobs.INTAKE)
        for kind in kinds:
            jobs.ring(kind)
    return kinds
