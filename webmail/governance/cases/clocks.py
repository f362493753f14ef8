"""How long a case may wait for its end, by kind: what harms people now goes first."""

from datetime import timedelta

from flask import current_app

KINDS = (
    "spam", "phishing", "malware", "fraud", "harassment", "other", "service", "delivery", "security", "legal", "request",
)  # fmt: skip
HOURS = {"malware": 24, "phishing": 24, "security": 24, "fraud": 48, "harassment": 48, "legal": 72}
"""Hours of kinds that are more urgent than the usual."""
USUAL = 168
SOON = timedelta(hours=8)
"""What is due within this long is told before it is late."""


def wants(kind: str) -> timedelta:
    """How long a case of this kind may take, as this installation has it (`MTUMAIL_CASE_HOURS`)."""
    chosen = dict(current_app.extensions["settings"].case_hours)
    return timedelta(hours=chosen.get(kind, HOURS.get(kind, USUAL)))
