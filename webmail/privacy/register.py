"""The register of processing (GDPR Art. 30): every kind of personal data that is held, where, why, on what basis, and for how long.

It is the code's own: a test holds it to the tables of the database, the page "My data" counts by it, the admin's record of
processing and the public privacy page are made from it (P01 to P05). What each code is called is in `webmail.web.register_words`.
"""

from __future__ import annotations

from dataclasses import dataclass

from webmail.db import rows
from webmail.privacy.kinds_of_data import BASES, RETENTIONS, Kind
from webmail.privacy.kinds_of_data import of_account as _account
from webmail.privacy.kinds_of_data import of_mailbox as _mailbox

__all__ = ["BASES", "IMPERSONAL", "KINDS", "RETENTIONS", "Held", "Kind", "held"]

KINDS: tuple[Kind, ...] = (
    Kind("account", "P01", ("account",), ("provide",), "with-the-account", _account("account"), ("clerk",)),
    Kind(
        "roles",
        "P03",
        ("account_role", "role_change", "role_proposal"),
        ("provide",),
        "with-the-account",
        _account("account_role"),
    ),
    Kind(
        "mailboxes",
        "P02",
        ("mailbox", "mailbox_key", "mailbox_member", "address", "folder", "domain_route"),
        ("provide",),
        "with-the-account",
        _account("mailbox_member"),
    ),
    Kind(
        "messages",
        "P02",
        ("message", "message_source", "message_view", "thread_reference"),
        ("provide",),
        "until-you-delete",
        _mailbox("message", "size_bytes", "state <> 'draft'"),
        ("relay",),
        is_sealed=True,
    ),
    Kind(
        "marks",
        "P02",
        ("message_mark",),
        ("abuse", "troubleshoot"),
        "with-the-message",
        _mailbox("message", where="state = 'filed'"),
        is_sealed=True,
    ),
    Kind(
        "drafts",
        "P02",
        ("draft", "draft_attachment", "draft_upload", "draft_chunk", "scheduled", "limit_told"),
        ("provide",),
        "until-you-delete",
        _mailbox("draft"),
        is_sealed=True,
    ),
    Kind(
        "search",
        "P02",
        ("message_index",),
        ("provide",),
        "with-the-message",
        _mailbox("message_index"),
        is_sealed=True,
    ),
    Kind(
        "pictures",
        "P02",
        ("message_picture",),
        ("provide",),
        "with-the-message",
        _mailbox("message_picture"),
        is_sealed=True,
    ),
    Kind(
        "deliveries",
        "P02",
        ("submission", "delivery", "delivery_event"),
        ("provide", "troubleshoot"),
        "with-the-message",
        _mailbox("delivery"),
        ("relay",),
    ),
    Kind(
        "contacts",
        "P02",
        ("contact", "contact_handle", "contact_beginning", "contact_member"),
        ("provide",),
        "until-you-delete",
        _mailbox("contact", where="deleted_at IS NULL"),
        is_sealed=True,
    ),
    Kind(
        "correspondents",
        "P02",
        ("correspondent",),
        ("provide", "abuse"),
        "with-the-mailbox",
        _mailbox("correspondent"),
        is_sealed=True,
    ),
    Kind(
        "identities",
        "P02",
        ("sender_identity", "vacation", "vacation_answer", "kept_answer"),
        ("provide",),
        "until-you-delete",
        _mailbox("sender_identity"),
        is_sealed=True,
    ),
    Kind(
        "answers",
        "P02",
        ("unsubscription", "invitation_answer"),
        ("provide",),
        "with-the-message",
        "SELECT (SELECT count(*) FROM unsubscription WHERE mailbox_id = %(mailbox)s)"
        " + (SELECT count(*) FROM invitation_answer WHERE mailbox_id = %(mailbox)s), 0",
    ),
    Kind(
        "exports",
        "P23",
        ("export", "export_part", "export_chunk"),
        ("provide",),
        "schedule",
        "SELECT count(*), coalesce(sum(size_bytes), 0) FROM export_part WHERE mailbox_id = %(mailbox)s",
        is_sealed=True,
        schedule="retention.exports",
    ),
    Kind(
        "imports",
        "P23",
        ("mail_import", "mail_import_chunk", "mail_import_message"),
        ("provide",),
        "schedule",
        "SELECT count(*), coalesce(sum(received_bytes) FILTER (WHERE finished_at IS NULL), 0)"
        " FROM mail_import WHERE mailbox_id = %(mailbox)s",
        is_sealed=True,
        schedule="retention.imports",
    ),
    Kind("work", "P03", ("work",), ("provide", "reliability"), "until-done", _mailbox("work")),
    Kind(
        "reports",
        "P03",
        ("report",),
        ("abuse",),
        "schedule",
        _mailbox("report", "octet_length(sealed)"),
        ("staff",),
        is_sealed=True,
        schedule="retention.cases",
    ),
    Kind(
        "denials",
        "P03",
        ("session_denial",),
        ("abuse",),
        "schedule",
        "SELECT count(*), 0 FROM session_denial d JOIN account a ON d.subject = a.clerk_user_id WHERE a.account_id = %(account)s",
        schedule="retention.denials",
    ),
    Kind(
        "registration",
        "P01",
        ("registration_invitation", "sign_up", "reserved_name", "resting_name"),
        ("provide", "abuse"),
        "name-rests",
        _account("sign_up"),
    ),
    Kind(
        "sharing",
        "P02",
        ("member_invitation", "member_notice", "mailbox_activity"),
        ("provide",),
        "schedule",
        "SELECT (SELECT count(*) FROM member_notice WHERE account_id = %(account)s)"
        " + (SELECT count(*) FROM mailbox_activity WHERE mailbox_id = %(mailbox)s), 0",
        schedule="retention.activity",
    ),
    Kind(
        "sign-ins",
        "P03",
        ("sign_in", "confirmation", "confirmation_try", "errand"),
        ("provide", "abuse"),
        "schedule",
        _account("sign_in"),
        ("clerk",),
        schedule="retention.sign_ins",
    ),
    Kind(
        "clerk-events",
        "P03",
        ("webhook_event",),
        ("provide", "reliability"),
        "schedule",
        "SELECT count(*), 0 FROM webhook_event e JOIN account a ON e.user_id = a.clerk_user_id WHERE a.account_id = %(account)s",
        ("clerk",),
        schedule="retention.webhooks",
    ),
    Kind(
        "sending-days",
        "P03",
        ("sending_day",),
        ("abuse",),
        "schedule",
        _mailbox("sending_day"),
        schedule="retention.sending_days",
    ),
    Kind(
        "trials",
        "P03",
        ("relay_trial",),
        ("reliability",),
        "schedule",
        _account("relay_trial"),
        ("relay",),
        schedule="retention.trials",
    ),
    Kind(
        "delivery-days",
        "P03",
        ("delivery_tally", "delivery_day"),
        ("reliability",),
        "schedule",
        "SELECT 0, 0",
        schedule="retention.delivery_days",
    ),
    Kind(
        "cases",
        "P03",
        (
            "case_file",
            "case_item",
            "case_subject",
            "case_note",
            "case_answer",
            "case_letter",
            "case_opening",
            "service_mailbox",
            "form_visit",
        ),
        ("abuse", "law"),
        "schedule",
        "SELECT 0, 0",
        ("staff",),
        is_sealed=True,
        schedule="retention.cases",
    ),
    Kind(
        "requests",
        "P23",
        ("privacy_request",),
        ("law",),
        "schedule",
        _account("privacy_request"),
        ("staff",),
        is_sealed=True,
        schedule="retention.requests",
    ),
    Kind(
        "objections",
        "P23",
        ("processing_restriction", "objection"),
        ("law",),
        "with-the-account",
        "SELECT (SELECT count(*) FROM processing_restriction WHERE account_id = %(account)s)"
        " + (SELECT count(*) FROM objection WHERE account_id = %(account)s), 0",
        ("staff",),
    ),
    Kind(
        "erasures",
        "P24",
        ("erasure", "tombstone", "legal_hold"),
        ("provide", "law"),
        "tree",
        _account("erasure"),
    ),
    Kind(
        "actions",
        "P03",
        ("staff_action", "staff_notice", "appeal", "quarantine"),
        ("abuse", "law"),
        "with-the-account",
        _account("staff_notice") + " AND due_at <= now()",
        ("staff",),
        is_sealed=True,
    ),
    Kind(
        "abuse-memory",
        "P03",
        ("abuse_memory", "abuse_memory_handle"),
        ("abuse",),
        "schedule",
        "SELECT 0, 0",
        ("staff",),
        is_sealed=True,
        schedule="retention.abuse_memory",
    ),
    Kind(
        "staff-notes",
        "P03",
        ("staff_note",),
        ("abuse", "troubleshoot"),
        "schedule",
        _account("staff_note"),
        ("staff",),
        is_sealed=True,
        schedule="retention.staff_notes",
    ),
    Kind(
        "accesses",
        "P16",
        ("access_grant", "access_scope", "access_act", "access_review", "access_gag"),
        ("abuse", "troubleshoot", "law"),
        "tree",
        _mailbox("access_act"),
        ("staff",),
    ),
    Kind(
        "audit",
        "P16",
        ("audit_subject", "audit_sealed", "audit_opened"),
        ("abuse", "law"),
        "tree",
        "SELECT count(*), 0 FROM audit_about(%(account)s, NULL, 10000)",
    ),
)

IMPERSONAL = (
    "alembic_version",
    "alert",
    "alert_look",
    "alert_telling",
    "audit_checkpoint",
    "audit_checkpoint_sent",
    "audit_event",
    "audit_key",
    "backup_journal",
    "backup_run",
    "canned_answer",
    "case_watch",
    "dkim_key",
    "domain",
    "domain_check",
    "key_rotation",
    "key_sweep",
    "metric_sample",
    "retention_run",
    "schedule",
    "secret_mark",
    "service_key",
    "service_secret",
    "setting",
    "setting_change",
    "setting_secret",
)
"""Tables that hold nothing of a person but ids of who acted: configuration, keys, and the audit log."""


@dataclass(frozen=True, slots=True)
class Held:
    """How much of one kind is held about a person now."""

    kind: Kind
    count: int
    size: int


def held(account_id: int, mailbox_id: int | None) -> list[Held]:
    """Everything that is held about a person, counted now; inside a transaction that names the mailbox."""
    asked = {"account": account_id, "mailbox": mailbox_id}
    return [Held(kind, *map(int, rows(kind.count, asked)[0])) for kind in KINDS]
