"""People: `/contacts`. Looking through the book, keeping, groups, files of cards; every act is a form."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, abort, g, redirect, request, session, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import NotFound, Refused
from webmail.mail import contacts, folders, reading, vcard
from webmail.mail.addresses import Address, AddressError, parse_recipients
from webmail.mail.contacts import ContactError, Details
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import Notice, Undo, own_mail, page

blueprint = Blueprint("contacts", __name__)

ROWS = 100
LISTS = ("kept", "learned", "groups")
_WORDS = {
    "saved": _l("Saved."),
    "deleted": _l("Deleted."),
    "restored": _l("It is back."),
    "kept": _l("Kept in your contacts."),
    "added": _l("Added to your contacts."),
    "there": _l("This person is in your contacts already."),
    "never": _l("Will not be suggested while you write."),
    "suggest": _l("Will be suggested while you write."),
}


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
    return render(
        "contacts/index.html", None, **page(_("Contacts"), counts=counts, notice=_left(), **context)
    )


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
        return _form(None, typed, _explained(error))
    _leave("added")
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
        return _form(entry, typed, _explained(error))
    _leave("saved")
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
                _leave("deleted", undo=contact)
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
    _leave(word)
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
    _leave("added" if is_new else "there")
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
    context["write_to"] = None if entry is None else contacts.Suggestion(entry.name, entry.addresses[0]).text
    response = render("contacts/edit.html", None, **page(title, counts=counts, notice=_left(), **context))
    response.status_code = 422 if errors else 200
    return response


def _explained(error: ContactError) -> dict[str, Any]:
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


# --- groups --------------------------------------------------------------------------------------------------------------


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
    people = [contacts.Suggestion(one.name, one.addresses[0]).text for one in found.members if one.addresses]
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
        return _group_form(found, name, typed, _explained(error))
    _leave("saved")
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
    response = render("contacts/group.html", None, **page(title, counts=counts, notice=_left(), **context))
    response.status_code = 422 if errors else 200
    return response


# --- files ---------------------------------------------------------------------------------------------------------------


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


# --- what just happened --------------------------------------------------------------------------------------------------


def _leave(word: str, undo: int | None = None) -> None:
    """Keep what happened for the next page, in the signed cookie: a word and an id."""
    told = {"to": g.viewer.account_id, "word": word}
    session["contacts_said"] = told | ({"undo": show_id(undo)} if undo is not None else {})


def _left() -> Notice | None:
    """What an earlier request left to be said, once."""
    said = session.pop("contacts_said", None)
    if not isinstance(said, dict) or said.get("to") != g.viewer.account_id or said.get("word") not in _WORDS:
        return None
    undo = None
    if said.get("undo"):
        undo = Undo(url_for("contacts.act", contact=read_id(said["undo"])), [("action", "restore")])
    return Notice("status", str(_WORDS[said["word"]]), undo)
