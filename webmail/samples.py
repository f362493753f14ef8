"""The numbers of `webmail.metrics`, written down every five minutes and kept for a time: for those who have no Prometheus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Double, Text
from sqlalchemy.orm import Mapped, mapped_column

from webmail import metrics
from webmail.db import Base, Stamp, rows

COUNTED = ("http_requests_total", "http_response_bytes_total", "deliveries_total")
"""Counters that are kept, summed up to their last label: requests by code, deliveries by state."""


class MetricSample(Base):
    """A number at a time."""

    __tablename__ = "metric_sample"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    label: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    at: Mapped[Stamp] = mapped_column(primary_key=True, index=True)
    value: Mapped[float] = mapped_column(Double)


@dataclass(frozen=True, slots=True)
class Span:
    """How far a page looks back, and into how many bars."""

    code: str
    period: timedelta
    bars: int


SPANS = (
    Span("day", timedelta(days=1), 48),
    Span("week", timedelta(days=7), 42),
    Span("fortnight", timedelta(days=14), 42),
)


def write() -> int:
    """Write down the numbers of now; how many those were."""
    told = [(one.name, one.label, one.value) for one in metrics.facts()]
    told += [(name, label, value) for (name, label), value in totals(metrics.counted()).items()]
    columns = {
        "names": [one[0] for one in told],
        "labels": [one[1] for one in told],
        "values": [one[2] for one in told],
    }
    return len(rows(_WRITE, columns))


_WRITE = """
    INSERT INTO metric_sample (at, name, label, value)
    SELECT now(), n, l, v FROM unnest(%(names)s::text[], %(labels)s::text[], %(values)s::float8[]) AS t (n, l, v)
        ON CONFLICT DO NOTHING RETURNING 1"""


def totals(sums: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Of the sums of `metrics.counted`, those that are kept: (name, last label or "") to the sum."""
    found: dict[tuple[str, str], float] = {}
    for key, value in sums.items():
        name, *labels = key.split("|")
        if name in COUNTED:
            place = (name, labels[-1] if labels else "")
            found[place] = found.get(place, 0) + value
    return found


def history(names: Sequence[str], span: Span) -> dict[tuple[str, str], list[float]]:
    """(name, label) to one value a bar, oldest first: what a counter gained, or the most that a gauge showed. A counter that was
    set back has gained what it shows."""
    values = {"names": list(names), "counted": list(COUNTED), "period": span.period, "bars": span.bars}
    found: dict[tuple[str, str], list[float]] = {}
    for name, label, bar, value in rows(_HISTORY, values):
        found.setdefault((name, label), [0.0] * span.bars)[min(bar, span.bars - 1)] = value
    return found


_HISTORY = """
    WITH sampled AS (
        SELECT name, label, value, name = ANY(%(counted)s::text[]) AS counts,
               floor(extract(epoch FROM at - (now() - %(period)s)) / extract(epoch FROM %(period)s) * %(bars)s)::int AS bar,
               lag(value) OVER (PARTITION BY name, label ORDER BY at) AS before
          FROM metric_sample WHERE name = ANY(%(names)s::text[]) AND at > now() - %(period)s AND at <= now())
    SELECT name, label, bar,
           CASE WHEN counts THEN sum(CASE WHEN before IS NULL THEN 0 WHEN value < before THEN value ELSE value - before END)
                ELSE max(value) END
      FROM sampled GROUP BY name, label, bar, counts ORDER BY name, label, bar"""
