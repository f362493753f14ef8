"""What runs by the clock."""

from webmail import jobs, work
from webmail.db import transaction
from workers.context import core


def sweep() -> list[str]:
    """Ring for work that is due and that nobody was told of: lost nudges, ended leases, retries. The kinds that were."""
    with core().app_context():
        with transaction():
            kinds = list(work.kinds_due())
        for kind in kinds:
            jobs.ring(kind)
    return kinds
