"""The mail domains, for admins: what DNS has to say for them and says, which keys sign, and where mail without a name goes."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, g, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import audit
from webmail.config import Settings
from webmail.errors import Refused
from webmail.identity import stepup
from webmail.settings import dkim_keys, domain_health, domain_records, domains, kept, routes
from webmail.web import domain_words
from webmail.web.access import requires
from webmail.web.charts import bars
from webmail.web.confirming import name_act
from webmail.web.htmx import is_fragment
from webmail.web.staff import Panel, Waiting, actor, panel, staff_page, staff_transaction
from webmail.web.viewing import leave, more_words
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("admin_domains", __name__)

name_act("domain.route", _l("have mail for names that nobody has go elsewhere"))
name_act("domain.alias", _l("have mail for a whole domain go elsewhere"))
name_act("domain.remove", _l("remove a domain"))
more_words(
    domain_added=_l("Added. Publish its records, then have them looked at."),
    domain_checks=_l("We look, and say here what we found."),
    domain_paused=_l("That was looked at just now. Please wait half a minute."),
    domain_changed=_l("Changed."),
    domain_removed=_l("Removed."),
)


@blueprint.get("/admin/domains", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Every domain and how its records were found."""
    return _index()


@blueprint.post("/admin/domains", endpoint="add")
@requires("admin")
def add() -> BaseResponse:
    """Have a domain wait for its proof."""
    try:
        with staff_transaction():
            domain_id = domains.add(request.form.get("name", ""), actor=actor())
    except Refused as refusal:
        return _index(request.form.get("name", "")[:300], str(domain_words.REFUSALS[str(refusal)]))
    leave(word="domain_added")
    return redirect(url_for("admin_domains.one", domain=domain_id), 303)


@blueprint.get("/admin/domains/<id:domain>", endpoint="one")
@requires("admin")
def one(domain: int) -> BaseResponse:
    """A domain: its records with what DNS says, its keys, and where its mail goes. A page that waits for a look asks whether it is
    done, and is then loaded anew: what was found changes more of it than the records."""
    if is_fragment(request):
        with staff_transaction():
            is_done = not domain_health.is_under_way(domains.one(domain).domain_id)
        return Response(status=204, headers={"HX-Refresh": "true"} if is_done else {})
    return page_of(domain)


@blueprint.post("/admin/domains/<id:domain>", endpoint="check")
@requires("admin")
def check(domain: int) -> BaseResponse:
    """Have its records looked at now."""
    with staff_transaction():
        is_asked = domain_health.ask(domain)
        if is_asked:
            audit.record("domain.asked", actor(), domain=domain)
    leave(word="domain_checks" if is_asked else "domain_paused")
    return back(domain)


@blueprint.post("/admin/domains/<id:domain>/names", endpoint="names")
@requires("admin")
def names(domain: int) -> BaseResponse:
    """Say who may take a name there, and whether there are new ones at all."""
    mode, is_resting = request.form.get("registration", ""), "resting" in request.form
    if mode not in domain_words.REGISTRATION:
        abort(400)
    with staff_transaction():
        before = domains.one(domain)
        if (before.registration or "") != mode:
            domains.set_registration(domain, mode or None)
            audit.record("domain.registration", actor(), domain=domain, mode=mode or "usual")
        if (before.state == "resting") != is_resting:
            domains.rest(domain, resting=is_resting, actor=actor())
    return _changed(domain)


@blueprint.post("/admin/domains/<id:domain>/sts", endpoint="sts")
@requires("admin")
def sts(domain: int) -> BaseResponse:
    """Say what MTA-STS asks of others."""
    try:
        with staff_transaction():
            domains.set_sts(domain, request.form.get("mode", ""), actor=actor())
    except Refused as refusal:
        return page_of(domain, str(refusal))
    return _changed(domain)


@blueprint.post("/admin/domains/<id:domain>/route", endpoint="route")
@requires("admin")
def route(domain: int) -> BaseResponse:
    """Say where mail for postmaster, abuse, or any name that nobody has goes."""
    name, address = request.form.get("name", ""), request.form.get("address", "").strip()[:320]
    try:
        with staff_transaction():
            domains.one(domain)
            stepup.require(g.viewer, act="domain.route", target=f"{domain}:{name}:{address}")
            routes.set_route(domain, name, address, actor=actor())
    except stepup.ConfirmationNeeded:
        raise
    except Refused as refusal:
        return page_of(domain, str(refusal))
    return _changed(domain)


