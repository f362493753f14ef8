"""What a message carries and what it is made of: attachments, previews, messages within it, its source."""

from datetime import datetime
from typing import Any

from flask import request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import show_id
from webmail.errors import NotFound
from webmail.mail import bundle, folders, messages, pictures, previews, reading, view
from webmail.web import downloads, opened
from webmail.web.access import requires
from webmail.web.body_notes import problems
from webmail.web.boxes import here
from webmail.web.htmx import render
from webmail.web.opened import Who
from webmail.web.viewing import own_message, page
from webmail.web.views.mail import blueprint
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

__all__ = ["blueprint"]


def _within(text: str) -> list[int]:
    """Part numbers from the outside in: `4` or `4.2`. Raises NotFound for anything else."""
    numbers = text.split(".")
    if not all(number.isascii() and number.isdigit() and len(number) < 5 for number in numbers):
        raise NotFound("part")
    return [int(number) for number in numbers]


@blueprint.get("/mail/<folder>/<id:message>/<int:number>/<path:name>", endpoint="attachment")
@requires("mail")
def attachment(folder: str, message: int, number: int, name: str) -> BaseResponse:
    """One attachment, as a download; an image or a text may be looked at with `?view=1`."""
    with own_message(folder, message) as (keys, _line):
        part, content = reading.part(keys, message, number)
    return downloads.part(part, content, inline=request.args.get("view") == "1")


@blueprint.get(
    "/mail/<folder>/<id:message>/in/<within>/<int:number>/<path:name>", endpoint="inner_attachment"
)
@requires("mail")
def inner_attachment(folder: str, message: int, within: str, number: int, name: str) -> BaseResponse:
    """An attachment of a message that is attached itself, as a download."""
    with own_message(folder, message) as (keys, _line):
        part, content = reading.part(keys, message, number, _within(within))
    return downloads.part(part, content, inline=request.args.get("view") == "1")


@blueprint.get("/mail/<folder>/<id:message>/all.zip", endpoint="bundle")
@requires("mail")
def all_files(folder: str, message: int) -> BaseResponse:
    """All attachments of a message in one file."""
    with own_message(folder, message) as (keys, _line):
        parts = reading.every_part(keys, message)
    if not parts:
        raise NotFound("part")
    return downloads.zipped(bundle.stream((file.name, content) for file, content in parts), "attachments.zip")


@blueprint.get("/mail/<folder>/<id:message>/<int:number>/preview", endpoint="preview")
@requires("mail")
def preview(folder: str, message: int, number: int) -> BaseResponse:
    """The beginning of a text or of a PDF file, as text."""
    with own_message(folder, message) as (keys, line):
        part, content = reading.part(keys, message, number)
        counts = folders.counts(keys.mailbox_id)
    text, note = _preview(part, content)
    href = here(f"/mail/{folder}/{show_id(message)}")
    context: dict[str, Any] = {
        "file": opened.files(href, [part])[0],
        "text": text,
        "note": note,
        "back": href,
    }
    return render("mail/preview.html", None, **page(part.name, current=line.folder, counts=counts, **context))


def _preview(part: reading.File, content: bytes) -> tuple[str, str]:
    """Text to show of a file, and what there is to say about it. Raises NotFound where there is no preview."""
    kind = previews.kind(part.content_type, part.name)
    if kind == "pdf":
        made = previews.pdf_text(content)
        if isinstance(made, previews.Refused):
            return "", _("It is locked with a password.") if made.code == "encrypted" else _(
                "It cannot be shown as text."
            )
        if not made.text.strip():
            return "", _("Its first page has no text; it may be a picture.")
        return made.text, ngettext(
            "The text of its one page.", "The text of the first of %(num)s pages.", made.pages
        )
    if kind in ("text", "calendar"):
        text = previews.text(content, part.charset)
        return text.text, _("This is its beginning.") if text.cut else ""
    raise NotFound("preview")


@blueprint.get("/mail/<folder>/<id:message>/<int:number>/thumbnail", endpoint="thumbnail")
@requires("mail")
def thumbnail(folder: str, message: int, number: int) -> BaseResponse:
    """A small picture of a picture. No browser keeps it: it is mail, and who is signed in changes with each minute's token."""
    with own_message(folder, message) as (keys, _line):
        part, content = reading.part(keys, message, number)
    if previews.kind(part.content_type, part.name) != "picture":
        raise NotFound("thumbnail")
    made = pictures.thumbnail(content)
    if isinstance(made, pictures.Refused):
        raise NotFound("thumbnail")
    return downloads.small(made.content, made.content_type)


@blueprint.get("/mail/<folder>/<id:message>/in/<within>", endpoint="inner")
@requires("mail")
def inner(folder: str, message: int, within: str) -> BaseResponse:
    """A message that is attached to a message, as a page of its own."""
    with own_message(folder, message) as (keys, line):
        built = view.build(reading.inside(keys, message, _within(within)), message, full_links=True)
        counts = folders.counts(keys.mailbox_id)
    told, href = built.view, here(f"/mail/{folder}/{show_id(message)}")
    context: dict[str, Any] = {
        "inner": told,
        "sender": Who(*told.sender),
        "to": [Who(*item) for item in told.to],
        "cc": [Who(*item) for item in told.cc],
        "sent": datetime.fromisoformat(told.date) if told.date else None,
        "body": opened.pieces(told),
        "attachments": opened.files(f"{href}/in/{within}", told.files, within=within),
        "problems": problems(told),
        "back": href,
    }
    title = told.subject or _("(no subject)")
    return render("mail/inner.html", None, **page(title, current=line.folder, counts=counts, **context))


@blueprint.get("/mail/<folder>/<id:message>/headers", endpoint="headers")
@requires("mail")
def headers(folder: str, message: int) -> BaseResponse:
    """All header fields of a message, decoded."""
    with own_message(folder, message) as (keys, line):
        told = reading.load(keys, message).headers
        counts = folders.counts(keys.mailbox_id)
    context: dict[str, Any] = {"headers": told, "back": here(f"/mail/{folder}/{show_id(message)}")}
    return render(
        "mail/headers.html", None, **page(_("All headers"), current=line.folder, counts=counts, **context)
    )


@blueprint.get("/mail/<folder>/<id:message>/source", endpoint="source")
@requires("mail")
def source(folder: str, message: int) -> BaseResponse:
    """The message as it came over the wire, as text to read."""
    with own_message(folder, message) as (keys, line):
        raw = messages.source(keys, message)
        counts = folders.counts(keys.mailbox_id)
    here: dict[str, Any] = {"folder": folder, "message": message}
    text = raw[: 512 << 10].decode("utf-8", "replace").replace("\0", "\ufffd")
    context: dict[str, Any] = {
        "source": text,
        "back": url_for("mail.message", **here),
        "download_href": url_for("mail.download", **here),
    }
    return render(
        "mail/source.html", None, **page(_("Message source"), current=line.folder, counts=counts, **context)
    )


@blueprint.get("/mail/<folder>/<id:message>/message.eml", endpoint="download")
@requires("mail")
def download(folder: str, message: int) -> BaseResponse:
    """The message as it came over the wire, as a file."""
    with own_message(folder, message) as (keys, _line):
        raw = messages.source(keys, message)
    return downloads.attachment("message.eml", "message/rfc822", raw)
