"""The keys that sign a domain's mail, for admins: made, published, switched to once DNS has them, retired."""

from flask import Blueprint, abort, current_app, g, request
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.errors import NotFound, Refused
from webmail.identity import stepup
from webmail.settings import dkim_keys, dkim_records, domain_health
from webmail.web.access import requires
from webmail.web.confirming import name_act
from webmail.web.staff import actor, staff_transaction
from webmail.web.viewing import leave, more_words
from webmail.web.views import admin_domains

blueprint = Blueprint("admin_domain_keys", __name__)

name_act("domain.keys", _l("change which keys sign the mail of a domain"))
more_words(
    domain_prepared=_l("Made. Publish the records of these keys, and switch once they are seen."),
    domain_switched=_l("Switched: mail is signed with the new keys from now on."),
)


@blueprint.post("/admin/domains/<id:domain>/keys", endpoint="change")
@requires("admin")
def change(domain: int) -> BaseResponse:
    """Rotate DKIM keys: make the next ones, switch to them once DNS has them, or retire one."""
    step, selector = request.form.get("step", ""), request.form.get("selector", "")
    try:
        if step == "prepare":
            word = _prepare(domain)
        elif step == "switch":
            word = _switch(domain)
        elif step in ("retire", "leaked"):
            word = _retire(domain, selector, leaked=step == "leaked")
        else:
            abort(400)
    except stepup.ConfirmationNeeded:
        raise
    except Refused as refusal:
        return admin_domains.page_of(domain, str(refusal))
    leave(word=word)
    return admin_domains.back(domain)


def _prepare(domain: int) -> str:
    with staff_transaction():
        waiting = {key.algorithm for key in dkim_keys.listed(domain) if key.state == "next"}
        missing = [one for one in dkim_records.ALGORITHMS if one not in waiting]
        if not missing:
            raise Refused("waits")
        for algorithm in missing:
            dkim_keys.create(current_app.extensions["master_keys"], domain, algorithm, actor())
        domain_health.ask(domain)
    return "domain_prepared"


def _switch(domain: int) -> str:
    with staff_transaction():
        try:
            is_published = domain_health.is_published(domain)
        except NotFound:
            raise Refused("no-key") from None
        if not is_published:
            raise Refused("unpublished")
        waiting = sorted(key.selector for key in dkim_keys.listed(domain) if key.state == "next")
        stepup.require(g.viewer, act="domain.keys", target=f"{domain}:switch:{' '.join(waiting)}")
        dkim_keys.activate(domain, actor(), waiting)
    return "domain_switched"


def _retire(domain: int, selector: str, *, leaked: bool) -> str:
    with staff_transaction():
        key = next((one for one in dkim_keys.listed(domain) if one.selector == selector), None)
        if key is None:
            raise NotFound("key")
        if key.state == "retired" and not leaked:
            raise Refused("retired")
        stepup.require(
            g.viewer, act="domain.keys", target=f"{domain}:{'leaked' if leaked else 'retire'}:{selector}"
        )
        dkim_keys.retire(domain, selector, actor(), leaked=leaked)
    return "domain_changed"
