"""Writing: `/compose`. One form for a new message, an answer and a draft; saving, attaching and sending are its buttons."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from flask import Blueprint, current_app, g, jsonify, redirect, request, url_for
from flask_babel import format_datetime
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as BaseResponse
from wtforms import HiddenField, IntegerField, StringField, TextAreaField, validators

from webmail.db import read_id, show_id
from webmail.errors import Conflict, Refused
from webmail.keys import MailboxKeys
from webmail.mail import folders, messages, reading
from webmail.mail.addresses import AddressError, parse_recipients
from webmail.mail.folders import Kind
from webmail.sending import answering, drafts, submitting
from webmail.sending.drafts import Fields, Upload
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import Notice, leave, left, own_mail, page

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
    revision = IntegerField(validators=[validators.Optional()])
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
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        draft = None
        if args.get("draft"):
            draft = drafts.load(keys, read_id(args["draft"]))
            fields = draft.fields
        elif args.get("reply") or args.get("forward"):
            fields = _answer(
                keys, args.get("reply", ""), args.get("forward", ""), everybody=bool(args.get("all"))
            )
            if fields.forwards is not None:
                draft = _forwarded(keys, fields)
        else:
            fields = (
                _from_link(args.get("mailto", ""))
                if args.get("mailto")
                else Fields(to=args.get("to", "")[:2000])
            )
    return _composer(counts, fields, draft, notice=left())


def _answer(keys: MailboxKeys, reply: str, forward: str, *, everybody: bool) -> Fields:
    original = messages.line(keys, read_id(reply or forward))
    view = reading.load(keys, original.message_id)
    when = format_datetime(original.received_at, "EEE, d MMM yyyy HH:mm")
    name = view.sender[0] or view.sender[1]
    if forward:
        head = [
            (_("From"), answering.written([view.sender])),
            (_("Date"), when),
            (_("Subject"), view.subject),
            (_("To"), answering.written(view.to)),
        ]
        title = _("Forwarded message")
        return Fields(
            subject=answering.subject("Fwd", view.subject),
            body=answering.forwarded(title, head, view.text),
            forwards=original.message_id,
        )
    to, cc = answering.recipients(
        view, own=g.viewer.address or "", sent_by_me=original.direction == "out", everybody=everybody
    )
    said = _("On %(when)s, %(name)s wrote:", when=when, name=name)
    return Fields(
        to=answering.written(to),
        cc=answering.written(cc),
        subject=answering.subject("Re", view.subject),
        body=answering.quoted(said, view.text),
        answers=original.message_id,
    )


def _forwarded(keys: MailboxKeys, fields: Fields) -> drafts.Opened | None:
    """A message with files is forwarded as a draft that carries them."""
    files = reading.every_part(keys, fields.forwards or 0)
    if not files:
        return None
    draft = drafts.create(keys, _author(), fields)
    uploads = [Upload(item.name, item.content_type, content) for item, content in files]
    drafts.attach(keys, draft.message_id, uploads, _limit())
    return drafts.load(keys, draft.message_id)


def _from_link(link: str) -> Fields:
    """The fields of a mailto: link (RFC 6068): to, cc, subject and body; everything else is ignored."""
    parts = urlsplit(link)
    if parts.scheme.lower() != "mailto":
        return Fields()
    told = {name.lower(): values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
    cc, subject = (" ".join(told.get(name, "").split()) for name in ("cc", "subject"))
    to = ", ".join(filter(None, (unquote(parts.path), told.get("to", ""))))
    return Fields(to=" ".join(to.split())[:2000], cc=cc, subject=subject, body=told.get("body", "")[:10_000])


@blueprint.post("/compose", endpoint="submit")
@requires("mail")
def submit() -> BaseResponse:
    """Save first, whatever was pressed; then attach, remove, discard, or send."""
    form = ComposeForm()
    typed = (field.data or "" for field in (form.to, form.cc, form.bcc, form.subject, form.body))
    to, cc, bcc, subject, body = typed
    fields = Fields(to, cc, bcc, subject, body)
    try:
        fields = replace(fields, answers=_number(form.reply.data), forwards=_number(form.forward.data))
        draft_id = _number(form.draft_id.data)
        if not form.validate():
            return _again(
                fields, draft_id, {name: [str(item) for item in texts] for name, texts in form.errors.items()}
            )
        if "discard" in request.form:
            return _discard(draft_id)
        draft = _save(fields, draft_id, form.revision.data)
    except Conflict:
        return _conflict(fields)
    except Refused as refusal:
        return _again(fields, draft_id, {"body": [str(refusal)]})
    if "send" in request.form:
        return _send(fields, draft)
    if "attach" in request.form or "remove" in request.form:
        return redirect(url_for("compose.new", draft=draft.message_id), 303)
    if request.accept_mimetypes.best == "application/json":
        return jsonify(
            draft_id=show_id(draft.message_id), revision=draft.revision, saved_at=_clock(draft.saved_at)
        )
    leave(word="saved")
    return redirect(url_for("compose.new", draft=draft.message_id), 303)


def _save(fields: Fields, draft_id: int | None, revision: int | None) -> drafts.Opened:
    uploads = [_upload(item) for item in request.files.getlist("attachment") if item.filename]
    with own_mail() as keys:
        if draft_id is None:
            draft = drafts.create(keys, _author(), fields)
        else:
            draft = drafts.save(keys, _author(), draft_id, revision or 0, fields)
        if "remove" in request.form:
            drafts.detach(
                keys,
                draft.message_id,
                [int(item) for item in request.form.getlist("remove") if item.isdigit()],
            )
        drafts.attach(keys, draft.message_id, uploads, _limit())
        return drafts.load(keys, draft.message_id)


def _upload(item: FileStorage) -> Upload:
    return Upload(item.filename or "file", item.mimetype or "application/octet-stream", item.read())


def _send(fields: Fields, draft: drafts.Opened) -> BaseResponse:
    errors: dict[str, list[str]] = {}
    for name in ("to", "cc", "bcc"):
        try:
            parse_recipients(getattr(fields, name))
        except AddressError as error:
            errors[name] = [
                _("This is not an address: %(piece)s", piece=error.piece or getattr(fields, name)[:60])
            ]
    if not errors and not any((fields.to + fields.cc + fields.bcc).split()):
        errors["to"] = [_("Who is it for? Write at least one address.")]
    if errors:
        return _again(fields, draft.message_id, errors)
    try:
        with own_mail() as keys:
            submitting.submit(
                keys,
                draft.message_id,
                draft.revision,
                account_id=g.viewer.account_id,
                author=_author(),
                limit=_limit(),
            )
    except Refused as refusal:
        return _again(fields, draft.message_id, {"body": [str(refusal)]})
    leave(word="sending")
    return redirect(url_for("mail.message", folder=Kind.SENT.slug, message=draft.message_id), 303)


def _discard(draft_id: int | None) -> BaseResponse:
    if draft_id is not None:
        with own_mail() as keys:
            drafts.discard(keys, draft_id)
    leave(word="discarded")
    return redirect(url_for("mail.home"), 303)


def _again(fields: Fields, draft_id: int | None, errors: dict[str, list[str]]) -> BaseResponse:
    """The composer with what was typed and what is wrong with it; nothing typed is lost."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        draft = drafts.load(keys, draft_id) if draft_id is not None else None
    words = _("Not sent yet: please look at the marked fields.")
    response = _composer(counts, fields, draft, errors=errors, notice=Notice("alert", words))
    response.status_code = 422
    return response


