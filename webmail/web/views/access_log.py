"""Who opened my mail: `/access-log`, for its owner; and how often that happens at all, for everybody: `/privacy/counts`."""

from datetime import datetime
from typing import Any

from flask import Blueprint, g, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit
from webmail.db import transaction
from webmail.errors import NotFound
from webmail.governance.access import counts as figures
from webmail.governance.access import owner
from webmail.governance.access.owner import Entry
from webmail.governance.quarantine import reading as quarantined
from webmail.keys import MailboxKeys
from webmail.mail import folders, messages
from webmail.web import access_words, proofs
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import left, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("access_log", __name__)


@blueprint.get("/access-log", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """Every access of the staff to my mail, newest first."""
    before = _before(request.args.get("before", ""))
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        entries = owner.entries(keys, before)
        older = entries[owner.ROWS - 1].opened_at if len(entries) > owner.ROWS else None
        shown = [(one, _opened(keys, one)) for one in entries[: owner.ROWS]]
        is_missing = any(line is None for _one, opened in shown for line, _acts in opened)
        held = quarantined.held_here(keys, g.viewer.account_id) if is_missing else ()
    context: dict[str, Any] = {
        "entries": shown,
        "older": url_for("access_log.index", before=older.isoformat()) if older else None,
        "first": before is None,
        "held": {one.message_id: one for one in held},
        "words": access_words,
        "notice": left(),
    }
    return render("access_log/index.html", None, **page(_("Who opened my mail"), counts=counts, **context))


def _opened(keys: MailboxKeys, entry: Entry) -> list[tuple[messages.Line | None, list[owner.Opened]]]:
    """What was opened, message by message: its line, opened with the owner's own key, None where it was deleted since."""
    found: dict[int, list[owner.Opened]] = {}
    for act in entry.acts:
        found.setdefault(act.message_id, []).append(act)
    told = []
    for message_id, acts in found.items():
        try:
            line = messages.line(keys, message_id)
        except NotFound:
            line = None
        told.append((line, acts))
    return told


def _before(typed: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(typed.replace(" ", "+")) if typed else None
    except ValueError:
        raise NotFound("cursor") from None
    if at is not None and at.tzinfo is None:
        raise NotFound("cursor")
    return at


@blueprint.get("/access-log/<id:grant>/<int(max=200):number>/proof", endpoint="proof")
@requires("mail")
def proof(grant: int, number: int) -> BaseResponse:
    """The proof that one opening stands in the log, to be checked without us."""
    with own_mail() as keys:
        entry = owner.one(keys, grant)
        act = next((one for one in entry.acts if one.number == number), None) if entry else None
        if act is None:
            raise NotFound("act")
        made = audit.proof(act.event, about=g.viewer.account_id)
    return proofs.answer(made, f"access-{act.event}")


@blueprint.get("/privacy/counts", endpoint="counts")
def counts() -> BaseResponse:
    """How often the staff opened mail, for what, and what the reviews said. No person is in it."""
    with transaction():
        lines = figures.by_year()
    context = page(_("How often mail was opened"), lines=lines, words=access_words)
    return render("access_log/counts.html", None, **context)
