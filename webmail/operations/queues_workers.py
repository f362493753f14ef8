"""Which workers there are, as Redis knows them, and how long their jobs take: the word of whoever can write there, and no more."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webmail import jobs

log = logging.getLogger(__name__)
QUEUES = ("filing", "sending", "fetching", "keeping")


@dataclass(frozen=True, slots=True)
class Alive:
    """A worker. `state`: idle, busy, suspended; `seen_at`: it tells of itself every few minutes, and when it has a job."""

    machine: str
    pid: int
    queues: Sequence[str]
    state: str
    born_at: datetime | None
    seen_at: datetime | None
    jobs: int


def alive() -> list[Alive] | None:
    """The workers, by queue and machine; None where Redis does not answer."""
    client = jobs.bell.redis
    if client is None:
        return None
    from redis.exceptions import RedisError
    from rq import Worker
    from rq.serializers import JSONSerializer

    try:
        found = Worker.all(connection=client, serializer=JSONSerializer)
        told = [_told(one) for one in found]
    except (RedisError, OSError, ValueError, TypeError) as error:
        log.info("workers not known", extra={"error": type(error).__name__})
        return None
    return sorted(told, key=lambda one: (tuple(one.queues), one.machine, one.pid))


def _told(one: Any) -> Alive:
    names = [str(name)[:60] for name in one.queue_names()]
    return Alive(
        str(getattr(one, "hostname", "") or "")[:60],
        int(getattr(one, "pid", 0) or 0),
        names,
        str(one.get_state())[:20],
        _time(getattr(one, "birth_date", None)),
        _time(getattr(one, "last_heartbeat", None)),
        int(getattr(one, "successful_job_count", 0) or 0),
    )


def _time(at: datetime | None) -> datetime | None:
    return None if at is None else at if at.tzinfo else at.replace(tzinfo=UTC)


def gone(found: Sequence[Alive]) -> list[str]:
    """Queues that nobody listens to."""
    heard = {name for one in found for name in one.queues}
    return [name for name in QUEUES if name not in heard]


def durations(sums: Mapping[str, float]) -> list[tuple[str, int, float]]:
    """Of the sums of `metrics.counted`: each job, how often it ran, and how many seconds it took in the mean; the slowest first."""
    found = []
    for key, total in sums.items():
        name, _bar, job = key.partition("|")
        count = int(sums.get(f"jobs_total|{job}", 0))
        if name == "job_seconds.sum" and count:
            found.append((job, count, total / count))
    return sorted(found, key=lambda one: -one[2])