def _conflict(fields: Fields) -> BaseResponse:
    """Another tab saved a newer version: what was typed here becomes a draft of its own, and both are kept."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        draft = drafts.create(keys, _author(), fields)
    words = _("This draft was changed in another window. What you typed here is kept as a draft of its own.")
    response = _composer(counts, fields, draft, notice=Notice("alert", words))
    response.status_code = 409
    return response


def _composer(
    counts: Sequence[folders.Count],
    fields: Fields,
    draft: drafts.Opened | None,
    *,
    errors: dict[str, list[str]] | None = None,
    notice: Notice | None = None,
) -> BaseResponse:
    title = _("Reply") if fields.answers else _("Forward") if fields.forwards else _("New message")
    attached = draft.attachments if draft else ()
    context: dict[str, Any] = {
        "form": Shown(fields.to, fields.cc, fields.bcc, fields.subject, fields.body, _whole(errors)),
        "draft_id": show_id(draft.message_id) if draft else None,
        "revision": draft.revision if draft else None,
        "saved_at": draft.saved_at if draft else None,
        "attachments": [FileLine(item.number, item.name, item.size_bytes) for item in attached],
        "reply": show_id(fields.answers) if fields.answers is not None else None,
        "forward": show_id(fields.forwards) if fields.forwards is not None else None,
        "notice": notice,
    }
    return render("compose/compose.html", "compose/_form.html", **page(title, counts=counts, **context))


def _whole(errors: dict[str, list[str]] | None) -> dict[str, list[str]]:
    return {name: [] for name in ("to", "cc", "bcc", "subject", "body")} | (errors or {})


def _author() -> tuple[str, str]:
    return (g.viewer.name, g.viewer.address or "")


def _limit() -> int:
    """How many bytes of attachments leave: base64 adds a third, and the relay's limit is on the whole."""
    return int(current_app.extensions["settings"].message_bytes * 0.7)


def _number(shown: str | None) -> int | None:
    return read_id(shown) if shown else None


def _clock(moment: datetime) -> str:
    return str(format_datetime(moment, "HH:mm"))
