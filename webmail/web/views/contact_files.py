"""Contacts from a file of cards, and into one."""

from typing import Any

from flask import Response, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id
from webmail.mail import contacts, folders, vcard
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import own_mail, page
from webmail.web.views.contacts import blueprint

__all__ = ["blueprint"]


@blueprint.get("/contacts/import", endpoint="take")
@requires("mail")
def take() -> BaseResponse:
    """Which file?"""
    return _import_page(None, "")


@blueprint.post("/contacts/import", endpoint="take_in")
@requires("mail")
def take_in() -> BaseResponse:
    """Take in a file of cards, and tell what became of it."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _import_page(None, _("Choose a file first."))
    content = file.stream.read(vcard.MAX_BYTES + 1)
    if len(content) > vcard.MAX_BYTES:
        return _import_page(None, _("The file is larger than 5 MB. Export fewer contacts at a time."))
    with own_mail() as keys:
        taken = contacts.take_in(keys, content)
    if "no-cards" in taken.problems:
        return _import_page(None, _("There are no cards in this file. Choose one that ends in .vcf."))
    return _import_page(taken, "")


def _import_page(taken: contacts.Taken | None, error: str) -> BaseResponse:
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
    context: dict[str, Any] = {"taken": taken, "error": error, "most": vcard.MAX_CARDS}
    response = render("contacts/import.html", None, **page(_("Import contacts"), counts=counts, **context))
    response.status_code = 422 if error else 200
    return response


@blueprint.get("/contacts/contacts.vcf", endpoint="export")
@requires("mail")
def export() -> BaseResponse:
    """All kept contacts and groups as one file; with `one`, that person."""
    only = read_id(request.args["one"]) if request.args.get("one") else None
    with own_mail() as keys:
        content = contacts.export(keys, only)
    response = Response(content, mimetype="text/vcard")
    response.headers["Content-Disposition"] = 'attachment; filename="contacts.vcf"'
    response.headers["Content-Security-Policy"] = "sandbox;default-src 'none'"
    return response
