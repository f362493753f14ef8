"""How long things live: each rule removes what is older than its setting says, on a schedule, and each run is written down (P25).

Messages never end by themselves (P24), unless their owner asked for Trash or Junk to empty themselves. What a rule may remove is
fixed in the database, by one function a rule; nothing younger than a day ever goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from webmail import audit
from webmail.db import Base, BigId, Stamp, rows
from webmail.mail import messages
from webmail.settings import kept

BATCH = 5_000
"""Rows in one transaction: short enough to hold nobody up."""


class RetentionRun(Base):
    """What one run of a rule removed."""

    __tablename__ = "retention_run"
    __table_args__ = (Index("retention_run_rule_run_id", "rule", text("run_id DESC")),)

    run_id: Mapped[BigId] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    rule: Mapped[str] = mapped_column(Text)
    before: Mapped[Stamp]
    started_at: Mapped[Stamp]
    finished_at: Mapped[Stamp]
    removed: Mapped[BigId]
    oldest_at: Mapped[Stamp | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of thing that ends. `setting` is the number of days it is kept; `function` what removes it, in the database."""

    code: str
    setting: str
    function: str


RULES: tuple[Rule, ...] = (
    Rule("uploads", "retention.uploads", "retention_uploads"),
    Rule("denials", "retention.denials", "retention_denials"),
    Rule("deliveries", "retention.deliveries", "retention_deliveries"),
    Rule("cases", "retention.cases", "retention_cases"),
    Rule("trials", "retention.trials", "retention_trials"),
    Rule("runs", "retention.runs", "retention_runs"),
    Rule("webhooks", "retention.webhooks", "retention_webhooks"),
    Rule("sign-ins", "retention.sign_ins", "retention_sign_ins"),
    Rule("confirmations", "retention.confirmations", "retention_confirmations"),
    Rule("tries", "retention.tries", "retention_tries"),
    Rule("errands", "retention.errands", "retention_errands"),
    Rule("activity", "retention.activity", "retention_activity"),
    Rule("member-notices", "retention.member_notices", "retention_member_notices"),
    Rule("member-invitations", "retention.member_invitations", "retention_member_invitations"),
    Rule("names", "retention.names", "retention_names"),
    Rule("visits", "retention.visits", "retention_visits"),
    Rule("sending-days", "retention.sending_days", "retention_sending_days"),
    Rule("requests", "retention.requests", "retention_requests"),
    Rule("tombstones", "retention.tombstones", "retention_tombstones"),
    Rule("exports", "retention.exports", "retention_exports"),
    Rule("imports", "retention.imports", "retention_imports"),
    Rule("memory", "retention.abuse_memory", "retention_memory"),
    Rule("metrics", "retention.metrics", "retention_metrics"),
    Rule("staff-notes", "retention.staff_notes", "retention_staff_notes"),
    Rule("alerts", "retention.alerts", "retention_alerts"),
    Rule("domain-checks", "retention.domain_checks", "retention_domain_checks"),
    Rule("delivery-days", "retention.delivery_days", "retention_delivery_days"),
    Rule("audit-detail", "retention.audit_detail", "retention_audit_detail"),
)


