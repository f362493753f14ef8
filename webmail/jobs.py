"""Jobs by name. A job is a nudge, a row in Postgres is the work: losing, doubling or delaying a nudge harms nothing.

Queues: `filing` (mail that came in), `sending` (mail that leaves), `keeping` (everything by schedule).
"""

import logging
from dataclasses import dataclass

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from webmail.db import after_commit

log = logging.getLogger(__name__)

# What each nudge runs, and where. Functions are named as text, so nothing below the edges imports a worker.
FILE, SEND = "file", "send"
_JOBS = {FILE: ("filing", "workers.filing.drain"), SEND: ("sending", "workers.sending.drain")}
_PENDING_SECONDS = 10


@dataclass
class Bell:
    """The connection that nudges go over. Redis being away is normal: the sweeper finds the work."""

    redis: Redis | None = None

    def connect(self, url: str) -> None:
        """Use Redis at `url` from now on, with short time-outs: a page must not wait for it."""
        self.redis = Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )


bell = Bell()


def ring_after_commit(name: str) -> None:
    """Ring for the job `name` once the open transaction has committed."""
    after_commit(lambda: ring(name))


def ring(name: str) -> bool:
    """Ask a worker to look for work of this name now. Many rings before one answer make one job. False if Redis is away."""
    queue, function = _JOBS[name]
    if bell.redis is None:
        return False
    try:
        if bell.redis.set(_pending(name), 1, nx=True, ex=_PENDING_SECONDS):
            Queue(queue, connection=bell.redis, serializer=JSONSerializer).enqueue(
                function, job_timeout=600, result_ttl=0, failure_ttl=3600
            )
    except (RedisError, OSError):
        log.warning("bell unreachable", extra={"job": name})
        return False
    return True


def answered(name: str) -> None:
    """Said by the job before it looks for work: a ring from now on makes a new job."""
    if bell.redis is not None:
        try:
            bell.redis.delete(_pending(name))
        except (RedisError, OSError):
            log.warning("bell unreachable", extra={"job": name})


def _pending(name: str) -> str:
    return f"mtumail:rung:{name}"
