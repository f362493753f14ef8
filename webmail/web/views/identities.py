"""Names and addresses that one sends as, and their signatures: `/settings/identities`."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, g, redirect, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from webmail.errors import NotFound
from webmail.mail import folders, identities
from webmail.mail.identities import NEW, Identity, IdentityError
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, own_mail, page

blueprint = Blueprint("identities", __name__)

Typed = Mapping[str, str]


@blueprint.get("/settings/identities", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """Everybody one can send as, each in a form of its own, and an empty form for one more."""
    return _show(None, {}, {})


@blueprint.post("/settings/identities", endpoint="change")
@requires("mail")
def change() -> BaseResponse:
    """Save, remove, or prefer the identity that the form is about."""
    ident = _number(request.form.get("identity", ""))
    typed = {
        name: request.form.get(name, "")[:10_000] for name in ("name", "address", "reply_to", "signature")
    }
    try:
        with own_mail() as keys:
            if "remove" in request.form:
                identities.remove(keys, ident)
            else:
                wanted = Identity(ident, **typed, is_default=bool(request.form.get("default")))
                identities.keep(keys, wanted)
    except IdentityError as error:
        return _show(ident, typed, {error.field: _explained(error)})
    leave(word="settings")
    return redirect(url_for("identities.index"), 303)


def _number(shown: str) -> int:
    """The identity that a form names: ids are 48 bits, "new" is one that is not there yet. Raises NotFound for anything else."""
    if shown == "new":
        return NEW
    if not (shown.isascii() and shown.isdigit() and len(shown) < 17):
        raise NotFound("identity")
    return int(shown)


def _show(ident: int | None, typed: Typed, errors: Mapping[str, str]) -> BaseResponse:
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        lines = identities.of(keys, g.viewer.name)
    forms: list[dict[str, Any]] = [{"one": one, "id": str(one.id)} for one in lines]
    local, _at, domain = lines[0].address.rpartition("@")
    fresh = Identity(NEW, g.viewer.name, f"{local}+@{domain}")
    forms.append({"one": fresh, "id": "new"})
    for form in forms:
        is_wrong = form["one"].id == ident
        form["errors"] = errors if is_wrong else {}
        form["typed"] = typed if is_wrong else _as_typed(form["one"])
    context: dict[str, Any] = {"forms": forms, "has_errors": bool(errors), "own": identities.OWN}
    response = render(
        "settings/identities.html",
        None,
        **page(_("Names and signatures"), counts=counts, notice=left(), **context),
    )
    response.status_code = 422 if errors else 200
    return response


def _as_typed(one: Identity) -> Typed:
    return {"name": one.name, "address": one.address, "reply_to": one.reply_to, "signature": one.signature}


def _explained(error: IdentityError) -> str:
    words = {
        "bad-address": _("This is not an address. Write one, without a name."),
        "not-yours": _(
            "Mail to this address does not come to you, so you cannot send as it. Put a tag behind your own, such as +shop."
        ),
        "control": _("There is a character in it that cannot be seen. Write the name anew."),
        "too-long": _("This is too long."),
        "too-many": _("There are too many already: remove one first."),
    }
    return words[error.reason]
