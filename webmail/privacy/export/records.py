"""What is held beside the messages, as JSON that follows `schema.json`. Times are ISO 8601 in UTC, ids as pages show them."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from webmail import audit
from webmail.db import rows, show_id
from webmail.errors import NotFound
from webmail.governance.access import owner
from webmail.keys import MailboxKeys
from webmail.mail import correspondents, identities, vacation
from webmail.privacy.export import about_me, address_book
from webmail.privacy.export.collecting import Asked, Collect, at, plain, single, stamp, table
from webmail.sending import answers_kept, drafts

FORMAT, VERSION = "mtumail-export", 1
_PAGE: Final = 500


def gather(keys: MailboxKeys, account_id: int, made_at: datetime) -> dict[str, Any]:
    """Everything but messages, of one mailbox and of one of its owners."""
    told: dict[str, Any] = {"format": FORMAT, "version": VERSION, "made_at": stamp(made_at)}
    asked = {"mailbox": keys.mailbox_id, "account": account_id}
    for name, collect in _KINDS.items():
        told[name] = collect(keys, asked)
    return told


def encoded(told: Mapping[str, Any]) -> Iterator[bytes]:
    """The same as the bytes of a file, in small pieces."""
    yield from (piece.encode() for piece in json.JSONEncoder(ensure_ascii=False, indent=1).iterencode(told))


_ACCOUNT = f"""
    SELECT json_build_object('name', name, 'contact', contact_email, 'clerk_user_id', clerk_user_id,
           'created_at', {at("created_at")},
           'reading', reading_preference, 'rows', rows_preference, 'density', density_preference, 'preferences', preferences,
           'roles', (SELECT coalesce(json_agg(role ORDER BY role), '[]') FROM account_role r WHERE r.account_id = a.account_id))
      FROM account a WHERE account_id = %(account)s"""
_MAILBOX = f"""
    SELECT json_build_object('id', mailbox_id, 'name', display_name, 'state', state, 'quota_bytes', quota_bytes,
           'used_bytes', used_bytes,
           'created_at', {at("created_at")},
           'addresses', (SELECT coalesce(json_agg(local_part || '@' || d.name ORDER BY is_primary DESC, local_part), '[]')
                           FROM address a JOIN domain d USING (domain_id) WHERE a.mailbox_id = m.mailbox_id),
           'folders', (SELECT json_agg(json_build_object('folder', kind, 'empties_after_days', keep_days) ORDER BY folder_id)
                         FROM folder f WHERE f.mailbox_id = m.mailbox_id))
      FROM mailbox m WHERE mailbox_id = %(mailbox)s"""
_DELIVERIES = f"""
    SELECT json_build_object('message', s.message_id, 'from', s.envelope_from, 'to', d.recipient, 'state', d.state,
           'attempts', d.attempts,
           'reply_code', d.reply_code, 'reply', d.reply, 'sent_at', {at("s.created_at")}, 'changed_at', {at("d.changed_at")},
           'events', (SELECT coalesce(json_agg(json_build_object('at', {at("e.at")}, 'kind', e.kind, 'reply_code', e.reply_code,
                        'status', e.status, 'reason', e.reason, 'reply', e.reply) ORDER BY e.at, e.event_id), '[]')
                FROM delivery_event e
               WHERE (e.mailbox_id, e.submission_id, e.number) = (d.mailbox_id, d.submission_id, d.number)))
      FROM delivery d JOIN submission s USING (mailbox_id, submission_id)
     WHERE d.mailbox_id = %(mailbox)s ORDER BY s.created_at, d.submission_id, d.number"""
_SIGN_INS = f"""
    SELECT json_build_object('device', device, 'network', network, 'first_seen', {at("first_seen")},
           'last_seen', {at("last_seen")}, 'ended_at', {at("ended_at")})
      FROM sign_in WHERE account_id = %(account)s ORDER BY first_seen"""
_ANSWERS = f"""
    SELECT json_build_object('message', message_id, 'answer', answer, 'at', {at("answered_at")})
      FROM invitation_answer WHERE mailbox_id = %(mailbox)s ORDER BY answered_at"""
_LISTS = f"""
    SELECT json_build_object('message', message_id, 'way', way, 'state', state, 'at', {at("asked_at")})
      FROM unsubscription WHERE mailbox_id = %(mailbox)s ORDER BY asked_at"""
# Other members are their roles here: their names are theirs.
_MEMBERS = f"""
    SELECT json_build_object('role', role, 'since', {at("since")}, 'is_me', account_id = %(account)s)
      FROM mailbox_member WHERE mailbox_id = %(mailbox)s ORDER BY since"""


def _identities(keys: MailboxKeys, _asked: Asked) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "address": one.address,
            "reply_to": one.reply_to,
            "signature": one.signature,
            "is_default": one.is_default,
            "is_own": one.id == identities.OWN,
        }
        for one in identities.of(keys)
    ]


def _vacation(keys: MailboxKeys, _asked: Asked) -> dict[str, Any]:
    told = vacation.load(keys)
    return {
        "is_on": told.is_on,
        "first_day": plain(told.first_day),
        "last_day": plain(told.last_day),
        "zone": told.zone,
        "subject": told.subject,
        "text": told.text,
    }


def _kept_answers(keys: MailboxKeys, _asked: Asked) -> list[dict[str, Any]]:
    found = [answers_kept.load(keys, one.answer_id) for one in answers_kept.names(keys)]
    return [{"name": one.name, "words": one.words} for one in found]


def _rules(keys: MailboxKeys, _asked: Asked) -> dict[str, Any]:
    return {
        "blocked": [one.address for one in correspondents.blocked(keys)],
        "pictures_shown": [one.address for one in correspondents.with_pictures(keys)],
    }


def _drafts(keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
    """As they were saved last. Their files are in `drafts.zip`."""
    found = []
    for draft_id in draft_ids(keys.mailbox_id):
        draft = drafts.load(keys, draft_id)
        fields = {name: getattr(draft.fields, name) for name in ("to", "cc", "bcc", "subject", "body")}
        files = [{"name": one.name, "size_bytes": one.size_bytes} for one in draft.attachments]
        found.append({"id": show_id(draft_id), "saved_at": stamp(draft.saved_at), **fields, "files": files})
    return found


def draft_ids(mailbox_id: int) -> list[int]:
    """The drafts of a mailbox, oldest first."""
    return [number for (number,) in rows(_DRAFTS, {"mailbox": mailbox_id})]


_DRAFTS = "SELECT message_id FROM draft WHERE mailbox_id = %(mailbox)s ORDER BY saved_at, message_id"


def _access_log(keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
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
            "at": stamp(act.at),
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
        "opened_at": stamp(entry.opened_at),
        "ended_at": stamp(entry.ended_at),
        "verdict": entry.verdict,
        "reviewed_at": stamp(entry.reviewed_at),
        "opened": acts,
    }


def _events(_keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
    """What the audit log says about the account, oldest first, each with its proof."""
    found: list[dict[str, Any]] = []
    before = (1 << 62) + 1
    while page := rows(_ABOUT, asked | {"before": before, "limit": _PAGE}):  # type: ignore[operator]
        before = page[-1][0]
        found += [
            {"number": number, "at": stamp(at), "kind": kind, "proof": _proof(number, asked["account"])}
            for number, at, kind in page
        ]
    return found[::-1]


_ABOUT = "SELECT number, at, kind FROM audit_about(%(account)s, %(before)s, %(limit)s)"


def _proof(number: int, account_id: int) -> str | None:
    try:
        return audit.proof(number, about=account_id)
    except NotFound:
        return None


_KINDS: Mapping[str, Collect] = {
    "account": single(_ACCOUNT),
    "mailbox": single(_MAILBOX, ids=("id",)),
    "members": table(_MEMBERS),
    "identities": _identities,
    "vacation": _vacation,
    "kept_answers": _kept_answers,
    "rules": _rules,
    **address_book.KINDS,
    "drafts": _drafts,
    "deliveries": table(_DELIVERIES, ids=("message",)),
    "invitation_answers": table(_ANSWERS, ids=("message",)),
    "lists_left": table(_LISTS, ids=("message",)),
    **about_me.KINDS,
    "sign_ins": table(_SIGN_INS),
    "access_log": _access_log,
    "audit_log": _events,
}
