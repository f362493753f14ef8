"""What is held beside the messages, as JSON that follows `schema.json`. Times are ISO 8601 in UTC, ids as pages show them."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from webmail import audit
from webmail.db import rows, show_id
from webmail.errors import NotFound
from webmail.governance.access import owner
from webmail.keys import MailboxKeys
from webmail.mail import contacts, correspondents, identities, vacation
from webmail.sending import answers_kept, drafts

FORMAT, VERSION = "mtumail-export", 1
_PAGE: Final = 500


def gather(keys: MailboxKeys, account_id: int, made_at: datetime) -> dict[str, Any]:
    """Everything but messages, of one mailbox and of one of its owners."""
    told: dict[str, Any] = {"format": FORMAT, "version": VERSION, "made_at": _stamp(made_at)}
    asked = {"mailbox": keys.mailbox_id, "account": account_id}
    for name, collect in _KINDS.items():
        told[name] = collect(keys, asked)
    return told


def encoded(told: Mapping[str, Any]) -> Iterator[bytes]:
    """The same as the bytes of a file, in small pieces."""
    yield from (piece.encode() for piece in json.JSONEncoder(ensure_ascii=False, indent=1).iterencode(told))


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _stamp(value)
    return value.isoformat() if isinstance(value, date) else value


_Asked = Mapping[str, int]


def _table(sql: str, *, ids: tuple[str, ...] = ()) -> Callable[[MailboxKeys, _Asked], list[dict[str, Any]]]:
    """What collects the rows of a statement, which makes one JSON object each; columns in `ids` become shown ids."""

    def collect(_keys: MailboxKeys, asked: _Asked) -> list[dict[str, Any]]:
        found = [told for (told,) in rows(sql, asked)]
        for row in found:
            for name in ids:
                row[name] = None if row[name] is None else show_id(int(row[name]))
        return found

    return collect


_UTC = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


def _at(column: str) -> str:
    return _UTC.format(column)


_ACCOUNT = f"""
    SELECT json_build_object('name', name, 'contact', contact_email, 'clerk_user_id', clerk_user_id,
           'created_at', {_at("created_at")},
           'reading', reading_preference, 'rows', rows_preference, 'density', density_preference, 'preferences', preferences,
           'roles', (SELECT coalesce(json_agg(role ORDER BY role), '[]') FROM account_role r WHERE r.account_id = a.account_id))
      FROM account a WHERE account_id = %(account)s"""
_MAILBOX = f"""
    SELECT json_build_object('id', mailbox_id, 'name', display_name, 'state', state, 'quota_bytes', quota_bytes,
           'used_bytes', used_bytes,
           'created_at', {_at("created_at")},
           'addresses', (SELECT coalesce(json_agg(local_part || '@' || d.name ORDER BY is_primary DESC, local_part), '[]')
                           FROM address a JOIN domain d USING (domain_id) WHERE a.mailbox_id = m.mailbox_id),
           'folders', (SELECT json_agg(json_build_object('folder', kind, 'empties_after_days', keep_days) ORDER BY folder_id)
                         FROM folder f WHERE f.mailbox_id = m.mailbox_id))
      FROM mailbox m WHERE mailbox_id = %(mailbox)s"""
_DELIVERIES = f"""
    SELECT json_build_object('message', s.message_id, 'from', s.envelope_from, 'to', d.recipient, 'state', d.state,
           'attempts', d.attempts,
           'reply_code', d.reply_code, 'reply', d.reply, 'sent_at', {_at("s.created_at")}, 'changed_at', {_at("d.changed_at")},
           'events', (SELECT coalesce(json_agg(json_build_object('at', {_at("e.at")}, 'kind', e.kind, 'reply_code', e.reply_code,
                        'status', e.status, 'reason', e.reason, 'reply', e.reply) ORDER BY e.at, e.event_id), '[]')
                FROM delivery_event e
               WHERE (e.mailbox_id, e.submission_id, e.number) = (d.mailbox_id, d.submission_id, d.number)))
      FROM delivery d JOIN submission s USING (mailbox_id, submission_id)
     WHERE d.mailbox_id = %(mailbox)s ORDER BY s.created_at, d.submission_id, d.number"""
_REPORTS = f"""
    SELECT json_build_object('message', message_id, 'kind', kind, 'state', state, 'at', {_at("reported_at")})
      FROM report WHERE mailbox_id = %(mailbox)s ORDER BY reported_at"""
_SIGN_INS = f"""
    SELECT json_build_object('device', device, 'network', network, 'first_seen', {_at("first_seen")},
           'last_seen', {_at("last_seen")}, 'ended_at', {_at("ended_at")})
      FROM sign_in WHERE account_id = %(account)s ORDER BY first_seen"""
_ANSWERS = f"""
    SELECT json_build_object('message', message_id, 'answer', answer, 'at', {_at("answered_at")})
      FROM invitation_answer WHERE mailbox_id = %(mailbox)s ORDER BY answered_at"""
_LISTS = f"""
    SELECT json_build_object('message', message_id, 'way', way, 'state', state, 'at', {_at("asked_at")})
      FROM unsubscription WHERE mailbox_id = %(mailbox)s ORDER BY asked_at"""
# Other members are their roles here: their names are theirs.
_MEMBERS = f"""
    SELECT json_build_object('role', role, 'since', {_at("since")}, 'is_me', account_id = %(account)s)
      FROM mailbox_member WHERE mailbox_id = %(mailbox)s ORDER BY since"""


def _single(sql: str, *, ids: tuple[str, ...] = ()) -> Callable[[MailboxKeys, _Asked], dict[str, Any]]:
    collect = _table(sql, ids=ids)
    return lambda keys, asked: collect(keys, asked)[0]


def _identities(keys: MailboxKeys, _asked: _Asked) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "address": one.address,
            "reply_to": one.reply_to,
            "signature": one.signature,
            "is_default": one.is_default,
        }
        for one in identities.of(keys)
    ]


def _vacation(keys: MailboxKeys, _asked: _Asked) -> dict[str, Any]:
    told = vacation.load(keys)
    return {
        "is_on": told.is_on,
        "first_day": _plain(told.first_day),
        "last_day": _plain(told.last_day),
        "zone": told.zone,
        "subject": told.subject,
        "text": told.text,
    }


def _kept_answers(keys: MailboxKeys, _asked: _Asked) -> list[dict[str, Any]]:
    found = [answers_kept.load(keys, one.answer_id) for one in answers_kept.names(keys)]
    return [{"name": one.name, "words": one.words} for one in found]


def _rules(keys: MailboxKeys, _asked: _Asked) -> dict[str, Any]:
    return {
        "blocked": [one.address for one in correspondents.blocked(keys)],
        "pictures_shown": [one.address for one in correspondents.with_pictures(keys)],
    }


def _contacts(keys: MailboxKeys, _asked: _Asked) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "addresses": list(one.addresses),
            "phones": list(one.phones),
            "organisation": one.organisation,
            "notes": one.notes,
        }
        for one in contacts.everybody(keys)
    ]


def _drafts(keys: MailboxKeys, asked: _Asked) -> list[dict[str, Any]]:
    """As they were saved last. Their files are in `drafts.zip`."""
    found = []
    for draft_id in draft_ids(keys.mailbox_id):
        draft = drafts.load(keys, draft_id)
        fields = {name: getattr(draft.fields, name) for name in ("to", "cc", "bcc", "subject", "body")}
        files = [{"name": one.name, "size_bytes": one.size_bytes} for one in draft.attachments]
        found.append({"id": show_id(draft_id), "saved_at": _stamp(draft.saved_at), **fields, "files": files})
    return found


def draft_ids(mailbox_id: int) -> list[int]:
    """The drafts of a mailbox, oldest first."""
    return [number for (number,) in rows(_DRAFTS, {"mailbox": mailbox_id})]


_DRAFTS = "SELECT message_id FROM draft WHERE mailbox_id = %(mailbox)s ORDER BY saved_at, message_id"


def _access_log(keys: MailboxKeys, asked: _Asked) -> list[dict[str, Any]]:
    """Who opened this mailbox, with a proof for each opening where the log has been signed since."""
    found: list[dict[str, Any]] = []
    before = None
    while page := owner.entries(keys, before, _PAGE):
        before = page[-1].opened_at
        # A worker sees what an owner may not know of yet; an export is what the owner may know.
        found += [_access(entry) for entry in page if not _is_secret(keys.mailbox_id, entry.grant_id)]
    return found


def _is_secret(mailbox_id: int, grant_id: int) -> bool:
    [[secret]] = rows(
        "SELECT access_is_gagged(%(mailbox)s, %(grant)s)", {"mailbox": mailbox_id, "grant": grant_id}
    )
    return bool(secret)


def _access(entry: owner.Entry) -> dict[str, Any]:
    acts = [
        {
            "message": show_id(act.message_id),
            "part": act.part,
            "file": act.file,
            "at": _stamp(act.at),
            "event": act.event,
        }
        for act in entry.acts
    ]
    return {
        "who": entry.who,
        "reason": entry.reason,
        "kind": entry.kind,
        "purpose": entry.purpose,
        "basis": entry.basis,
        "is_emergency": entry.is_emergency,
        "opened_at": _stamp(entry.opened_at),
        "ended_at": _stamp(entry.ended_at),
        "verdict": entry.verdict,
        "reviewed_at": _stamp(entry.reviewed_at),
        "opened": acts,
    }


def _events(_keys: MailboxKeys, asked: _Asked) -> list[dict[str, Any]]:
    """What the audit log says about the account, oldest first, each with its proof."""
    found: list[dict[str, Any]] = []
    before = (1 << 62) + 1
    while page := rows(_ABOUT, asked | {"before": before, "limit": _PAGE}):  # type: ignore[operator]
        before = page[-1][0]
        found += [
            {"number": number, "at": _stamp(at), "kind": kind, "proof": _proof(number, asked["account"])}
            for number, at, kind in page
        ]
    return found[::-1]


_ABOUT = "SELECT number, at, kind FROM audit_about(%(account)s, %(before)s, %(limit)s)"


def _proof(number: int, account_id: int) -> str | None:
    try:
        return audit.proof(number, about=account_id)
    except NotFound:
        return None


_KINDS: Mapping[str, Callable[[MailboxKeys, _Asked], Any]] = {
    "account": _single(_ACCOUNT),
    "mailbox": _single(_MAILBOX, ids=("id",)),
    "members": _table(_MEMBERS),
    "identities": _identities,
    "vacation": _vacation,
    "kept_answers": _kept_answers,
    "rules": _rules,
    "contacts": _contacts,
    "drafts": _drafts,
    "deliveries": _table(_DELIVERIES, ids=("message",)),
    "invitation_answers": _table(_ANSWERS, ids=("message",)),
    "lists_left": _table(_LISTS, ids=("message",)),
    "reports": _table(_REPORTS, ids=("message",)),
    "sign_ins": _table(_SIGN_INS),
    "access_log": _access_log,
    "audit_log": _events,
}
