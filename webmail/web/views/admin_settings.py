"""Settings of the service, for admins: what they are, what changing them does, all they ever were, and the way back."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.errors import Conflict, Refused
from webmail.privacy import retention
from webmail.settings import declared, kept
from webmail.settings.kinds import Secret
from webmail.web import actors, setting_words
from webmail.web.access import requires
from webmail.web.staff import actor, staff_page, staff_transaction
from webmail.web.viewing import leave
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("admin_settings", __name__)
_PAGE = 50
ELSEWHERE = (
    ("/admin/roles", _l("Staff and their roles")),
    ("/admin/domains", _l("Domains")),
    ("/admin/relay", _l("Relays")),
    ("/admin/invitations", _l("Invitations, and where people may take names")),
    ("/admin/retention", _l("Schedules, and what they remove")),
    ("/admin/backups", _l("Backups that were made")),
    ("/admin/queues", _l("Queues")),
    ("/admin/alerts", _l("Alerts")),
)
"""What is set on pages of its own."""


@blueprint.get("/admin/settings", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Every setting with its value."""
    with staff_transaction():
        groups = [(words, name, kept.states(name)) for name, words in setting_words.GROUP_WORDS.items()]
    return _page(
        "index", _("Settings of the service"), groups=[one for one in groups if one[2]], elsewhere=ELSEWHERE
    )


@blueprint.get("/admin/settings/<group>", endpoint="group")
@requires("admin")
def group_page(group: str) -> BaseResponse:
    """The form of one group."""
    return _form(_known(group), {}, {})


@blueprint.post("/admin/settings/<group>", endpoint="change")
@requires("admin")
def change_group(group: str) -> BaseResponse:
    """Show what the form would change; or, once that was seen, change it."""
    _known(group)
    typed = {one.name: request.form[one.name] for one in declared.of_group(group) if one.name in request.form}
    with staff_transaction():
        changes, problems = kept.proposed(group, typed)
    if problems:
        return _form(group, typed, problems)
    if "confirm" not in request.form:
        return _preview(group, typed, changes)
    try:
        with staff_transaction():
            for one in changes:
                seen = request.form.get(f"version:{one.name}")
                kept.change(
                    one.name, one.to, actor=actor(), reason=request.form.get("reason", ""), version=seen or ""
                )
    except Conflict:
        return _form(
            group,
            typed,
            {},
            _("Somebody else changed this meanwhile. Nothing was saved: look at it again."),
            409,
        )
    leave(word="settings")
    return redirect(url_for("admin_settings.group", group=group), 303)


def _preview(group: str, typed: Mapping[str, str], changes: list[kept.Change]) -> BaseResponse:
    with staff_transaction():
        effects = {one.name: _removes(one) for one in changes}
    title = setting_words.GROUP_WORDS[group]
    return _page("preview", title, group=group, typed=typed, changes=changes, effects=effects)


def _removes(change: kept.Change) -> str:
    """How much would go with the next run of a schedule, where it is that which changes."""
    rule = next((one for one in retention.RULES if one.setting == change.name), None)
    if rule is None:
        return ""
    count = retention.preview(rule, int(change.after)).count
    return ngettext("That is %(num)s row now.", "That is %(num)s rows now.", count)


@blueprint.post("/admin/settings/<group>/secret", endpoint="secret")
@requires("admin")
def secret(group: str) -> BaseResponse:
    """Replace something that is shown to nobody, or take it away. Nothing of it comes back to the page."""
    _known(group)
    name = request.form.get("name", "")
    known = declared.SETTINGS.get(name)
    if known is None or known.group != group or not isinstance(known.kind, Secret):
        abort(404)
    typed = None if "remove" in request.form else request.form.get("value", "").strip()
    try:
        with staff_transaction():
            if typed == "":
                raise Refused("secret-length")
            kept.change(name, typed, actor=actor(), reason=request.form.get("reason", ""))
    except Refused as refusal:
        return _form(group, {}, {name: str(refusal)})
    leave(word="settings")
    return redirect(url_for("admin_settings.group", group=group), 303)


@blueprint.get("/admin/settings/history", endpoint="history")
@requires("admin")
def history() -> BaseResponse:
    """What was changed, by whom, from what to what."""
    name = request.args.get("name", "")
    below = request.args.get("c", "")
    if (name and name not in declared.SETTINGS) or (below and not below.isdigit()):
        abort(404)
    with staff_transaction():
        past = kept.history(name, int(below) if below else None, _PAGE + 1)
        who = actors.names(one.by for one in past)
    more = past[_PAGE - 1].change_id if len(past) > _PAGE else None
    return _page("history", _("What was changed"), past=past[:_PAGE], name=name, more=more, who=who)


@blueprint.post("/admin/settings/history", endpoint="go_back")
@requires("admin")
def go_back() -> BaseResponse:
    """Make a setting again what it was before a change."""
    change = request.form.get("change", "")
    if not change.isdigit():
        abort(404)
    with staff_transaction():
        past = kept.past(int(change))
        known = declared.SETTINGS.get(past.name)
        if known is None or isinstance(known.kind, Secret):
            abort(404)
        kept.go_back(past.change_id, actor=actor(), reason=_("back to what it was before"))
    leave(word="settings")
    return redirect(url_for("admin_settings.group", group=past.name.partition(".")[0]), 303)


def _known(group: str) -> str:
    if group not in setting_words.GROUP_WORDS or not declared.of_group(group):
        abort(404)
    return group


def _form(
    group: str, typed: Mapping[str, str], problems: Mapping[str, str], alarm: str = "", status: int = 200
) -> BaseResponse:
    with staff_transaction():
        states = kept.states(group)
    said = {name: setting_words.problem_words(declared.find(name), code) for name, code in problems.items()}
    title = setting_words.GROUP_WORDS[group]
    return _page(
        "group",
        title,
        422 if problems else status,
        group=group,
        states=states,
        typed=typed,
        problems=said,
        alarm=alarm,
    )


def _page(template: str, title: Any, status: int = 200, **context: Any) -> BaseResponse:
    return staff_page(
        f"admin/settings/{template}.html",
        title=str(title),
        status=status,
        words=setting_words.WORDS,
        value_words=setting_words.value_words,
        options=setting_words.options,
        declared=declared.SETTINGS,
        **context,
    )
