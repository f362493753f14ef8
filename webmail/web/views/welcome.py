"""Choosing a name: `/welcome` for the first mailbox, `/mailboxes/new` for more, and a look at a name while it is typed."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit
from webmail.db import transaction
from webmail.errors import MtumailError
from webmail.identity.invitations import InvitationRefused
from webmail.identity.names import NameRefused
from webmail.mail import mailboxes, registering
from webmail.mail.registering import Limits, RegistrationRefused, Wish
from webmail.settings import domains, kept
from webmail.web import name_words
from webmail.web.access import requires
from webmail.web.boxes import path_in
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, page
from webmail.web.words import gettext as _

blueprint = Blueprint("accounts", __name__)
log = logging.getLogger(__name__)

_REFUSALS = (NameRefused, InvitationRefused, RegistrationRefused)
_HOUR = 3600
_told_busy = [-float(_HOUR)]
"""When this process last wrote down that too many people sign up: once an hour is enough."""


@blueprint.get("/welcome", endpoint="welcome")
@requires("account")
def welcome() -> BaseResponse:
    """Signed in, but no mailbox yet: choose an address, where that is possible."""
    if (home := _home()) is not None:
        return redirect(home, 303)
    return _form(_typed_first(), {}, is_first=True)


@blueprint.post("/welcome", endpoint="create_mailbox")
@requires("account")
def create_mailbox() -> BaseResponse:
    """Make the first mailbox."""
    if (home := _home()) is not None:
        return redirect(home, 303)
    return _create(is_first=True)


@blueprint.get("/mailboxes/new", endpoint="new_mailbox")
@requires("account")
def new_mailbox() -> BaseResponse:
    """One more mailbox."""
    return _form(_typed_first(), {}, is_first=False)


@blueprint.post("/mailboxes/new", endpoint="create_another")
@requires("account")
def create_another() -> BaseResponse:
    """Make one more mailbox."""
    return _create(is_first=False)


@blueprint.get("/welcome/check", endpoint="check")
@requires("account")
def check() -> BaseResponse:
    """Whether a name can be had now, for the form while it is typed; nothing is held for anybody."""
    wish = _wish(request.args, is_first=False)
    context: dict[str, Any] = {"good": False, "words": "", "suggestions": []}
    if wish.local_part:
        with transaction():
            try:
                name = registering.look(_master(), wish.local_part, wish.domain)
                context |= {
                    "good": True,
                    "words": _("%(address)s can be yours.", address=f"{name}@{wish.domain}"),
                }
            except _REFUSALS as error:
                context["words"] = name_words.refused(error)[1]
                context["suggestions"] = _near(wish, error)
    return render(
        "accounts/check.html", "accounts/_checked.html", **page(_("Choose your address"), **context)
    )


def _home() -> str | None:
    """Where somebody's mail is who has a mailbox already."""
    owned = next((one for one in g.viewer.memberships if one.role == "owner"), None)
    return path_in(g.viewer, owned.mailbox_id) if owned else None


def _master() -> Any:
    return current_app.extensions["master_keys"]


def _typed_first() -> Mapping[str, str]:
    return {"local_part": "", "domain": "", "code": request.args.get("code", "")[:40]}


def _wish(given: Mapping[str, str], *, is_first: bool) -> Wish:
    return Wish(
        account_id=g.viewer.account_id,
        full_name=g.viewer.name,
        local_part=(given.get("take") or given.get("local_part", "")).strip()[:100],
        domain=given.get("domain", "")[:255],
        code=given.get("code", "").strip()[:100],
        contact=g.viewer.contact,
        is_first=is_first,
    )


def _create(*, is_first: bool) -> BaseResponse:
    wish = _wish(request.form, is_first=is_first)
    try:
        with transaction(mailboxes.new_mailbox_id()):
            limits = Limits.now(current_app.extensions["settings"])
            mailbox_id = registering.register(_master(), wish, limits)
    except _REFUSALS as error:
        if isinstance(error, RegistrationRefused) and error.reason == "has-one":
            return redirect(url_for("mail.home"), 303)  # a second press of the button
        return _refused(wish, error)
    leave(word="welcome", anywhere=True)
    return redirect("/" if g.viewer.home_id is None else path_in(g.viewer, mailbox_id), 303)


def _refused(wish: Wish, error: MtumailError) -> BaseResponse:
    """The form with what was typed, why it was refused, and names near it that can be had."""
    field, words = name_words.refused(error)
    with transaction():
        suggestions = _near(wish, error)
        if isinstance(error, RegistrationRefused) and error.reason == "busy":
            _tell_busy()
    typed = {"local_part": wish.local_part, "domain": wish.domain, "code": wish.code}
    response = _form(typed, {field: words}, is_first=wish.is_first, suggestions=suggestions)
    response.status_code = 422
    return response


def _near(wish: Wish, error: MtumailError) -> list[str]:
    """Names near one that somebody else has, or that rests."""
    is_had = isinstance(error, NameRefused) and error.reason in ("taken", "alike", "resting")
    return registering.suggest(_master(), wish) if is_had else []


def _tell_busy() -> None:
    now = time.monotonic()
    if now - _told_busy[0] >= _HOUR:
        _told_busy[0] = now
        log.warning("sign-ups are over their limit")
        audit.record("registration.limited", "system:web")


def _form(
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    is_first: bool,
    suggestions: list[str] | None = None,
) -> BaseResponse:
    with transaction():
        usual = kept.text("registration.mode")
        hosted = [(one.name, one.mode(usual)) for one in domains.hosted()]
        owned = mailboxes.owned(g.viewer.account_id)
    places = [(name, mode) for name, mode in hosted if mode != "closed"]
    chosen = typed["domain"] or next((name for name, mode in places if mode == "open" or typed["code"]), "")
    context: dict[str, Any] = {
        "form": {**typed, "domain": chosen, "errors": errors},
        "places": places,
        "needs_code": any(mode == "invite" for _name, mode in places),
        "needs_always": bool(places) and all(mode == "invite" for _name, mode in places),
        "suggestions": suggestions or [],
        "is_first": is_first,
        "notice": left(),
        "target": url_for("accounts.create_mailbox" if is_first else "accounts.create_another"),
        "owned": owned,
    }
    return render(
        "welcome.html",
        None,
        **page(_("Choose your address") if is_first else _("One more mailbox"), **context),
    )
