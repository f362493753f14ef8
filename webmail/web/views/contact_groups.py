"""Groups of people: `/contacts/groups`."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from webmail.mail import contacts, folders
from webmail.mail.addresses import Address, AddressError, as_typed, parse_recipients
from webmail.mail.contacts import ContactError
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, own_mail, page
from webmail.web.views.contacts import blueprint, explained

__all__ = ["blueprint"]


@blueprint.get("/contacts/groups/new", endpoint="new_group")
@requires("mail")
def new_group() -> BaseResponse:
    """An empty form for a group."""
    return _group_form(None, "", "", {})


@blueprint.post("/contacts/groups/new", endpoint="create_group")
@requires("mail")
def create_group() -> BaseResponse:
    """Make a group."""
    return _save_group(None)


@blueprint.get("/contacts/groups/<id:contact>", endpoint="edit_group")
@requires("mail")
def edit_group(contact: int) -> BaseResponse:
    """Who is in a group."""
    with own_mail() as keys:
        found = contacts.group(keys, contact)
    people = [as_typed(one.name, one.addresses[0]) for one in found.members if one.addresses]
    return _group_form(found, found.name, "\n".join(people), {})


@blueprint.post("/contacts/groups/<id:contact>", endpoint="save_group")
@requires("mail")
def save_group(contact: int) -> BaseResponse:
    """Give a group this name and these people."""
    return _save_group(contact)


def _save_group(contact: int | None) -> BaseResponse:
    name, typed = request.form.get("name", "")[:1000], request.form.get("members", "")[:200_000]
    try:
        with own_mail() as keys:
            if contact is None:
                contact = contacts.add_group(keys, name, _members(typed))
            else:
                contacts.change_group(keys, contact, name, _members(typed))
    except ContactError as error:
        with own_mail() as keys:
            found = contacts.group(keys, contact) if contact is not None else None
        return _group_form(found, name, typed, explained(error))
    leave(word="contact_saved")
    return redirect(url_for("contacts.edit_group", contact=contact), 303)


def _members(typed: str) -> Sequence[Address]:
    try:
        return parse_recipients(typed)
    except AddressError as error:
        if error.reason == "too-many":
            raise ContactError("members", "too-many") from None
        raise ContactError("members", "bad-address", error.piece or typed[:60]) from None


def _group_form(
    found: contacts.Group | None, name: str, members: str, errors: Mapping[str, Any]
) -> BaseResponse:
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
    title = _("New group") if found is None else found.name
    context: dict[str, Any] = {"group": found, "name": name, "members": members, "errors": errors}
    response = render("contacts/group.html", None, **page(title, counts=counts, notice=left(), **context))
    response.status_code = 422 if errors else 200
    return response
