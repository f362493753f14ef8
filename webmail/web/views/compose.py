"""Writing: `/compose`. One form for a new message, an answer and a draft; saving, attaching and sending are its buttons."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, g, jsonify, redirect, request, url_for
from flask_babel import format_datetime
from flask_wtf import FlaskForm
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as BaseResponse
from wtforms import HiddenField, IntegerField, StringField, TextAreaField, validators

from webmail.db import new_id, read_id, show_id
from webmail.errors import Conflict, Refused
from webmail.keys import MailboxKeys
from webmail.mail import folders
from webmail.mail.folders import Kind
from webmail.sending import drafts, submitting
from webmail.sending.composing import CompositionError
from webmail.sending.drafts import Fields, Upload
from webmail.web.access import requires
from webmail.web.beginnings import author, from_link, limit, pass_on, reply_to, with_its_files
from webmail.web.htmx import render
from webmail.web.unsendable import address_errors, unsendable
from webmail.web.viewing import Notice, is_looked_at, leave, left, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("compose", __name__)


class ComposeForm(FlaskForm):  # type: ignore[misc]
    """What the composer sends. CSRF is checked for every unsafe request at once, in `web.security`."""

    class Meta:
        csrf = False

    to = StringField(validators=[validators.Length(max=20_000)])
    cc = StringField(validators=[validators.Length(max=20_000)])
    bcc = StringField(validators=[validators.Length(max=20_000)])
    subject = StringField(validators=[validators.Length(max=2_000)])
    body = TextAreaField(validators=[validators.Length(max=1_000_000)])
    draft_id = HiddenField()
    revision = IntegerField(validators=[validators.Optional(), validators.NumberRange(0, 2_000_000_000)])
    reply = HiddenField()
    forward = HiddenField()


@dataclass(frozen=True, slots=True)
class Shown:
    """The fields as the template shows them."""

    to: str
    cc: str
    bcc: str
    subject: str
    body: str
    errors: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Posted:
    """What one press of a button brought. Revision 0: the id was given out with an empty form, and nothing is saved under it."""

    fields: Fields
    draft_id: int | None
    revision: int
    uploads: Sequence[Upload]


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file that is attached to the draft."""

    number: int
    name: str
    size: int


@blueprint.get("/compose", endpoint="new")
@requires("mail")
def new() -> BaseResponse:
    """An empty composer, an answer, a message to pass on, or a draft to go on with."""
    args = request.args
    draft, notice = None, None
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        if args.get("draft"):
            draft = drafts.load(keys, read_id(args["draft"]))
            fields = draft.fields
        elif args.get("reply"):
            fields = reply_to(keys, read_id(args["reply"]), everybody=bool(args.get("all")))
        elif args.get("forward"):
            fields = pass_on(keys, read_id(args["forward"]))
            try:
                draft = with_its_files(keys, fields) if is_looked_at() else None
            except Refused:
                notice = Notice("alert", _("Its files are too large to pass on; only its text is here."))
        elif args.get("mailto"):
            fields = from_link(args["mailto"])
        else:
            fields = Fields(to=args.get("to", "")[:2000])
    return _composer(counts, fields, draft, notice=notice or left())


@blueprint.post("/compose", endpoint="submit")
@requires("mail")
def submit() -> BaseResponse:
    """Save first, whatever was pressed; then attach, remove, discard, or send."""
    form = ComposeForm()
    to, cc, bcc, subject, body = (
        field.data or "" for field in (form.to, form.cc, form.bcc, form.subject, form.body)
    )
    fields = Fields(to, cc, bcc, subject, body, _number(form.reply.data), _number(form.forward.data))
    posted = Posted(fields, _number(form.draft_id.data), form.revision.data or 0, _uploads())
    if not form.validate():
        return _again(
            posted, {name: [str(item) for item in texts] for name, texts in form.errors.items()}, None
        )
    if "discard" in request.form:
        return _discard(posted)
    try:
        if "send" in request.form:
            return _send(posted)
        with own_mail() as keys:
            draft = _write(keys, posted)
    except Conflict:
        return _conflict(posted)
    except Refused as refusal:
        return _kept(posted, {"body": [str(refusal)]})
    if "attach" in request.form or "remove" in request.form:
        return redirect(url_for("compose.new", draft=show_id(draft.message_id)), 303)
    if request.accept_mimetypes.best == "application/json":
        return jsonify(
            draft_id=show_id(draft.message_id), revision=draft.revision, saved_at=_clock(draft.saved_at)
        )
    leave(word="saved")
    return redirect(url_for("compose.new", draft=show_id(draft.message_id)), 303)


def _write(keys: MailboxKeys, posted: Posted, *, with_files: bool = True) -> drafts.Opened:
    """The draft as it was posted, inside the caller's transaction."""
    fields = submitting.threaded(keys, posted.fields, posted.draft_id)
    if posted.draft_id is None or posted.revision < 1:
        draft = drafts.create(keys, author(), fields, posted.draft_id)
    else:
        draft = drafts.save(keys, author(), posted.draft_id, posted.revision, fields)
    if not with_files:
        return draft
    removed = [int(item) for item in request.form.getlist("remove") if item.isascii() and item.isdigit()]
    drafts.detach(keys, draft.message_id, [number for number in removed if number <= 100])
    drafts.attach(keys, draft.message_id, posted.uploads, limit())
    return drafts.load(keys, draft.message_id)


def _uploads() -> list[Upload]:
    items: list[FileStorage] = [item for item in request.files.getlist("attachment") if item.filename]
    return [
        Upload(item.filename or "file", item.mimetype or "application/octet-stream", item.read())
        for item in items
    ]


