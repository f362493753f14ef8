"""Pages that belong to the service itself: health, the privacy policy, the first mailbox."""

from importlib.resources import files

from flask import Blueprint, Response, current_app, g, redirect, request, url_for
from sqlalchemy import text
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.errors import Refused
from webmail.mail import mailboxes
from webmail.settings import domains
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.viewing import leave, page
from webmail.web.words import gettext as _

health = Blueprint("health", __name__)
pages = Blueprint("pages", __name__)
accounts = Blueprint("accounts", __name__)


@health.get("/healthz", endpoint="alive")
def healthz() -> Response:
    """Alive: this process answers."""
    return Response("ok\n", content_type="text/plain; charset=utf-8")


@health.get("/readyz", endpoint="ready")
def readyz() -> Response:
    """Ready: the database answers too."""
    with transaction() as session:
        session.execute(text("SELECT 1"))
    return Response("ready\n", content_type="text/plain; charset=utf-8")


@pages.get("/privacy", endpoint="privacy")
def privacy() -> BaseResponse:
    """The policy that this service keeps."""
    return render("privacy.html", None, **page(_("Privacy Policy"), policy=policy_sections()))


def policy_sections() -> list[tuple[str, list[str | list[str]]]]:
    """The published policy as (heading, blocks), with the operator's contact; a block is a paragraph or a list of points."""
    contact = current_app.extensions["settings"].contact
    policy = files("webmail").joinpath("privacy/policy.txt").read_text("utf-8").replace("{contact}", contact)
    sections: list[tuple[str, list[str | list[str]]]] = [("", [])]
    for line in filter(None, (item.strip() for item in policy.splitlines()[1:])):
        blocks = sections[-1][1]
        if line.startswith("# "):
            sections.append((line[2:], []))
        elif not line.startswith("- "):
            blocks.append(line)
        elif blocks and isinstance(blocks[-1], list):
            blocks[-1].append(line[2:])
        else:
            blocks.append([line[2:]])
    return sections


# --- the first mailbox -----------------------------------------------------------------------------------------------------


@accounts.get("/welcome", endpoint="welcome")
@requires("mail")
def welcome() -> BaseResponse:
    """Signed in, but no mailbox yet: choose an address, where registration is open."""
    if g.viewer.mailbox_id is not None:
        return redirect(url_for("mail.home"), 303)
    return _choose("", "", {})


@accounts.post("/welcome", endpoint="create_mailbox")
@requires("mail")
def create_mailbox() -> BaseResponse:
    """Make the mailbox that was asked for."""
    if g.viewer.mailbox_id is not None:
        return redirect(url_for("mail.home"), 303)
    local_part, domain = request.form.get("local_part", "").strip(), request.form.get("domain", "")
    config = current_app.extensions["settings"]
    try:
        if config.registration != "open":
            raise Refused(_("This service takes no new mailboxes now."))
        name = mailboxes.choose_name(local_part)
        with transaction(mailboxes.new_mailbox_id()):
            mailboxes.create(
                current_app.extensions["master_keys"],
                account_id=g.viewer.account_id,
                name=g.viewer.name,
                local_part=name,
                domain=domain,
                quota_bytes=config.quota_bytes,
                actor=f"account:{g.viewer.account_id}",
            )
    except Refused as refusal:
        return _choose(local_part, domain, {"local_part": [str(refusal)]})
    leave(word="welcome")
    return redirect(url_for("mail.home"), 303)


def _choose(local_part: str, domain: str, errors: dict[str, list[str]]) -> BaseResponse:
    with transaction():
        hosted = domains.names()
    form = {"local_part": local_part, "domain": domain, "errors": errors}
    response = render("welcome.html", None, **page(_("Choose your address"), form=form, domains=hosted))
    response.status_code = 422 if errors else 200
    return response
