"""Which settings of the service are kept in the database: each declared once, here, with what it may be.

What the environment must know before there is a database (addresses, keys) is in `webmail.config`; what admins change while the
service runs is here. A setting that nobody set has the value of the environment where it names one, else its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webmail.errors import Refused
from webmail.settings.kinds import Choice, Entries, Kind, Line, Names, Secret, Whole, Words

GROUPS = (
    "service",
    "registration",
    "names",
    "limits",
    "spam",
    "notices",
    "processors",
    "appearance",
    "languages",
    "retention",
    "privacy",
    "backups",
    "cases",
    "security",
    "relay",
    "alerts",
    "operations",
)
ON_OFF = ("on", "off")


@dataclass(frozen=True, slots=True)
class Declared:
    """A setting: `group.rest` is its name; `environment` the field of `config.Settings` that stands in where nobody set it."""

    name: str
    kind: Kind
    default: int | str
    environment: str = ""

    @property
    def group(self) -> str:
        """The page it is on."""
        return self.name.partition(".")[0]


_ALL = (
    Declared("service.operator", Line(120), ""),
    Declared("service.contact", Line(254, is_address=True), "postmaster", "contact"),
    Declared("service.banner", Words(400), ""),
    Declared("service.spf", Line(300), "mx"),
    Declared("registration.mode", Choice(("open", "invite", "closed")), "closed", "registration"),
    Declared("registration.signups_hour", Whole(0, 1_000_000, "mailboxes"), 60, "signups_hour"),
    Declared("names.reserved", Names(2_000), ""),
    Declared("limits.quota", Whole(1_000_000, 10**14, "bytes"), 5_000_000_000, "quota_bytes"),
    Declared("limits.send_hour", Whole(0, 1_000_000, "people"), 200, "send_hour"),
    Declared("limits.send_day", Whole(0, 1_000_000, "people"), 1_000, "send_day"),
    Declared("limits.undo", Whole(0, 30, "seconds"), 10, "undo_seconds"),
    Declared("limits.person_mailboxes", Whole(1, 1_000, "mailboxes"), 3, "person_mailboxes"),
    Declared("limits.person_bytes", Whole(1_000_000, 10**15, "bytes"), 15_000_000_000, "person_bytes"),
    Declared("spam.disowned", Choice(("junk", "inbox")), "junk"),
    Declared("spam.new_days", Whole(0, 90, "days"), 7),
    Declared("spam.new_percent", Whole(1, 100, "percent"), 20),
    Declared("spam.sudden", Whole(2, 1_000, "times"), 10),
    Declared("notices.greeting", Words(500), ""),
    Declared("notices.ending", Words(1_000), ""),
    Declared("notices.rules", Line(300, is_link=True), ""),
    Declared("processors.others", Entries(20, 3), ""),
    Declared("appearance.rows", Choice(("20", "50", "100")), "50"),
    Declared("appearance.density", Choice(("comfortable", "compact")), "comfortable"),
    Declared("appearance.reading", Choice(("reading", "formatted")), "reading"),
    Declared("languages.standard", Choice(("en_GB", "en_US")), "en_GB"),
    Declared("retention.uploads", Whole(1, 365, "days"), 7),
    Declared("retention.denials", Whole(1, 3650, "days"), 30),
    Declared("retention.deliveries", Whole(7, 3650, "days"), 365),
    Declared("retention.cases", Whole(30, 3650, "days"), 365),
    Declared("retention.trials", Whole(1, 365, "days"), 30),
    Declared("retention.runs", Whole(30, 3650, "days"), 730),
    Declared("retention.webhooks", Whole(1, 3650, "days"), 30),
    Declared("retention.sign_ins", Whole(30, 3650, "days"), 180),
    Declared("retention.confirmations", Whole(1, 3650, "days"), 30),
    Declared("retention.tries", Whole(1, 3650, "days"), 30),
    Declared("retention.errands", Whole(1, 3650, "days"), 30),
    Declared("retention.activity", Whole(30, 3650, "days"), 365),
    Declared("retention.member_notices", Whole(30, 3650, "days"), 365),
    Declared("retention.member_invitations", Whole(1, 365, "days"), 30),
    Declared("retention.names", Whole(1, 3650, "days"), 1),
    Declared("retention.visits", Whole(1, 90, "days"), 7),
    Declared("retention.sending_days", Whole(7, 365, "days"), 30),
    Declared("retention.requests", Whole(90, 3650, "days"), 1095),
    Declared("retention.tombstones", Whole(90, 3650, "days"), 400),
    Declared("retention.exports", Whole(1, 90, "days"), 7),
    Declared("retention.imports", Whole(1, 90, "days"), 7),
    Declared("retention.abuse_memory", Whole(30, 3650, "days"), 730),
    Declared("retention.metrics", Whole(2, 365, "days"), 14),
    Declared("retention.staff_notes", Whole(30, 3650, "days"), 730),
    Declared("retention.alerts", Whole(7, 3650, "days"), 365),
    Declared("retention.domain_checks", Whole(7, 3650, "days"), 365),
    Declared("retention.delivery_days", Whole(7, 3650, "days"), 365),
    Declared("retention.audit_detail", Whole(366, 36500, "days"), 1095),
    Declared("backups.daily", Whole(1, 90, "days"), 7),
    Declared("backups.weekly", Whole(0, 104, "times"), 4),
    Declared("backups.hour", Whole(0, 23, "hours"), 3),
    Declared("privacy.grace_days", Whole(1, 90, "days"), 14),
    Declared("security.confirm_minutes", Whole(1, 10, "minutes"), 10),
    Declared("security.confirm_level", Choice(("second_factor", "multi_factor")), "second_factor"),
    Declared("relay.password", Secret(1, 500), ""),
    Declared("alerts.mail", Choice(ON_OFF), "on"),
    Declared("alerts.mail_to", Line(254, is_address=True), ""),
    Declared("alerts.webhook_secret", Secret(), ""),
    Declared("alerts.queue_minutes", Whole(1, 10_080, "minutes"), 30),
    Declared("alerts.late_minutes", Whole(5, 10_080, "minutes"), 60),
    Declared("alerts.parked", Whole(1, 10_000, "pieces"), 1),
    Declared("alerts.backup_hours", Whole(1, 720, "hours"), 50),
    Declared("alerts.checkpoint_minutes", Whole(5, 10_080, "minutes"), 60),
    Declared("alerts.certificate_days", Whole(1, 90, "days"), 14),
    Declared("alerts.disk_percent", Whole(1, 50, "percent"), 10),
    Declared("alerts.error_percent", Whole(1, 100, "percent"), 5),
    Declared("operations.pause_sending", Choice(ON_OFF), "off"),
    Declared("operations.pause_filing", Choice(ON_OFF), "off"),
)

SETTINGS: Mapping[str, Declared] = {one.name: one for one in _ALL}
"""Every setting by its name, in the order of the pages."""


def of_group(group: str) -> list[Declared]:
    """The settings of one page."""
    return [one for one in SETTINGS.values() if one.group == group]


def find(name: str) -> Declared:
    """A setting by its name. Raises Refused("no-such-setting")."""
    known = SETTINGS.get(name)
    if known is None:
        raise Refused("no-such-setting")
    return known


def read(declared: Declared, stored: Any, environment: object) -> int | str:
    """Its value: what is stored if that still fits the declaration, else the environment's, else the default. Of a secret, when
    it was replaced."""
    if isinstance(declared.kind, Secret):
        return str(stored or "")
    if stored is not None:
        try:
            return declared.kind.read(str(stored))
        except Refused:
            pass  # an older version stored it, or a narrower one reads it: a service goes on with what it was born with
    if declared.environment:
        value: int | str = getattr(environment, declared.environment)
        return value
    return declared.default
