"""Jobs by name. A job is a nudge, a row in Postgres is the work: losing, doubling or delaying a nudge harms nothing.

Queues: `filing` (mail that came in), `sending` (mail that leaves), `fetching` (what readers ask of strangers' servers, whose
slowness delays nothing else) and `keeping` (what runs by the clock). Redis' client and RQ are half a second of import, paid by
the first ring or ahead of it by `warm`, and not by every start of every process.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webmail.db import after_commit

if TYPE_CHECKING:
    from redis import Redis as Client

log = logging.getLogger(__name__)

# What each nudge runs, and where. Functions are named as text, so nothing below the edges imports a worker.
FILE, SEND, FETCH, UNSUBSCRIBE, SUBMIT, TELL = "file", "send", "fetch", "unsubscribe", "submit", "tell"
ERRAND, KEEP = "errand", "keep"
INTAKE = "intake"
EXPORT, IMPORT = "export", "import"
OWNERS = "owners"
CHECKPOINT = "checkpoint"
TRIAL = "trial"
ALERT = "alert"
DOMAINS = "domains"
QUARANTINE = "quarantine"
_JOBS = {
    FILE: ("filing", "workers.filing.drain"),
    SEND: ("sending", "workers.sending.drain"),
    SUBMIT: ("sending", "workers.scheduled.drain"),
    TELL: ("filing", "workers.telling.drain"),
    INTAKE: ("filing", "workers.intake.drain"),
    OWNERS: ("filing", "workers.owners.drain"),
    QUARANTINE: ("filing", "workers.quarantining.drain"),
    FETCH: ("fetching", "workers.fetching.drain_pictures"),
    UNSUBSCRIBE: ("fetching", "workers.fetching.drain_unsubscriptions"),
    TRIAL: ("fetching", "workers.trials.drain"),
    ALERT: ("fetching", "workers.alerting.drain"),
    DOMAINS: ("fetching", "workers.domains.drain"),
    CHECKPOINT: ("fetching", "workers.checkpoints.drain"),  # its second place may be as slow as a stranger
    EXPORT: ("keeping", "workers.exporting.drain_exports"),
    IMPORT: ("keeping", "workers.exporting.drain_imports"),
    KEEP: ("keeping", "workers.schedules.run_due"),
    ERRAND: ("fetching", "workers.errands.drain"),
}
_PENDING_SECONDS = 10


def functions() -> frozenset[str]:
    """The functions that a nudge may name: workers run no other."""
    return frozenset(function for _queue, function in _JOBS.values())


@dataclass
class Bell:
    """The connection that nudges go over. Redis being away is normal: the sweeper finds the work."""

    url: str = ""
    _client: "Client | None" = None

    def connect(self, url: str) -> None:
        """Use Redis at `url` from now on."""
        self.url, self._client = url, None

    @property
    def redis(self) -> "Client | None":
        """The connection, with short time-outs, for a page must not wait for it; None without an address."""
        if self._client is None and self.url:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            once = Retry(NoBackoff(), 0)
            self._client = Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=1, retry=once)
        return self._client


bell = Bell()


def ring_after_commit(name: str) -> None:
    """Ring for the job `name` once the open transaction has committed."""
    after_commit(lambda: ring(name))


def ring(name: str) -> bool:
    """Ask a worker to look for work of this name now. Many rings before one answer make one job. False if Redis is away."""
    client = bell.redis
    if client is None:
        return False
    from redis.exceptions import RedisError
    from rq import Queue
    from rq.serializers import JSONSerializer

    queue, function = _JOBS[name]
    try:
        if client.set(_pending(name), 1, nx=True, ex=_PENDING_SECONDS):
            Queue(queue, connection=client, serializer=JSONSerializer).enqueue(
                function, job_timeout=600, result_ttl=0, failure_ttl=3600
            )
    except (RedisError, OSError):
        log.warning("bell unreachable", extra={"job": name})
        return False
    return True


def answered(name: str) -> None:
    """Said by the job before it looks for work: a ring from now on makes a new job."""
    client = bell.redis
    if client is None:
        return
    from redis.exceptions import RedisError

    try:
        client.delete(_pending(name))
    except (RedisError, OSError):
        log.warning("bell unreachable", extra={"job": name})


def warm() -> None:
    """Import what a ring needs, so that the first one is as quick as the second."""
    from rq import Queue

    log.debug("warm", extra={"queue": Queue.__name__})


def _pending(name: str) -> str:
    return f"mtumail:rung:{name}"
