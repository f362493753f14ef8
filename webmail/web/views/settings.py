"""Settings: how pages look for a person, keyboard shortcuts, and what was decided about senders."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.identity import accounts as people
from webmail.mail import correspondents, folders
from webmail.web import shortcuts, zones
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.leaving import undo_seconds
from webmail.web.viewing import leave, left, own_mail, page
from webmail.web.words import gettext as _

blueprint = Blueprint("settings", __name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """One question of the settings page: a preference, its possible values in words, and what a person should know first."""

    name: str
    words: Any
    options: tuple[tuple[str, Any], ...]
    note: Any = ""


SECTIONS: tuple[tuple[Any, tuple[Choice, ...]], ...] = (
    (
        _l("Reading"),
        (
            Choice(
                "reading",
                _l("Open messages as"),
                (
                    ("reading", _l("Reading text: quick, nothing hidden")),
                    ("formatted", _l("As their senders laid them out")),
                ),
            ),
            Choice(
                "conversations",
                _l("Conversations"),
                (("threads", _l("Messages together")), ("flat", _l("Each message by itself"))),
            ),
            Choice(
                "links",
                _l("Addresses of links in reading text"),
                (("short", _l("Short")), ("full", _l("Full"))),
                _l(
                    "Short links lead through this service: pages are several times smaller, and the true site is named in words. "
                    "Full ones are the sender’s addresses as they came."
                ),
            ),
            Choice(
                "pictures",
                _l("Pictures kept on other servers"),
                (("ask", _l("Ask each time")), ("always", _l("Always fetch"))),
                _l(
                    "Fetching tells the sender that, and when, you opened the message; it goes through us, so they see "
                    "neither your network address nor any cookie."
                ),
            ),
        ),
    ),
    (
        _l("Sending"),
        (
            Choice(
                "undo",
                _l("Send can be undone for"),
                (
                    ("0", _l("Not at all: it leaves at once")),
                    ("5", _l("5 seconds")),
                    ("10", _l("10 seconds")),
                    ("20", _l("20 seconds")),
                    ("30", _l("30 seconds")),
                ),
            ),
        ),
    ),
    (
        _l("List"),
        (
            Choice("rows", _l("Messages on a page"), (("20", "20"), ("50", "50"), ("100", "100"))),
            Choice(
                "density",
                _l("Rows"),
                (("comfortable", _l("Comfortable")), ("compact", _l("Compact"))),
            ),
        ),
    ),
)
CHOICES = tuple(choice for _words, choices in SECTIONS for choice in choices)
KEYBOARD = Choice("shortcuts", _l("Keyboard shortcuts"), (("off", _l("Off")), ("on", _l("On"))))


# --- how pages look ------------------------------------------------------------------------------------------------------


@blueprint.get("/settings", endpoint="index")
@requires("mail")
def settings_page() -> BaseResponse:
    """How pages look for me."""
    prefs = g.viewer.preferences
    chosen = {choice.name: str(getattr(prefs, choice.name)) for choice in CHOICES}
    chosen["undo"] = str(undo_seconds())
    return _index(chosen | {KEYBOARD.name: "on" if prefs.keys else "off"}, {})


@blueprint.post("/settings", endpoint="save")
@requires("mail")
def save_settings() -> BaseResponse:
    """Keep what was chosen; what the form does not name stays as it is."""
    given = {choice.name: request.form[choice.name] for choice in CHOICES if choice.name in request.form}
    # A box that is not ticked sends nothing: the hidden field before it says "off".
    if switch := request.form.getlist(KEYBOARD.name)[-1:]:
        given[KEYBOARD.name] = switch[0]
    errors = {
        choice.name: _("There is no such choice. Choose one of these; nothing was saved yet.")
        for choice in (*CHOICES, KEYBOARD)
        if choice.name in given and given[choice.name] not in dict(choice.options)
    }
    if errors:
        return _index(given, errors)
    with transaction():
        people.prefer(g.viewer.account_id, given, _switched(given.get(KEYBOARD.name)))
    leave(word="settings")
    return redirect(url_for("settings.index"), 303)


def _switched(to: str | None) -> Mapping[str, str] | None:
    """The keys to store for a switch set `to` on or off; None where nothing changes, so that keys of one's own stay."""
    if to is None or (to == "on") == bool(g.viewer.preferences.keys):
        return None
    return shortcuts.DEFAULTS if to == "on" else {}


def _index(chosen: Mapping[str, str], errors: Mapping[str, str]) -> BaseResponse:
    return _show(
        "settings/index.html",
        _("Settings"),
        422 if errors else 200,
        sections=SECTIONS,
        switch=KEYBOARD,
        chosen=chosen,
        errors=errors,
        zone=zones.current(),
    )


