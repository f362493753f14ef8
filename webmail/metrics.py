"""Numbers for whoever runs the service: what is counted here, and what the database tells of itself. Codes alone, nobody's data.

Each process counts in its memory and adds to one hash in Redis every few seconds, so that the sums are those of all processes on
all machines. Whoever is killed takes a few seconds of counts along, and an empty Redis begins at nothing: counters may do both.
"""

import logging
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from webmail import jobs, work
from webmail.db import rows

log = logging.getLogger(__name__)

HASH = "mtumail:metrics"
FLUSH_SECONDS = 5.0
MOST_SERIES = 2_000
"""Series one process holds: names of endpoints are few, and nobody outside can make new ones."""
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
"""Upper bounds of the histograms' buckets, in seconds."""
_LABEL = re.compile(r"[a-z0-9_.-]{0,60}")

COUNTERS: Mapping[str, tuple[str, ...]] = {
    "http_requests_total": ("endpoint", "code"),
    "http_response_bytes_total": (),
    "deliveries_total": ("state",),
    "jobs_total": ("job",),
}
HISTOGRAMS: Mapping[str, tuple[str, ...]] = {
    "http_request_seconds": (),
    "mail_filing_seconds": (),
    "job_seconds": ("job",),
}
"""What is counted, and the labels of each. Labels are codes of ours."""
FACTS: Mapping[str, tuple[str, str]] = {
    "queue_waiting": ("kind", "Work that is due, up to 10,000."),
    "queue_planned": ("kind", "Work that is held or due later, up to 10,000."),
    "queue_oldest_seconds": ("kind", "How long the oldest due work has waited."),
    "queue_parked": ("kind", "Work set aside after failing too often, up to 10,000."),
    "audit_events": ("", "Events in the audit log."),
    "audit_checkpoint_age_seconds": ("", "Age of the last signed checkpoint."),
    "audit_checkpoint_events": ("", "Events that the last checkpoint signs."),
    "schedule_age_seconds": ("schedule", "Since a schedule ended its last run."),
    "schedule_late_seconds": ("schedule", "How long a schedule has been due without running."),
    "schedule_failed": ("schedule", "1 where the last run failed."),
    "backup_age_seconds": ("", "Since the last good backup ended."),
    "database_bytes": ("", "Size of the database."),
}
"""What the database tells: name to its label and a line of help. See `service_facts` in the migrations."""


# --- counting ------------------------------------------------------------------------------------------------------------


@dataclass
class _Counts:
    """What this process has counted and not yet handed over. A fork begins with nothing, and hands over for itself."""

    values: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    pid: int = 0


_counts = _Counts()


def count(name: str, *labels: str, amount: float = 1) -> None:
    """Add to a counter of COUNTERS. Never waits, never raises for what is counted."""
    _add({_field(name, labels): amount})


def observe(name: str, seconds: float, *labels: str) -> None:
    """Put a time into a histogram of HISTOGRAMS."""
    bucket = next((f"{bound:g}" for bound in BOUNDS if seconds <= bound), "inf")
    _add({_field(f"{name}.le", (*labels, bucket)): 1, _field(f"{name}.sum", labels): seconds})


def _field(name: str, labels: Sequence[str]) -> str:
    return "|".join((name, *(one if _LABEL.fullmatch(one) else "other" for one in labels)))


def _add(more: Mapping[str, float]) -> None:
    if _counts.pid != os.getpid():  # a fork: the lock may be held by a thread that did not come along
        _counts.values, _counts.lock, _counts.pid = {}, threading.Lock(), os.getpid()
    with _counts.lock:
        for key, amount in more.items():
            if key in _counts.values or len(_counts.values) < MOST_SERIES:
                _counts.values[key] = _counts.values.get(key, 0) + amount


def begin() -> None:
    """Hand over by itself from now on, in a thread that ends with the process."""
    threading.Thread(target=_hand_over, name="metrics", daemon=True).start()


def _hand_over() -> None:
    pause = threading.Event()
    while not pause.wait(FLUSH_SECONDS):
        flush()


def flush() -> bool:
    """Hand over what was counted; False where Redis is away, and it is kept for the next time."""
    counts = _counts
    redis = jobs.bell.redis
    if redis is None or counts.pid != os.getpid():
        return True
    with counts.lock:
        taken, counts.values = counts.values, {}
    if not taken:
        return True
    try:
        pipeline = redis.pipeline(transaction=True)
        for key, amount in taken.items():
            pipeline.hincrbyfloat(HASH, key, amount)
        pipeline.execute()
    except Exception as error:  # Redis' own errors are half a second of import
        log.info("counts kept back", extra={"error": type(error).__name__})
        _add(taken)
        return False
    return True


def counted() -> dict[str, float]:
    """All sums, by name and labels with | between them; empty where Redis is away."""
    redis = jobs.bell.redis
    if redis is None:
        return {}
    try:
        told = redis.hgetall(HASH)
    except Exception:
        return {}
    return {key.decode() if isinstance(key, bytes) else key: float(value) for key, value in told.items()}


# --- telling -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fact:
    """A number of the database's. `label` is a code, "" where there is none."""

    name: str
    label: str
    value: float


def facts() -> list[Fact]:
    """What the database tells of itself, as numbers; the same cost however much mail there is."""
    told = rows(
        "SELECT name, label, value FROM service_facts(%(kinds)s::text[])", {"kinds": list(work.KINDS)}
    )
    return [Fact(*one) for one in told]


def exposition(told: Iterable[Fact], sums: Mapping[str, float]) -> str:
    """Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    by_name: dict[str, list[Fact]] = {}
    for fact in told:
        by_name.setdefault(fact.name, []).append(fact)
    for name, some in by_name.items():
        label, words = FACTS[name]
        lines += [f"# HELP mtumail_{name} {words}", f"# TYPE mtumail_{name} gauge"]
        lines += [_line(name, [(label, one.label)] if label else [], one.value) for one in some]
    for name, labels in COUNTERS.items():
        lines.append(f"# TYPE mtumail_{name} counter")
        lines += [
            _line(name, list(zip(labels, values, strict=False)), sums[key]) for key, values in _of(sums, name)
        ]
    for name, labels in HISTOGRAMS.items():
        lines.append(f"# TYPE mtumail_{name} histogram")
        lines += _histogram(name, labels, sums)
    return "\n".join(lines) + "\n"


def _of(sums: Mapping[str, float], name: str) -> list[tuple[str, list[str]]]:
    """Keys of a name with their labels, in order."""
    return [(key, key.split("|")[1:]) for key in sorted(sums) if key.split("|")[0] == name]


def _histogram(name: str, labels: Sequence[str], sums: Mapping[str, float]) -> list[str]:
    lines = []
    for key, values in _of(sums, f"{name}.sum"):
        shown, total = list(zip(labels, values, strict=False)), 0.0
        for bound in (*(f"{one:g}" for one in BOUNDS), "inf"):
            total += sums.get("|".join((f"{name}.le", *values, bound)), 0)
            lines.append(
                _line(f"{name}_bucket", [*shown, ("le", "+Inf" if bound == "inf" else bound)], total)
            )
        lines += [_line(f"{name}_sum", shown, sums[key]), _line(f"{name}_count", shown, total)]
    return lines


def _line(name: str, labels: Sequence[tuple[str, str]], value: float) -> str:
    inner = ",".join(f'{key}="{told}"' for key, told in labels)
    return f"mtumail_{name}{f'{{{inner}}}' if inner else ''} {value:.15g}"
