"""Writing: `/compose`. One form for a new message, an answer and a draft; saving, attaching and sending are its buttons."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from flask import g, jsonify, redirect, request, url_for
from flask_babel import format_datetime
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import Conflict, Refused
from webmail.keys import MailboxKeys
from webmail.mail import contacts, markup
from webmail.mail.folders import Kind
from webmail.sending import answers_kept, drafts, later, submitting
from webmail.sending.composing import CompositionError, inserted, trimmed
from webmail.sending.drafts import Fields
from webmail.web import composer, recipients, reminders
from webmail.web.access import requires
from webmail.web.beginnings import (
    from_link,
    pass_on,
    reply_to,
    sender,
    signature,
    signed,
    take,
    with_file,
    with_its_files,
)
from webmail.web.composer import Around, around, blueprint, path_of, show, whole
from webmail.web.leaving import typed_time, undo_seconds
from webmail.web.posted import ComposeForm, Posted, number, read
from webmail.web.previewing import previewed
from webmail.web.unsendable import address_errors, unsendable
from webmail.web.viewing import Notice, is_looked_at, leave, left, own_mail
from webmail.web.views import attaching, kept_answers, suggestions, uploads
from webmail.web.words import gettext as _

__all__ = ["blueprint"]

# Imported: their routes are on it.
assert {attaching.blueprint, kept_answers.blueprint, suggestions.blueprint, uploads.blueprint} == {blueprint}


_STEPS = frozenset(("attach", "remove", "take", "less", "insert", "show"))
"""Buttons whose effect is seen in the form: nothing more needs to be said."""


@blueprint.get("/compose", endpoint="new")
@requires("mail")
def new() -> BaseResponse:
    """An empty composer, an answer, a message to pass on, or a draft to go on with."""
    args = request.args
    draft, notice = None, None
    with own_mail() as keys:
        if args.get("draft"):
            draft = drafts.load(keys, read_id(args["draft"]))
            fields = draft.fields
        elif args.get("reply"):
            fields = reply_to(keys, read_id(args["reply"]), everybody=bool(args.get("all")))
        elif args.get("forward"):
            fields = signed(pass_on(keys, read_id(args["forward"])), sender(keys))
            try:
                draft = with_its_files(keys, fields) if is_looked_at() else None
            except Refused:
                notice = Notice("alert", _("Its files are too large to pass on; only its text is here."))
        elif args.get("mailto"):
            fields = signed(from_link(args["mailto"]), sender(keys))
        else:
            fields = signed(Fields(to=args.get("to", "")[:2000]), sender(keys))
        found = around(keys, fields, draft)
    return show(found, fields, draft, notice=notice or left())


@blueprint.post("/compose", endpoint="submit")
@requires("mail")
def submit() -> BaseResponse:
    """Save first, whatever was pressed; then attach, remove, preview, discard, or send."""
    if "attach" in request.args:
        return _begin_with(request.args["attach"])
    form = ComposeForm()
    posted = read(form)
    if not form.validate():
        return _again(
            posted, {name: [str(item) for item in texts] for name, texts in form.errors.items()}, None
        )
    if "discard" in request.form:
        return _discard(posted)
    try:
        if _is_sending():
            return _send(posted)
        with own_mail() as keys:
            posted = _reworded(keys, posted)
            draft = _write(keys, posted)
            is_held = "hold" in request.form and later.cancel(keys, draft.message_id)
            found = around(keys, draft.fields, draft) if "preview" in request.form else None
    except Conflict:
        return _conflict(posted)
    except Refused as refusal:
        return _kept(posted, {"body": [str(refusal)]})
    if found is not None:
        where = composer.where_files_are(draft.message_id)
        return show(found, posted.fields, draft, preview=previewed(posted.fields, draft.attachments, where))
    if request.accept_mimetypes.best == "application/json":
        return jsonify(
            draft_id=show_id(draft.message_id), revision=draft.revision, saved_at=_clock(draft.saved_at)
        )
    if "browse" in request.form:
        return redirect(url_for("compose.browse", draft=show_id(draft.message_id)), 303)
    if not _STEPS & request.form.keys() and not recipients.pressed(request.form):
        leave(word="draft_again" if is_held else "saved")
    return redirect(path_of(draft.message_id), 303)


def _begin_with(ref: str) -> BaseResponse:
    """A new draft with a file of an opened message."""
    with own_mail() as keys:
        draft = with_file(keys, ref)
    return redirect(path_of(draft.message_id), 303)


def _reworded(keys: MailboxKeys, posted: Posted) -> Posted:
    """What was typed as a button changes it: with a kept answer, a picture, less of what is quoted, or somebody's address."""
    if (one := recipients.pressed(request.form)) is not None:
        return replace(posted, fields=recipients.chosen(posted.fields, one))
    body, formatted = posted.fields.body, posted.fields.formatted
    if "show" in request.form:
        body, formatted = _with_picture(keys, posted, request.form["show"]), True
    elif "insert" in request.form and request.form.get("template"):
        body = inserted(body, answers_kept.load(keys, read_id(request.form["template"])).words)
    elif "less" in request.form:
        body = trimmed(body.replace("\r\n", "\n"))
    before = number(request.form.get("was"))
    if request.accept_mimetypes.best != "application/json" and before != posted.fields.identity:
        body = _signed_anew(keys, body.replace("\r\n", "\n"), before, posted.fields.identity)
    return replace(posted, fields=replace(posted.fields, body=body, formatted=formatted))


