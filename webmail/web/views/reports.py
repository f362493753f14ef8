"""Reporting a message to the staff: `/report`. The form says what they get, and that they get nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import show_id
from webmail.errors import NotFound
from webmail.governance import reports
from webmail.governance.cases import telling
from webmail.governance.cases.sealing import open_secret
from webmail.keys import MailboxKeys
from webmail.mail import correspondents, folders, messages, reading
from webmail.web import case_words
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.opened import Who
from webmail.web.viewing import leave, left, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("reports", __name__)

KINDS = {
    "spam": _l("Spam: mail I did not ask for"),
    "phishing": _l("Phishing: it wants my password, or poses as somebody"),
    "malware": _l("Malware: a file or a page that does harm"),
    "fraud": _l("Fraud: it is after my money"),
    "harassment": _l("Harassment or threats"),
    "other": _l("Something else"),
}
NO_ERRORS = {"kind": "", "words": ""}
"""What is wrong with each field of the form, in words."""


@blueprint.get("/report", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """What I have reported, and how far that is."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        lines = []
        told = telling.of_mailbox(open_secret(current_app.extensions["master_keys"]))
        for item in reports.of_mailbox(keys.mailbox_id):
            try:
                line = messages.line(keys, item.message_id)
            except NotFound:
                line = None
            lines.append((item, str(KINDS[item.kind]), line, told.get(item.report_id)))
    return render("report/index.html", None, **page(_("Reports"), counts=counts, lines=lines, notice=left()))


@blueprint.get("/report/<id:message>", endpoint="new")
@requires("mail")
def new(message: int) -> BaseResponse:
    """What is wrong with a message? Or, once it was reported: how far that is, and what was answered."""
    return _form(message, "", "", NO_ERRORS)


@blueprint.post("/report/<id:message>", endpoint="file")
@requires("mail")
def file(message: int) -> BaseResponse:
    """Hand the message to the staff, and move it to Junk."""
    kind, words = request.form.get("kind", ""), request.form.get("words", "").strip()
    errors = dict(NO_ERRORS)
    if kind not in reports.KINDS:
        errors["kind"] = _("Choose what it is.")
    if len(words) > reports.MAX_WORDS:
        errors["words"] = _("At most %(num)s characters, please.", num=reports.MAX_WORDS)
    if any(errors.values()):
        return _form(message, kind, words, errors)
    with own_mail() as keys:
        line = messages.line(keys, message)
        if line.direction != "in" or line.state == "draft":
            raise NotFound("message")
        reports.report(
            keys,
            current_app.extensions["master_keys"],
            message,
            account_id=g.viewer.account_id,
            kind=kind,
            words=words,
        )
        sender = reading.load(keys, message).sender[1] if line.state == "filed" else ""
        if request.form.get("block") and sender and sender.lower() != (g.viewer.address or "").lower():
            correspondents.block(keys, sender)
        done = messages.act(keys.mailbox_id, [message], "junk")
    leave(
        word="reported",
        act=(
            line.folder.slug,
            "reported",
            done.message_ids or (message,),
            done.undo if done.message_ids else None,
        ),
    )
    return redirect(url_for("mail.folder", folder=line.folder.slug), 303)


def _form(message: int, kind: str, words: str, errors: Mapping[str, str]) -> BaseResponse:
    with own_mail() as keys:
        before = reports.of_message(keys.mailbox_id, message)
        told = (
            telling.of_report(open_secret(current_app.extensions["master_keys"]), before.report_id)
            if before
            else None
        )
        counts = folders.counts(keys.mailbox_id)
        line = _line(keys, message, gone=before is not None)
    if line is None:
        return _gone(before, told, counts)
    context: dict[str, Any] = {
        "message_id": show_id(message),
        "subject": line.summary.subject if line.summary else "",
        "sender": Who(*line.summary.sender) if line.summary else Who("", ""),
        "kinds": KINDS,
        "form": {"kind": kind, "words": words, "errors": errors},
        "before": before,
        "told": told,
        "words": case_words,
        "back": url_for("mail.message", folder=line.folder.slug, message=message),
        "max_words": reports.MAX_WORDS,
    }
    title = _("Your report") if before else _("Report a message")
    response = render(
        "report/new.html",
        None,
        **page(
            title,
            current=line.folder,
            counts=counts,
            **context,
        ),
    )
    response.status_code = 422 if any(errors.values()) else 200
    return response


def _line(keys: MailboxKeys, message: int, *, gone: bool) -> messages.Line | None:
    """A message that came in; None for one that was reported, and deleted since. Raises NotFound."""
    try:
        line = messages.line(keys, message)
    except NotFound:
        if gone:
            return None
        raise
    if line.direction != "in":
        raise NotFound("message")
    return line


def _gone(
    before: reports.Reported | None, told: telling.Told | None, counts: Sequence[folders.Count]
) -> BaseResponse:
    """How far the report of a message is that its reporter has deleted."""
    context: dict[str, Any] = {"before": before, "told": told, "words": case_words}
    return render("report/gone.html", None, **page(_("Report"), counts=counts, **context))