def find(code: str) -> Rule | None:
    """A rule by its code."""
    return next((rule for rule in RULES if rule.code == code), None)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would remove now. `oldest_at` is None where that is nothing."""

    rule: Rule
    days: int
    count: int
    oldest_at: datetime | None


def preview(rule: Rule, days: int | None = None) -> Preview:
    """Count what a rule would remove with its setting, or with another number of days. Changes nothing."""
    kept_days = kept.whole(rule.setting) if days is None else days
    count, oldest = _ask(rule, datetime.now(UTC) - timedelta(days=kept_days), really=False)
    return Preview(rule, kept_days, count, oldest)


def preview_without_count(rule: Rule) -> Preview:
    """A rule with its setting; counting may take seconds where there is much."""
    return Preview(rule, kept.whole(rule.setting), 0, None)


def _ask(rule: Rule, before: datetime, *, really: bool) -> tuple[int, datetime | None]:
    sql = f"SELECT removed, oldest_at FROM {rule.function}(%(before)s, %(most)s, %(really)s)"
    return rows(sql, {"before": before, "most": BATCH, "really": really})[0]


@dataclass(frozen=True, slots=True)
class Removed:
    """What a run has removed so far; `before`: what is older than this goes. `is_all`: nothing of it is left."""

    rule: Rule
    before: datetime
    started_at: datetime
    count: int = 0
    oldest_at: datetime | None = None
    is_all: bool = False


def begin(rule: Rule) -> Removed:
    """A run of a rule, by what its setting says now."""
    now = datetime.now(UTC)
    return Removed(rule, now - timedelta(days=kept.whole(rule.setting)), now)


def go_on(run: Removed) -> Removed:
    """Remove one batch more; the last one is written down, with all before it. A run that is killed has removed whole batches."""
    count, oldest = _ask(run.rule, run.before, really=True)
    oldest = min((one for one in (run.oldest_at, oldest) if one is not None), default=None)
    run = replace(run, count=run.count + count, oldest_at=oldest, is_all=count < BATCH)
    if run.is_all:
        _write_down(run)
    return run


def _write_down(run: Removed) -> None:
    rows(
        "INSERT INTO retention_run (rule, before, started_at, finished_at, removed, oldest_at)"
        " VALUES (%(rule)s, %(before)s, %(started)s, clock_timestamp(), %(count)s, %(oldest)s) RETURNING run_id",
        {
            "rule": run.rule.code,
            "before": run.before,
            "started": run.started_at,
            "count": run.count,
            "oldest": run.oldest_at,
        },
    )
    if run.count:
        audit.record("retention.removed", "system:retention", rule=run.rule.code, count=run.count)


@dataclass(frozen=True, slots=True)
class Past:
    """A run that was."""

    rule: str
    finished_at: datetime
    removed: int
    oldest_at: datetime | None


def past(rule: str, limit: int = 30) -> list[Past]:
    """The last runs of a rule, newest first."""
    return [Past(*row) for row in rows(_PAST, {"rule": rule, "limit": limit})]


_PAST = """
    SELECT rule, finished_at, removed, oldest_at FROM retention_run WHERE rule = %(rule)s ORDER BY run_id DESC LIMIT %(limit)s"""


# --- folders that empty themselves ----------------------------------------------------------------------------------------


def keep_days(mailbox_id: int) -> dict[str, int | None]:
    """After how many days Trash and Junk give up what lies in them; None: never."""
    found = rows(
        "SELECT kind, keep_days FROM folder WHERE mailbox_id = %(mailbox)s AND kind IN ('trash', 'junk')",
        {"mailbox": mailbox_id},
    )
    return dict(found)


def set_keep_days(mailbox_id: int, kind: str, days: int | None) -> None:
    """Have a folder empty itself, by its owner's wish; the database refuses any but Trash and Junk."""
    rows(
        "UPDATE folder SET keep_days = %(days)s WHERE mailbox_id = %(mailbox)s AND kind = %(kind)s RETURNING folder_id",
        {"mailbox": mailbox_id, "kind": kind, "days": days},
    )


@dataclass(frozen=True, slots=True)
class Emptying:
    """A folder that empties itself."""

    mailbox_id: int
    folder_id: int
    days: int


def folders_that_empty(above: int, most: int = 500) -> list[Emptying]:
    """Folders that empty themselves, of the mailboxes with greater ids than `above`, in their order."""
    found = rows("SELECT * FROM folders_that_empty(%(above)s, %(most)s)", {"above": above, "most": most})
    return [Emptying(*row) for row in found]


def empty_folder(folder: Emptying, most: int = 500) -> int:
    """Delete for ever what has lain longer in a folder than its owner wants; how many. In a transaction on that mailbox."""
    found = rows(_LAIN, {"mailbox": folder.mailbox_id, "folder": folder.folder_id, "most": most})
    ids = [message_id for (message_id,) in found]
    return len(messages.act(folder.mailbox_id, ids, "delete").message_ids) if ids else 0


# The folder is asked again: its owner may have changed their mind since it was listed.
_LAIN = """
    SELECT m.message_id FROM message m JOIN folder f USING (mailbox_id, folder_id)
     WHERE m.mailbox_id = %(mailbox)s AND m.folder_id = %(folder)s AND m.state <> 'received' AND f.keep_days IS NOT NULL
       AND coalesce(m.moved_at, m.received_at) < now() - make_interval(days => f.keep_days) LIMIT %(most)s"""