def _with_picture(keys: MailboxKeys, posted: Posted, typed: str) -> str:
    """The text with a picture among the files after what was written so far."""
    files = drafts.load(keys, posted.draft_id).attachments if posted.draft_id is not None else ()
    for item in files:
        if str(item.number) == typed:
            return inserted(posted.fields.body, markup.picture(item.name, item.name.rpartition(".")[0]))
    return posted.fields.body


def _signed_anew(keys: MailboxKeys, body: str, before: int | None, now: int | None) -> str:
    """The text under the signature of another name, if it still ends in that of the one before."""
    old = signature(sender(keys, before)).strip("\n")
    kept = body.rstrip().removesuffix(old.rstrip()) if old else body.rstrip()
    if old and kept == body.rstrip():
        return body
    return kept.rstrip() + (signature(sender(keys, now)) or "\n")


def _write(keys: MailboxKeys, posted: Posted, *, with_files: bool = True) -> drafts.Opened:
    """The draft as it was posted, inside the caller's transaction."""
    fields = submitting.threaded(keys, posted.fields, posted.draft_id)
    writer = sender(keys, fields.identity)
    fields = replace(fields, reply_to=writer.reply_to)
    if posted.draft_id is None or posted.revision < 1:
        draft = drafts.create(keys, writer.author, fields, posted.draft_id)
    else:
        draft = drafts.save(keys, writer.author, posted.draft_id, posted.revision, fields)
    if not with_files:
        return draft
    removed = [int(item) for item in request.form.getlist("remove") if item.isascii() and item.isdigit()]
    drafts.detach(keys, draft.message_id, [number for number in removed if number <= 100])
    drafts.attach(keys, draft.message_id, posted.uploads, submitting.most_bytes())
    take(keys, draft.message_id, request.form.getlist("take")[:50])
    return drafts.load(keys, draft.message_id)


def _send(posted: Posted) -> BaseResponse:
    """Save and send in one transaction: a second press of the button waits for the first, and finds it sent."""
    at, problem = _chosen_time()
    errors = address_errors(posted.fields)
    if errors:
        with own_mail() as keys:
            posted = replace(posted, fields=_ungrouped(keys, posted.fields))
        errors = address_errors(posted.fields)
    if problem:
        errors["send_at"] = [problem]
    if errors:
        return _kept(posted, errors)
    try:
        with own_mail() as keys:
            submitting.begin(keys)
            draft = _write(keys, posted)
            said = request.form.get("reminded", "").split()
            told = reminders.before_sending(keys, draft) if composer.wants_reminders() else []
            if {one.code for one in told} <= set(said):
                waits = later.send(
                    keys,
                    draft.message_id,
                    draft.revision,
                    account_id=g.viewer.account_id,
                    author=sender(keys, draft.fields.identity).author,
                    limit=submitting.most_bytes(),
                    undo=undo_seconds(),
                    at=at,
                )
                return_to = None
            else:
                return_to = around(keys, draft.fields, draft)
    except Conflict:
        return _conflict(posted)
    except CompositionError as error:
        field = error.field if error.field in whole(None) else "body"
        return _kept(posted, {field: [unsendable(error)]})
    except later.TimeError as error:
        return _kept(posted, {"send_at": [_untimely(error.reason)]})
    if return_to is not None:
        return _reminded(return_to, posted, draft, told)
    return _sent(draft.message_id, waits=waits is not None)


