"""The audit log in words: what each kind of event is called, who did it, and its facts."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from webmail.db import show_id
from webmail.web.words import gettext as _

KINDS = {
    "access.approved": _l("Access to mail approved"),
    "access.closed": _l("Access to mail ended"),
    "access.denied": _l("Access to mail tried and denied"),
    "access.emergency": _l("Access to mail taken in an emergency"),
    "access.gag_approved": _l("Silence about an access approved"),
    "access.gag_ended": _l("Silence about an access ended"),
    "access.gag_extended": _l("Silence about an access extended"),
    "access.opened": _l("Part of a message opened"),
    "access.refused": _l("Access to mail refused"),
    "access.requested": _l("Access to mail asked for"),
    "access.reviewed": _l("Access to mail reviewed"),
    "action.approved": _l("Action on a person approved"),
    "action.declined": _l("Action on a person declined"),
    "action.denied": _l("Action on a person tried and denied"),
    "action.ended": _l("Action on a person over"),
    "action.lifted": _l("Action on a person undone"),
    "action.name_freed": _l("Mailbox name rested and free"),
    "action.proposed": _l("Action on a person proposed"),
    "action.taken": _l("Action on a person taken"),
    "alert.muted": _l("Alert acknowledged"),
    "alert.tried": _l("Trial alert asked for"),
    "appeal.made": _l("Appeal made"),
    "appeal.rejected": _l("Appeal rejected"),
    "appeal.upheld": _l("Appeal upheld"),
    "audit.detail_dropped": _l("Detail of old events dropped"),
    "audit.forgotten": _l("Events made about nobody"),
    "audit.unsealed": _l("Sealed event opened"),
    "case.answered": _l("Reporters of a case answered"),
    "case.canned_dropped": _l("Ready answer deleted"),
    "case.canned_kept": _l("Ready answer saved"),
    "case.closed": _l("Case closed"),
    "case.given": _l("Case given to a colleague"),
    "case.item_opened": _l("Reported message opened"),
    "case.kind_changed": _l("Kind of a case changed"),
    "case.merged": _l("Case joined with another"),
    "case.noted": _l("Note added to a case"),
    "case.open": _l("Case back at work"),
    "case.opened": _l("Case opened"),
    "case.released": _l("Case given back"),
    "case.reopened": _l("Case opened again"),
    "case.split": _l("Case split"),
    "case.taken": _l("Case taken"),
    "case.waiting": _l("Case set to wait"),
    "clerk.impersonation_begun": _l("Sign-in as somebody else begun at Clerk"),
    "clerk.impersonation_refused": _l("Sign-in as somebody else refused"),
    "clerk.user_banned": _l("Account banned at Clerk"),
    "clerk.user_deleted": _l("Account deleted at Clerk"),
    "clerk.user_unbanned": _l("Ban at Clerk lifted"),
    "cli.used": _l("Command used"),
    "dkim_key.activated": _l("Signing key in use"),
    "dkim_key.created": _l("Signing key made"),
    "dkim_key.retired": _l("Signing key retired"),
    "domain.added": _l("Domain added"),
    "domain.alias": _l("Alias of a domain changed"),
    "domain.asked": _l("Look at a domain’s records asked for"),
    "domain.registration": _l("Who may register at a domain changed"),
    "domain.removed": _l("Domain removed"),
    "domain.rests": _l("Domain put to rest"),
    "domain.routed": _l("Mail for a name that nobody has led elsewhere"),
    "domain.sts": _l("MTA-STS of a domain changed"),
    "domain.verified": _l("Domain verified"),
    "domain.wakes": _l("Domain gives names again"),
    "export.asked": _l("Export of a mailbox asked for"),
    "export.dropped": _l("Export of a mailbox deleted"),
    "export.fetched": _l("Export of a mailbox fetched"),
    "export.finished": _l("Export of a mailbox made"),
    "import.asked": _l("Import into a mailbox asked for"),
    "import.finished": _l("Import into a mailbox done"),
    "import.undone": _l("Import into a mailbox undone"),
    "invitation.made": _l("Invitation made"),
    "invitation.withdrawn": _l("Invitation withdrawn"),
    "mailbox.created": _l("Mailbox made"),
    "mailbox.member.accepted": _l("Share of a mailbox accepted"),
    "mailbox.member.declined": _l("Share of a mailbox declined"),
    "mailbox.member.invited": _l("Somebody invited to a mailbox"),
    "mailbox.member.left": _l("Member left a mailbox"),
    "mailbox.member.removed": _l("Member removed from a mailbox"),
    "mailbox.member.role": _l("Rights of a member changed"),
    "mailbox.member.withdrawn": _l("Invitation to a mailbox withdrawn"),
    "memory.denied": _l("Memory of abuse asked and denied"),
    "memory.looked_up": _l("Memory of abuse asked"),
    "name.freed": _l("Mailbox name set free"),
    "name.reserved": _l("Mailbox name reserved"),
    "people.noted": _l("Note about a person written"),
    "people.searched": _l("Person looked for"),
    "people.unnoted": _l("Note about a person dropped"),
    "people.viewed": _l("Page of a person opened"),
    "queue.forgotten": _l("Work put aside forgotten"),
    "queue.retried": _l("Work put aside tried again"),
    "quarantine.approved": _l("Holding of a message approved"),
    "quarantine.counted": _l("Counted how often a reported message came"),
    "quarantine.declined": _l("Holding of a message declined"),
    "quarantine.denied": _l("Holding of a message tried and denied"),
    "quarantine.ended": _l("Holding of a message ended"),
    "quarantine.held": _l("Messages held"),
    "quarantine.proposed": _l("Holding of a message proposed"),
    "quarantine.released": _l("Messages given back"),
    "quarantine.taken": _l("Holding of a message begun"),
    "registration.limited": _l("Too many registrations"),
    "account.name_changed": _l("Name changed by its person"),
    "erasure.asked": _l("Deletion asked for"),
    "erasure.undone": _l("Deletion taken back"),
    "erasure.keys_destroyed": _l("Keys destroyed"),
    "erasure.finished": _l("Deletion finished"),
    "request.made": _l("Request about privacy made"),
    "request.entered": _l("Request about privacy written down"),
    "request.identified": _l("Identity behind a request checked"),
    "request.extended": _l("Time to answer a request extended"),
    "request.answered": _l("Request about privacy answered"),
    "objection.made": _l("Objection made to a use of data"),
    "objection.withdrawn": _l("Objection taken back"),
    "restriction.begun": _l("Use of somebody’s data restricted"),
    "restriction.ended": _l("Restriction ended by its person"),
    "restriction.ends": _l("End of a restriction announced"),
    "hold.set": _l("Legal hold set"),
    "hold.ended": _l("Legal hold ended"),
    "backup.finished": _l("Backup made"),
    "backup.failed": _l("Backup failed"),
    "backup.restored": _l("Restored from a backup"),
    "secret.changed": _l("A secret was seen to be another one"),
    "keys.rotated": _l("Keys wrapped anew under the current master key"),
    "retention.removed": _l("Old data removed on schedule"),
    "role.declined": _l("Role declined"),
    "role.granted": _l("Role given"),
    "role.proposed": _l("Role proposed"),
    "role.revoked": _l("Role taken"),
    "relay.tried": _l("Relays tried with a test mail"),
    "schedule.asked": _l("Scheduled work asked for now"),
    "security.sending_limit": _l("Sending limit reached"),
    "security.sending_surge": _l("Sudden flood of mail"),
    "session.ended": _l("Sign-in ended"),
    "session.others_ended": _l("Other sign-ins ended"),
    "setting.changed": _l("Setting changed"),
    "stepup.confirmed": _l("Identity confirmed"),
    "stepup.too_many": _l("Too many tries to confirm"),
    "stepup.used": _l("Confirmation used"),
    "stepup.wrong": _l("Confirmation failed"),
    "trace.denied": _l("Search for a delivery denied"),
    "trace.looked_up": _l("Delivery looked up"),
}

_ACTORS = {
    "cli": _l("%(name)s at the command line"),
    "system": _l("the service (%(name)s)"),
}
# Facts that hold ids of rows: shown as people meet them in addresses of pages.
_IDS = frozenset({
    "account", "action", "answer", "appeal", "before", "canned", "case", "confirmation", "domain",
    "grant", "into", "invitation", "item", "mailbox",
    "message", "new", "note", "of", "owner", "proposed_by", "quarantine", "report", "sign_in", "to",
})  # fmt: skip
_ID_LIMIT = 2**48


def kind_words(kind: str) -> str:
    """What an event of this kind is called; its dotted name where we have no words."""
    words = KINDS.get(kind)
    return str(words) if words else kind


def actor_words(actor: str, names: Mapping[int, str]) -> str:
    """Who did it: a colleague's name, an account's id, a process; "" once that was dropped."""
    sort, _colon, name = actor.partition(":")
    if sort == "account" and is_id(name):
        return names.get(int(name)) or _("account %(id)s", id=id_words(int(name)))
    if sort == "grant" and is_id(name):  # its page says whose it is: an owner's proof must not
        return _("holder of grant %(id)s", id=id_words(int(name)))
    if sort in ("action", "quarantine") and is_id(name):
        said = _("whoever did action %(id)s", id=id_words(int(name)))
        return said if sort == "action" else _("quarantine %(id)s", id=id_words(int(name)))
    words = _ACTORS.get(sort)
    return str(words) % {"name": name} if words else actor


def is_id(name: str) -> bool:
    """Whether an actor's name is the id of a row: who can write events can write anything there."""
    return name.isascii() and name.isdigit() and len(name) <= 15


def id_words(number: int) -> str:
    return show_id(number) if 0 <= number < _ID_LIMIT else str(number)


def fact_words(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """An event's facts, each a name and a value; the case has a place of its own."""
    return [
        (name, _value(name, value))
        for name, value in facts.items()
        if value is not None and value != "" and name != "case"
    ]


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int) and name in _IDS:
        return id_words(value)
    return str(value)
