"""What the staff and the service have about a person beside mail: cases, notices, requests, what was stopped. Of others nothing."""

from collections.abc import Mapping
from typing import Any

from flask import current_app

from webmail.db import rows, show_id
from webmail.governance.cases import telling as cases
from webmail.governance.cases.sealing import open_secret
from webmail.governance.notices import telling as notices
from webmail.keys import MailboxKeys, MasterKeys
from webmail.privacy.export.collecting import Asked, Collect, at, stamp, table
from webmail.privacy.requests import asking as requests

_CASES = f"""
    SELECT json_build_object('kind', kind, 'opened_at', {at("opened_at")}, 'closed_at', {at("closed_at")}, 'outcome', outcome)
      FROM cases_about(%(account)s)"""
_REPORTS = f"""
    SELECT report_id, json_build_object('message', message_id, 'kind', kind, 'state', state, 'at', {at("reported_at")})
      FROM report WHERE mailbox_id = %(mailbox)s ORDER BY reported_at"""
_RESTRICTIONS = f"""
    SELECT json_build_object('why', why, 'stopped', scopes, 'since', {at("since")}, 'until', {at("until")},
           'ended_at', {at("ended_at")})
      FROM processing_restriction WHERE account_id = %(account)s ORDER BY since"""
_OBJECTIONS = f"""
    SELECT json_build_object('purpose', purpose, 'state', state, 'made_at', {at("made_at")}, 'decided_at', {at("decided_at")})
      FROM objection WHERE account_id = %(account)s ORDER BY made_at"""
_DELETIONS = f"""
    SELECT json_build_object('kind', kind, 'state', state, 'asked_at', {at("asked_at")}, 'due_at', {at("due_at")})
      FROM erasure WHERE account_id = %(account)s ORDER BY asked_at"""
_CLERK = f"""
    SELECT json_build_object('kind', e.kind, 'at', {at("e.occurred_at")}, 'received_at', {at("e.received_at")})
      FROM webhook_event e JOIN account a ON a.clerk_user_id = e.user_id WHERE a.account_id = %(account)s ORDER BY e.number"""
_SENDING = """
    SELECT json_build_object('day', day, 'recipients', recipients) FROM sending_day WHERE mailbox_id = %(mailbox)s ORDER BY day"""
# Other members are nobody here: what they did is told, who they are is theirs.
_ACTIVITY = f"""
    SELECT json_build_object('at', {at("at")}, 'kind', kind, 'number', number, 'by_me', coalesce(account_id = %(account)s, false))
      FROM mailbox_activity WHERE mailbox_id = %(mailbox)s ORDER BY at, activity_id"""


def _master() -> MasterKeys:
    found: MasterKeys = current_app.extensions["master_keys"]
    return found


def _reports(_keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
    """What was reported, how that ended, and what the staff answered."""
    secret = open_secret(_master())
    found = []
    for report_id, told in rows(_REPORTS, asked):
        [case] = rows(
            "SELECT count(*) FROM reports_told() WHERE report_id = %(report)s", {"report": report_id}
        )
        heard = cases.of_report(secret, report_id) if case[0] else None
        found.append(
            told
            | {
                "message": show_id(int(told["message"])),
                "outcome": heard.outcome if heard else "",
                "words": heard.words if heard else "",
                "closed_at": stamp(heard.closed_at) if heard else None,
                "answers": [
                    {"at": stamp(one.at), "words": one.words} for one in (heard.answers if heard else ())
                ],
            }
        )
    return found


def _notices(_keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
    """What the staff did and told of it, and what became of an objection to that. Who acted is not said."""
    names = ("kind", "address", "rule", "words", "state", "lifted_why", "appeal_words", "verdict", "answer")
    times = ("since", "until", "lifted_at", "told_at", "appealed_at", "judged_at")
    return [
        {name: getattr(one, name) for name in names} | {name: stamp(getattr(one, name)) for name in times}
        for one in reversed(notices.told(_master(), asked["account"]))
    ]


def _requests(_keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
    names = ("kind", "source", "state", "words", "extension", "answer")
    times = ("received_at", "due_at", "extended_at", "answered_at")
    return [
        {name: getattr(one, name) for name in names} | {name: stamp(getattr(one, name)) for name in times}
        for one in reversed(requests.of(_master(), asked["account"]))
    ]


def _notes(_keys: MailboxKeys, asked: Asked) -> list[dict[str, Any]]:
    """What colleagues noted while they helped. Who noted it is not said."""
    secret = open_secret(_master())
    return [
        {"at": stamp(at), "words": secret.open(words, "staff_note", number, "words")}
        for number, at, words in rows(_NOTES, asked)
    ]


_NOTES = "SELECT note_id, written_at, words FROM staff_note WHERE account_id = %(account)s ORDER BY written_at, note_id"


KINDS: Mapping[str, Collect] = {
    "reports": _reports,
    "cases": table(_CASES),
    "staff_notices": _notices,
    "requests": _requests,
    "staff_notes": _notes,
    "restrictions": table(_RESTRICTIONS),
    "objections": table(_OBJECTIONS),
    "deletions": table(_DELETIONS),
    "clerk_events": table(_CLERK),
    "sending_days": table(_SENDING),
    "activity": table(_ACTIVITY),
}