def _is_sending() -> bool:
    return bool({"send", "later"} & request.form.keys())


def _chosen_time() -> tuple[datetime | None, str]:
    """When it is to leave, for the button that says so; or what is wrong with what was typed."""
    if "later" not in request.form:
        return None, ""
    try:
        at = typed_time(request.form.get("send_at_date", ""), request.form.get("send_at_time", ""))
    except (ValueError, OverflowError):
        at = None
    return at, "" if at else str(_("Choose a day and a time, such as 2026-12-24 and 09:30."))


def _untimely(reason: str) -> str:
    words = {
        "past": _("This time has passed. Choose a later one."),
        "far": _("This is more than a year away. Choose an earlier time."),
    }
    return str(words[reason])


def _reminded(
    found: Around, posted: Posted, draft: drafts.Opened, told: Sequence[reminders.Reminder]
) -> BaseResponse:
    """The composer with what is to be looked at; it is saved, and Send sends it all the same."""
    response = show(found, posted.fields, draft, reminders=told)
    response.status_code = 422
    return response


def _ungrouped(keys: MailboxKeys, fields: Fields) -> Fields:
    """The fields with the people of a group in place of its name."""
    to, cc, bcc = (contacts.expand(keys, typed) for typed in (fields.to, fields.cc, fields.bcc))
    return replace(fields, to=to, cc=cc, bcc=bcc)


def _sent(message_id: int, *, waits: bool) -> BaseResponse:
    """To the message in Sent; or, while it waits, to where it can be taken back."""
    if waits:
        return redirect(url_for("outbox.index", sent=show_id(message_id)), 303)
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
        if draft is None and posted.draft_id is not None and posted.revision > 0:
            # The revision that was typed over, not the newest: a save must still find out that another tab was quicker.
            draft = replace(drafts.load(keys, posted.draft_id), revision=posted.revision)
        found = around(keys, posted.fields, draft)
    words = _("Not sent yet: please look at the marked fields.")
    response = show(found, posted.fields, draft, errors=errors, notice=Notice("alert", words))
    response.status_code = 422
    return response


def _conflict(posted: Posted) -> BaseResponse:
    """Another tab saved a newer version: what was typed here becomes a draft of its own, and both are kept.

    Unless the other one was the same press of Send.
    """
    with own_mail() as keys:
        mine = posted.draft_id
        if _is_sending() and mine is not None and submitting.was_sent(keys, mine, posted.fields):
            return _sent(mine, waits=later.waiting(keys, mine) is not None)
        try:
            writer = sender(keys, posted.fields.identity)
            fields = replace(submitting.threaded(keys, posted.fields, mine), reply_to=writer.reply_to)
            draft = drafts.create(keys, writer.author, fields)
        except Refused as refusal:
            return _unsaved(around(keys, posted.fields, None), posted, str(refusal))
        other = path_of(mine) if mine is not None and drafts.lock(keys.mailbox_id, mine) else ""
        left_out = not _attached_too(keys, draft.message_id, posted)
        draft = drafts.load(keys, draft.message_id)
        found = around(keys, posted.fields, draft)
    words = _("This draft was changed in another window. What you typed here is kept as a draft of its own.")
    if left_out:
        words += " " + _("Its files are too large together and stayed behind.")
    response = show(found, posted.fields, draft, notice=Notice("alert", words), other=other)
    response.status_code = 409
    return response


def _unsaved(found: Around, posted: Posted, why: str) -> BaseResponse:
    """The composer with what was typed, which could be kept nowhere."""
    words = _("Not sent yet: please look at the marked fields.")
    errors = {"body": [why]}
    response = show(found, posted.fields, None, errors=errors, notice=Notice("alert", words))
    response.status_code = 409
    return response


def _attached_too(keys: MailboxKeys, message_id: int, posted: Posted) -> bool:
    """Give the copy the files of the draft it parted from, and those that came with it. False when they may not leave."""
    before = drafts.files(keys, posted.draft_id) if posted.draft_id is not None else []
    try:
        drafts.attach(keys, message_id, [*before, *posted.uploads], submitting.most_bytes())
    except Refused:
        return False
    return True


def _clock(moment: datetime) -> str:
    return str(format_datetime(moment, "HH:mm"))
