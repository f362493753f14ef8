"""Telling us without an account: `/abuse`. The same for everybody, signed in or not; behind its answer is a link to the outcome.

Nobody's session guards the form, so it guards itself: it takes what was sent from our own page, with a token that the page held,
not at once and not too often, and with the field left empty that people do not see.
"""

import time
from collections.abc import Mapping

from flask import abort, current_app, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.errors import NotFound
from webmail.governance.cases import forms, telling
from webmail.governance.cases.forms import FormError, Written
from webmail.governance.cases.sealing import open_secret
from webmail.keys import MasterKeys
from webmail.web import case_words, security
from webmail.web.htmx import render
from webmail.web.viewing import page
from webmail.web.views.site import pages
from webmail.web.words import gettext as _

__all__ = ["pages"]

KINDS = {
    "spam": _l("Spam: mail that nobody asked for"),
    "phishing": _l("Phishing: it wants a password, or poses as somebody"),
    "malware": _l("Malware: a file or a page that does harm"),
    "fraud": _l("Fraud: it is after money"),
    "harassment": _l("Harassment or threats"),
    "security": _l("A security problem of this service"),
    "request": _l("Privacy, or a question to those who run this service"),
    "other": _l("Something else"),
}
_ERRORS = {
    ("kind", "missing"): _l("Choose what it is."),
    ("words", "missing"): _l("Say what happened."),
    ("words", "too-long"): _l("At most 5,000 characters, please."),
    ("message", "too-long"): _l("At most 100,000 characters, please."),
    ("about", "too-long"): _l("That is too long for an address."),
    ("contact", "bad-address"): _l("That is not an address we could write to."),
}
EMPTY = dict.fromkeys(("kind", "words", "about", "message", "contact", "alert"), "")
MAX_BYTES = 1 << 20


@pages.route("/abuse", methods=["GET", "POST"], endpoint="abuse")
def abuse() -> BaseResponse:
    """The form; or what was filled in becomes a case."""
    if request.method != "POST":
        return _form({"about": request.args.get("about", "")[:300]})
    if (request.content_length or 0) > MAX_BYTES:
        abort(413)
    if not security.same_origin():
        abort(403)
    known = forms.read_token(_key(), request.form.get("csrf_token", ""), time.time())
    if known is None:
        return _form(
            _filled(),
            _("The form was open for too long, or did not come from here. Please send it once more."),
            403,
        )
    item_id, age = known
    if request.form.get("website") or age < forms.TOO_QUICK:
        # What fills in fields that nobody sees, and reads faster than people, hears what people hear.
        return _thanks(item_id)
    return _send(item_id)


def _send(item_id: int) -> BaseResponse:
    filled = _filled()
    written = Written(*(filled[name] for name in ("kind", "words", "about", "message", "contact")))
    link, master = forms.link_secret(_key(), item_id), _master()
    try:
        forms.checked(written)
        with transaction():
            is_flood = forms.is_flood(open_secret(master), request.remote_addr or "")
            if not is_flood:
                forms.send(master, item_id, link, written)
    except FormError as error:
        words = str(_ERRORS.get((error.field, error.reason), _("Please check this.")))
        return _form(filled | {f"error_{error.field}": words}, "", 422)
    if is_flood:
        words = _(
            "Too much was sent from your network just now. Please try again in an hour, or write to us by mail."
        )
        return _form(filled, words, 429)
    return _thanks(item_id)


def _thanks(item_id: int) -> BaseResponse:
    return redirect(url_for("pages.abuse_outcome", token=forms.link_secret(_key(), item_id), new=1), 303)


@pages.get("/abuse/<token>", endpoint="abuse_outcome")
def abuse_outcome(token: str) -> BaseResponse:
    """How far it is, for whoever holds the link."""
    is_new = request.args.get("new") == "1"
    try:
        with transaction():
            told = telling.of_form(open_secret(_master()), forms.hashed(token))
    except NotFound:
        if not is_new or len(token) != 22:
            raise
        told = telling.Told("open", "", "", None, looked=False)
    link = current_app.extensions["origin"] + url_for("pages.abuse_outcome", token=token)
    response = render(
        "abuse/outcome.html",
        None,
        **page(_("What you told us"), told=told, is_new=is_new, link=link, words=case_words),
    )
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _filled() -> dict[str, str]:
    return EMPTY | {name: request.form.get(name, "") for name in EMPTY if name != "alert"}


def _form(filled: Mapping[str, str], alert: str = "", status: int = 200) -> BaseResponse:
    response = render(
        "abuse/form.html",
        None,
        **page(
            _("Tell us about abuse"),
            form=EMPTY | dict(filled),
            alert=alert,
            kinds=KINDS,
            token=forms.token(_key(), time.time()),
            limits=forms,
        ),
    )
    response.status_code = status
    return response


def _key() -> bytes:
    return _master().derive("abuse form")


def _master() -> MasterKeys:
    keys: MasterKeys = current_app.extensions["master_keys"]
    return keys
