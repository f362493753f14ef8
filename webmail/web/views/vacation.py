"""Answering while one is away: `/settings/vacation`."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask_babel import get_timezone
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from webmail.mail import folders, vacation
from webmail.mail.vacation import Vacation, VacationError
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import leave, left, own_mail, page

blueprint = Blueprint("vacation", __name__)

Typed = Mapping[str, str]


@blueprint.get("/settings/vacation", endpoint="index")
@requires("mail")
def index() -> BaseResponse:
    """What is answered, and when."""
    with own_mail() as keys:
        told = vacation.load(keys)
    return _show(
        {
            "on": "on" if told.is_on else "",
            "first_day": told.first_day.isoformat() if told.first_day else "",
            "last_day": told.last_day.isoformat() if told.last_day else "",
            "subject": told.subject,
            "text": told.text,
        },
        {},
    )


@blueprint.post("/settings/vacation", endpoint="save")
@requires("mail")
def save() -> BaseResponse:
    """Keep it, in the time zone that the person has now."""
    names = ("on", "first_day", "last_day", "subject", "text")
    typed = {name: request.form.get(name, "")[:20_000] for name in names}
    days, errors = {}, {}
    for name in ("first_day", "last_day"):
        try:
            days[name] = date.fromisoformat(typed[name].strip()) if typed[name].strip() else None
        except ValueError:
            errors[name] = _("Write the day as 2026-12-24.")
    if errors:
        return _show(typed, errors)
    wanted = Vacation(
        typed["on"] == "on", days["first_day"], days["last_day"], _zone(), typed["subject"], typed["text"]
    )
    try:
        with own_mail() as keys:
            vacation.set_to(keys, wanted)
    except VacationError as error:
        return _show(typed, {error.field: _explained(error)})
    leave(word="settings")
    return redirect(url_for("vacation.index"), 303)


def _zone() -> str:
    return str(get_timezone())


def _show(typed: Typed, errors: Mapping[str, str]) -> BaseResponse:
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
    context: dict[str, Any] = {"typed": typed, "errors": errors, "zone": _zone()}
    response = render(
        "settings/vacation.html",
        None,
        **page(_("While you are away"), counts=counts, notice=left(), **context),
    )
    response.status_code = 422 if errors else 200
    return response


def _explained(error: VacationError) -> str:
    words = {
        "empty": _("Write what is answered."),
        "too-long": _("This is too long."),
        "order": _("The last day comes before the first."),
        "unknown": _("Your time zone is unknown here."),
    }
    return words[error.reason]
