"""Every kind of event that there is, and who of the staff may read it in the log. Tests refuse an event of no kind here.

Words for each are in `webmail.web.log_words`: a new kind is one line here and one there. An auditor reads everything, also an event
whose kind is not known any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Kind:
    """`readers`: the roles that see such events in the log."""

    readers: frozenset[str]


_KEEPERS = Kind(frozenset({"admin", AUDITOR}))
_LEADS = Kind(frozenset({"support_lead", "admin", AUDITOR}))

# What was done to people and their mail: those who answer for the work on cases see it.
_WORK = (
    "access.approved",
    "access.closed",
    "access.denied",
    "access.emergency",
    "access.gag_approved",
    "access.gag_ended",
    "access.gag_extended",
    "access.opened",
    "access.refused",
    "access.requested",
    "access.reviewed",
    "action.approved",
    "action.declined",
    "action.denied",
    "action.ended",
    "action.lifted",
    "action.name_freed",
    "action.proposed",
    "action.taken",
    "appeal.made",
    "appeal.rejected",
    "appeal.upheld",
    "audit.unsealed",
    "case.answered",
    "case.canned_dropped",
    "case.canned_kept",
    "case.closed",
    "case.given",
    "case.item_opened",
    "case.kind_changed",
    "case.merged",
    "case.noted",
    "case.open",
    "case.opened",
    "case.released",
    "case.reopened",
    "case.split",
    "case.taken",
    "case.waiting",
    "clerk.impersonation_begun",
    "clerk.impersonation_refused",
    "clerk.user_banned",
    "clerk.user_deleted",
    "clerk.user_unbanned",
    "account.name_changed",
    "erasure.asked",
    "erasure.finished",
    "erasure.keys_destroyed",
    "erasure.undone",
    "quarantine.approved",
    "quarantine.counted",
    "quarantine.declined",
    "quarantine.denied",
    "quarantine.ended",
    "quarantine.held",
    "quarantine.proposed",
    "quarantine.released",
    "quarantine.taken",
    "people.noted",
    "people.searched",
    "people.unnoted",
    "people.viewed",
    "objection.made",
    "objection.withdrawn",
    "request.answered",
    "request.entered",
    "request.extended",
    "request.identified",
    "request.made",
    "restriction.begun",
    "restriction.ended",
    "restriction.ends",
    "hold.ended",
    "hold.set",
    "mailbox.created",
    "mailbox.member.accepted",
    "mailbox.member.declined",
    "mailbox.member.invited",
    "mailbox.member.left",
    "mailbox.member.removed",
    "mailbox.member.role",
    "mailbox.member.withdrawn",
    "memory.denied",
    "memory.looked_up",
    "name.freed",
    "name.reserved",
    "registration.limited",
    "role.declined",
    "role.granted",
    "role.proposed",
    "role.revoked",
    "security.sending_limit",
    "security.sending_surge",
    "trace.denied",
    "trace.looked_up",
)
# What was done to the service: those who keep it, and those who check on them.
_SERVICE = (
    "alert.muted",
    "alert.tried",
    "audit.detail_dropped",
    "audit.forgotten",
    "backup.failed",
    "backup.finished",
    "backup.restored",
    "cli.used",
    "dkim_key.activated",
    "dkim_key.created",
    "dkim_key.retired",
    "domain.added",
    "domain.alias",
    "domain.asked",
    "domain.registration",
    "domain.removed",
    "domain.rests",
    "domain.routed",
    "domain.sts",
    "domain.verified",
    "domain.wakes",
    "export.asked",
    "export.dropped",
    "export.fetched",
    "export.finished",
    "import.asked",
    "import.finished",
    "import.undone",
    "invitation.made",
    "invitation.withdrawn",
    "keys.rotated",
    "queue.forgotten",
    "queue.retried",
    "retention.removed",
    "relay.tried",
    "schedule.asked",
    "secret.changed",
    "session.ended",
    "session.others_ended",
    "setting.changed",
    "stepup.confirmed",
    "stepup.too_many",
    "stepup.used",
    "stepup.wrong",
)

KINDS: Final[Mapping[str, Kind]] = dict.fromkeys(_WORK, _LEADS) | dict.fromkeys(_SERVICE, _KEEPERS)
"""A kind is a dotted name: what it happened to, and what happened."""


def read_by(roles: frozenset[str]) -> list[str] | None:
    """The kinds that somebody with these roles sees, in order; None for all, known or not."""
    if AUDITOR in roles:
        return None
    return sorted(name for name, kind in KINDS.items() if kind.readers & roles)
