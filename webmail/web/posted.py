"""What the composer's form sends, read."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import FileStorage
from wtforms import BooleanField, HiddenField, IntegerField, StringField, TextAreaField, validators

from webmail.db import read_id
from webmail.sending.drafts import Fields, Upload


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
    formatted = BooleanField()
    identity = HiddenField()
    was = HiddenField()


@dataclass(frozen=True, slots=True)
class Posted:
    """What one press of a button brought. Revision 0: the id was given out with an empty form, and nothing is saved under it."""

    fields: Fields
    draft_id: int | None
    revision: int
    uploads: Sequence[Upload]


def read(form: ComposeForm) -> Posted:
    """What was pressed and typed. Raises NotFound for an id that is none."""
    to, cc, bcc, subject, body = (
        field.data or "" for field in (form.to, form.cc, form.bcc, form.subject, form.body)
    )
    fields = Fields(
        to,
        cc,
        bcc,
        subject,
        body,
        number(form.reply.data),
        number(form.forward.data),
        formatted=form.formatted.data,
        identity=number(form.identity.data),
    )
    return Posted(fields, number(form.draft_id.data), form.revision.data or 0, _uploads())


def _uploads() -> list[Upload]:
    items: list[FileStorage] = [item for item in request.files.getlist("attachment") if item.filename]
    return [
        Upload(item.filename or "file", item.mimetype or "application/octet-stream", item.read())
        for item in items
    ]


def number(shown: str | None) -> int | None:
    """The id in a hidden field; None for an empty one. Raises NotFound."""
    return read_id(shown) if shown else None
