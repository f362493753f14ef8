"""People: `/contacts`. Looking through the book, keeping, changing; every act is a form."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import NotFound, Refused
from webmail.mail import contacts, folders, reading
from webmail.mail.addresses import as_typed
from webmail.mail.contacts import ContactError, Details
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import Undo, leave, left, own_mail, page

blueprint = Blueprint("contacts", __name__)

ROWS = 100
LISTS = ("kept", "learned", "groups")


# --- looking -------------------------------------------------------------------------------------------------------------


@blueprint.get("/contacts", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """The book in alphabetical order, who was learned from sent mail, the groups, or what a search finds."""
    shown = request.args.get("list", "kept")
    if shown not in LISTS:
        raise NotFound("list")
    typed = request.args.get("q", "").strip()[:200]
    start = read_id(request.args["c"]) if request.args.get("c") else None
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        kept, learned = contacts.total(keys)
        groups = contacts.groups(keys)
        if typed:
            part = contacts.search(keys, typed)
        elif shown == "learned":
            part = contacts.learned(keys, start, ROWS)
        elif shown == "groups":
            part = contacts.Page(())
        else:
            part = contacts.page(keys, start, ROWS)
    context: dict[str, Any] = {
        "shown": "found" if typed else shown,
        "typed": typed,
        "entries": part.entries,
        "groups": groups,
        "kept": kept,
        "learned": learned,
        "older": url_for("contacts.index", list=shown, c=show_id(part.after)) if part.after else None,
        "newer": url_for("contacts.index", list=shown, c=show_id(part.before)) if part.before else None,
    }
    return render("contacts/index.html", None, **page(_("Contacts"), counts=counts, notice=left(), **context))


# --- one person ----------------------------------------------------------------------------------------------------------


@blueprint.get("/contacts/new", endpoint="new")
@requires("mail")
def new() -> BaseResponse:
    """An empty form."""
    return _form(None, _typed_from(Details(addresses=(request.args.get("address", "")[:300],))), {})


@blueprint.post("/contacts/new", endpoint="create")
@requires("mail")
def create() -> BaseResponse:
    """Keep a new contact."""
    typed = _typed()
    try:
        with own_mail() as keys:
            contact_id = contacts.add(keys, _details(typed))
    except ContactError as error:
        return _form(None, typed, explained(error))
    leave(word="contact_added")
    return redirect(url_for("contacts.edit", contact=contact_id), 303)


@blueprint.get("/contacts/<id:contact>", endpoint="edit")
@requires("mail")
def edit(contact: int) -> BaseResponse:
    """What is known of one person, to be read and changed; of a group, who is in it."""
    with own_mail() as keys:
        entry = contacts.load(keys, contact)
        told = contacts.details(keys, contact)
    if entry.kind == "group":
        return redirect(url_for("contacts.edit_group", contact=contact), 303)
    return _form(entry, _typed_from(told), {})


@blueprint.post("/contacts/<id:contact>", endpoint="save")
@requires("mail")
def save(contact: int) -> BaseResponse:
    """Write over what is known of one person."""
    typed = _typed()
    try:
        with own_mail() as keys:
            contacts.change(keys, contact, _details(typed))
    except ContactError as error:
        with own_mail() as keys:
            entry = contacts.load(keys, contact)
        return _form(entry, typed, explained(error))
    leave(word="contact_saved")
    return redirect(url_for("contacts.edit", contact=contact), 303)


@blueprint.post("/contacts/<id:contact>/act", endpoint="act")
@requires("mail")
def act(contact: int) -> BaseResponse:
    """Delete, take that back, keep who was learned, leave out of suggestions or let in again."""
    action = request.form.get("action", "")
    with own_mail() as keys:
        match action:
            case "delete":
                entry = contacts.load(keys, contact)
                contacts.remove(keys, contact)
                back = Undo(url_for("contacts.act", contact=contact), [("action", "restore")])
                leave(word="contact_deleted", undo=back)
                return redirect(_list_of(entry), 303)
            case "restore":
                contacts.restore(keys, contact)
                word = "restored"
            case "keep":
                contacts.keep(keys, contact)
                word = "kept"
            case "never" | "suggest":
                contacts.never_suggest(keys, contact, action == "never")
                word = action
            case _:
                abort(400)
    leave(word=f"contact_{word}")
    return redirect(url_for("contacts.edit", contact=contact), 303)


def _list_of(entry: contacts.Entry) -> str:
    return url_for("contacts.index", list="groups" if entry.kind == "group" else entry.state)


@blueprint.post("/contacts/from/<id:message>", endpoint="from_message")
@requires("mail")
def from_message(message: int) -> BaseResponse:
    """Keep whoever wrote a message."""
    with own_mail() as keys:
        name, address = reading.load(keys, message).sender
        try:
            contact_id, is_new = contacts.keep_person(keys, name, address)
        except ContactError as error:
            if error.reason == "full":
                raise Refused(_("Your contacts are full: delete some first.")) from None
            raise Refused(_("The sender has no address that mail can go to.")) from None
    leave(word="contact_added" if is_new else "contact_there")
    return redirect(url_for("contacts.edit", contact=contact_id), 303)


Typed = Mapping[str, str]
MAX_TYPED = 20_000  # characters of one field
_FIELDS = ("name", "addresses", "phones", "organisation", "notes")


def _typed() -> Typed:
    return {name: request.form.get(name, "")[:MAX_TYPED] for name in _FIELDS}


def _typed_from(told: Details) -> Typed:
    return {
        "name": told.name,
        "addresses": "\n".join(told.addresses),
        "phones": "\n".join(told.phones),
        "organisation": told.organisation,
        "notes": told.notes,
    }


def _details(typed: Typed) -> Details:
    addresses, phones = (
        tuple(line.strip() for line in typed[name].splitlines() if line.strip())
        for name in ("addresses", "phones")
    )
    return Details(typed["name"], addresses, phones, typed["organisation"], typed["notes"])


def _form(entry: contacts.Entry | None, typed: Typed, errors: Mapping[str, Any]) -> BaseResponse:
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
    title = _("New contact") if entry is None else entry.label
    context: dict[str, Any] = {"entry": entry, "typed": typed, "errors": errors}
    context["write_to"] = None if entry is None else as_typed(entry.name, entry.addresses[0])
    response = render("contacts/edit.html", None, **page(title, counts=counts, notice=left(), **context))
    response.status_code = 422 if errors else 200
    return response


def explained(error: ContactError) -> dict[str, Any]:
    """What is wrong with which field, in words; and who has that address already."""
    words = {
        "bad-address": lambda: _("This is not an address: %(piece)s", piece=error.piece),
        "empty": lambda: (
            _("Write at least one address.") if error.field != "name" else _("A group needs a name.")
        ),
        "too-long": lambda: _("This is too much."),
        "taken": lambda: (
            _("Another group has this name.")
            if error.field == "name"
            else _("Another contact has this address: %(piece)s", piece=error.piece)
        ),
        "full": lambda: _("There is no room for more: delete some first."),
        "special": lambda: _(
            'A group’s name stands among addresses: it cannot have any of , ; : @ < > ( ) [ ] " \\'
        ),
        "too-many": lambda: _("A message goes to 100 people at the most, and so a group has no more."),
    }
    return {error.field: words[error.reason](), "contact_id": error.contact_id}