def _send(posted: Posted) -> BaseResponse:
    """Save and send in one transaction: a second press of the button waits for the first, and finds it sent."""
    errors = address_errors(posted.fields)
    if errors:
        return _kept(posted, errors)
    try:
        with own_mail() as keys:
            draft = _write(keys, posted)
            submitting.submit(
                keys,
                draft.message_id,
                draft.revision,
                account_id=g.viewer.account_id,
                author=author(),
                limit=limit(),
            )
    except CompositionError as error:
        field = error.field if error.field in _whole(None) else "body"
        return _kept(posted, {field: [unsendable(error)]})
    return _sent(draft.message_id)


def _sent(message_id: int) -> BaseResponse:
    leave(word="sending")
    return redirect(url_for("mail.message", folder=Kind.SENT.slug, message=message_id), 303)


def _discard(posted: Posted) -> BaseResponse:
    if posted.draft_id is not None and posted.revision > 0:
        with own_mail() as keys:
            drafts.discard(keys, posted.draft_id)
    leave(word="discarded")
    return redirect(url_for("mail.home"), 303)


def _kept(posted: Posted, errors: dict[str, list[str]]) -> BaseResponse:
    """What was typed is saved as a draft, with its files if they may leave, and shown again with what is wrong with it."""
    try:
        try:
            with own_mail() as keys:
                draft = _write(keys, posted)
        except Refused:
            with own_mail() as keys:
                draft = _write(keys, posted, with_files=False)
    except Conflict:
        return _conflict(posted)
    except Refused as refusal:
        return _again(posted, {"body": [str(refusal)]} | errors, None)
    return _again(posted, errors, draft)


def _again(posted: Posted, errors: dict[str, list[str]], draft: drafts.Opened | None) -> BaseResponse:
    """The composer with what was typed and what is wrong with it; nothing typed is lost."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        if draft is None and posted.draft_id is not None and posted.revision > 0:
            # The revision that was typed over, not the newest: a save must still find out that another tab was quicker.
            draft = replace(drafts.load(keys, posted.draft_id), revision=posted.revision)
    words = _("Not sent yet: please look at the marked fields.")
    response = _composer(counts, posted.fields, draft, errors=errors, notice=Notice("alert", words))
    response.status_code = 422
    return response


def _conflict(posted: Posted) -> BaseResponse:
    """Another tab saved a newer version: what was typed here becomes a draft of its own, and both are kept.

    Unless the other one was the same press of Send.
    """
    with own_mail() as keys:
        mine = posted.draft_id
        if "send" in request.form and mine is not None and submitting.was_sent(keys, mine, posted.fields):
            return _sent(mine)
        counts = folders.counts(keys.mailbox_id)
        try:
            draft = drafts.create(keys, author(), submitting.threaded(keys, posted.fields, mine))
        except Refused as refusal:
            return _unsaved(counts, posted, str(refusal))
        left_out = not _attached_too(keys, draft.message_id, posted)
        draft = drafts.load(keys, draft.message_id)
    words = _("This draft was changed in another window. What you typed here is kept as a draft of its own.")
    if left_out:
        words += " " + _("Its files are too large together and stayed behind.")
    response = _composer(counts, posted.fields, draft, notice=Notice("alert", words))
    response.status_code = 409
    return response


def _unsaved(counts: Sequence[folders.Count], posted: Posted, why: str) -> BaseResponse:
    """The composer with what was typed, which could be kept nowhere."""
    words = _("Not sent yet: please look at the marked fields.")
    errors = {"body": [why]}
    response = _composer(counts, posted.fields, None, errors=errors, notice=Notice("alert", words))
    response.status_code = 409
    return response


def _attached_too(keys: MailboxKeys, message_id: int, posted: Posted) -> bool:
    """Give the copy the files of the draft it parted from, and those that came with it. False when they may not leave."""
    before = drafts.files(keys, posted.draft_id) if posted.draft_id is not None else []
    try:
        drafts.attach(keys, message_id, [*before, *posted.uploads], limit())
    except Refused:
        return False
    return True


def _composer(
    counts: Sequence[folders.Count],
    fields: Fields,
    draft: drafts.Opened | None,
    *,
    errors: dict[str, list[str]] | None = None,
    notice: Notice | None = None,
) -> BaseResponse:
    title = (
        _("Reply")
        if fields.answers is not None
        else _("Forward")
        if fields.forwards is not None
        else _("New message")
    )
    attached = draft.attachments if draft else ()
    context: dict[str, Any] = {
        "form": Shown(fields.to, fields.cc, fields.bcc, fields.subject, fields.body, _whole(errors)),
        # A form that has no draft yet gets an id for it: pressed twice, it still makes one message.
        "draft_id": show_id(draft.message_id if draft else new_id()),
        "revision": draft.revision if draft else 0,
        "saved_at": draft.saved_at if draft else None,
        "attachments": [FileLine(item.number, item.name, item.size_bytes) for item in attached],
        "reply": show_id(fields.answers) if fields.answers is not None else None,
        "forward": show_id(fields.forwards) if fields.forwards is not None else None,
        "notice": notice,
    }
    return render("compose/compose.html", "compose/_form.html", **page(title, counts=counts, **context))


def _whole(errors: dict[str, list[str]] | None) -> dict[str, list[str]]:
    return {name: [] for name in ("to", "cc", "bcc", "subject", "body")} | (errors or {})


def _number(shown: str | None) -> int | None:
    return read_id(shown) if shown else None


def _clock(moment: datetime) -> str:
    return str(format_datetime(moment, "HH:mm"))