@blueprint.post("/admin/domains/<id:domain>/alias", endpoint="alias")
@requires("admin")
def alias(domain: int) -> BaseResponse:
    """Make a domain another one's alias, or free it."""
    of = request.form.get("of", "")
    try:
        with staff_transaction():
            domains.one(domain)
            target = domains.find(of) if of else None
            if of and target is None:
                raise Refused("not-a-target")
            stepup.require(g.viewer, act="domain.alias", target=f"{domain}:{target}")
            domains.make_alias(domain, target, actor=actor())
    except stepup.ConfirmationNeeded:
        raise
    except Refused as refusal:
        return page_of(domain, str(refusal))
    return _changed(domain)


@blueprint.post("/admin/domains/<id:domain>/remove", endpoint="remove")
@requires("admin")
def remove(domain: int) -> BaseResponse:
    """Host a domain no more, once nobody has a name there."""
    try:
        with staff_transaction():
            domains.refuse_unless_removable(domain)
            stepup.require(g.viewer, act="domain.remove", target=domain)
            dkim_keys.retire_all(domain, actor())
            domains.remove(domain, actor=actor())
    except stepup.ConfirmationNeeded:
        raise
    except Refused as refusal:
        return page_of(domain, str(refusal))
    leave(word="domain_removed")
    return redirect(url_for("admin_domains.index"), 303)


# --- pages -----------------------------------------------------------------------------------------------------------------


def _index(typed: str = "", problem: str = "") -> BaseResponse:
    with staff_transaction():
        hosted, looks = domains.kept(), domain_health.latest()
        usual = kept.text("registration.mode")
    return staff_page(
        "admin/domains/index.html",
        title=_("Domains"),
        status=422 if problem else 200,
        hosted=hosted,
        looks=looks,
        usual=usual,
        typed=typed,
        problem=problem,
        stages=domain_words.STAGES,
        registration=domain_words.REGISTRATION,
    )


def page_of(domain_id: int, problem: str = "") -> BaseResponse:
    """The page of a domain; `problem`: the code of a refusal that it says."""
    settings: Settings = current_app.extensions["settings"]
    with staff_transaction():
        domain = domains.one(domain_id)
        past = domain_health.history(domain_id)
        led = routes.of(domain_id)
        context: dict[str, Any] = {
            "records": domain_health.records(domain, settings),
            "look": past[0] if past else None,
            "under_way": domain_health.is_under_way(domain_id),
            "keys": dkim_keys.listed(domain_id),
            "routes": [(name, led.get(name)) for name in routes.ROUTES],
            "aliases": domains.aliases(domain_id),
            "others": [one for one in domains.hosted() if one.domain_id != domain_id],
            "in_use": domains.is_in_use(domain_id),
            "pauses": routes.catch_all_pauses(domain_id) if "*" in led else None,
            "usual": kept.text("registration.mode"),
        }
    looks = [look for look in reversed(past) if look.findings]
    goods = [look.count("good") for look in looks] if len(looks) > 1 else []
    return staff_page(
        "admin/domains/one.html",
        title=domain.shown,
        status=409 if problem else 200,
        domain=domain,
        past=past,
        chart=bars(goods, _("Records as they should be, by look")),
        problem=str(domain_words.REFUSALS.get(problem, problem)),
        words=domain_words,
        zone_line=domain_records.zone_line,
        **context,
    )


def back(domain: int) -> BaseResponse:
    """To the page of a domain, after a form."""
    return redirect(url_for("admin_domains.one", domain=domain), 303)


def _changed(domain: int) -> BaseResponse:
    leave(word="domain_changed")
    return back(domain)


@panel("admin", place="admin")
def _troubled(_viewer: object) -> Panel | None:
    """Domains that wait for their proof, or whose records were not found as they should be."""
    looks = domain_health.latest()
    found = [(one, looks.get(one.domain_id)) for one in domains.kept()]
    lines = [
        Waiting(
            one.shown,
            url_for("admin_domains.one", domain=one.domain_id),
            str(domain_words.STAGES["waiting"][0])
            if one.verified_at is None
            else ngettext(
                "%(num)s record is not as it should be", "%(num)s records are not as they should be", bad
            ),
        )
        for one, look in found
        if (bad := look.troubles if look else 0) or one.verified_at is None
    ]
    return Panel(
        _("Domains"), url_for("admin_domains.index"), len(lines), lines[:5], _("All as they should be.")
    )