def _show(template: str, title: str, code: int = 200, **context: Any) -> BaseResponse:
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
    response = render(template, None, **page(title, counts=counts, notice=left(), **context))
    response.status_code = code
    return response


# --- keys ----------------------------------------------------------------------------------------------------------------


@blueprint.get("/settings/keyboard", endpoint="keyboard")
@requires("mail")
def keyboard_page() -> BaseResponse:
    """Which key does what; the defaults where shortcuts are off."""
    keys = dict(g.viewer.preferences.keys) or shortcuts.DEFAULTS
    return _keyboard({name: shortcuts.show(key) for name, key in keys.items()}, {})


@blueprint.post("/settings/keyboard", endpoint="save_keyboard")
@requires("mail")
def save_keyboard() -> BaseResponse:
    """Keep these keys, or go back to the defaults, and switch shortcuts on."""
    keys: Mapping[str, str] = shortcuts.DEFAULTS
    if "defaults" not in request.form:
        typed = {action.name: request.form.get(action.name, "")[:40] for action in shortcuts.ACTIONS}
        keys, problems = shortcuts.check(typed)
        if problems or not keys:
            return _keyboard(typed, {name: _refusal(problem) for name, problem in problems.items()}, 422)
    with transaction():
        people.prefer(g.viewer.account_id, {}, keys)
    leave(word="settings")
    return redirect(url_for("settings.keyboard"), 303)


def _keyboard(typed: Mapping[str, str], errors: Mapping[str, str], code: int = 200) -> BaseResponse:
    return _show(
        "settings/keyboard.html",
        _("Keys for shortcuts"),
        code,
        groups=shortcuts.GROUPS,
        typed=typed,
        errors=errors,
        is_refused=code != 200,
    )


def _refusal(problem: shortcuts.Problem) -> str:
    if problem.code == "taken":
        other = next(action.words for action in shortcuts.ACTIONS if action.name == problem.other)
        return _("“%(action)s” has this key too. Give one of them another.", action=other)
    words = {
        "modifier": _("Ctrl, Alt and the like belong to the browser. Use one key, or g and one more."),
        "named": _("This key moves about in pages and forms. Use one that writes a character."),
        "shifted": _("Write the character that Shift makes of it, such as ! or #."),
        "first": _("g begins two keys: write another after it, such as g i."),
        "unprintable": _("This cannot be typed with one key."),
        "long": _("Use one key, or g and one more, such as g i."),
    }
    return words[problem.code]


# --- times ---------------------------------------------------------------------------------------------------------------


@blueprint.get("/settings/time", endpoint="time")
@requires("mail")
def time_page() -> BaseResponse:
    """By whose clocks times are shown."""
    return _time(g.viewer.preferences.zone, "")


@blueprint.post("/settings/time", endpoint="save_time")
@requires("mail")
def save_time() -> BaseResponse:
    """Keep a time zone, or go by what the browser says."""
    zone = request.form.get("zone", "")
    if zone and zone not in zones.names():
        return _time(zone, _("There is no such choice. Choose one of these; nothing was saved yet."))
    with transaction():
        people.prefer(g.viewer.account_id, {"zone": zone})
    leave(word="settings")
    return redirect(url_for("settings.time"), 303)


def _time(chosen: str, error: str) -> BaseResponse:
    return _show(
        "settings/time.html",
        _("Time zone"),
        422 if error else 200,
        chosen=chosen,
        error=error,
        regions=zones.by_region(),
        said=zones.said(),
        zone=zones.current(),
    )


# --- senders -------------------------------------------------------------------------------------------------------------


@blueprint.get("/settings/senders", endpoint="senders")
@requires("mail")
def senders_page() -> BaseResponse:
    """Who is blocked, and whose pictures are fetched without asking."""
    with own_mail() as keys:
        counts = folders.counts(keys.mailbox_id)
        blocked, pictures = correspondents.blocked(keys), correspondents.with_pictures(keys)
    context: dict[str, Any] = {"blocked": blocked, "pictures": pictures}
    return render(
        "settings/senders.html", None, **page(_("Senders"), counts=counts, notice=left(), **context)
    )


@blueprint.post("/settings/senders", endpoint="change_sender")
@requires("mail")
def change_sender() -> BaseResponse:
    """Take back what was decided about one sender."""
    what = next((name for name in ("unblock", "ask") if name in request.form), None)
    if what is None:
        abort(400)
    with own_mail() as keys:
        address = correspondents.address_of(keys, request.form[what])
        if what == "unblock":
            correspondents.unblock(keys, address)
        else:
            correspondents.allow_pictures(keys, address, False)
    leave(word="settings")
    return redirect(url_for("settings.senders"), 303)
