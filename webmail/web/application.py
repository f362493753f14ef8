"""The web application, put together: guards first, then the views."""

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from flask import Flask, Response, g, has_request_context, render_template, request
from flask_babel import Babel
from flask_compress import Compress
from jinja2 import StrictUndefined
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Rule

from webmail import audit, db, jobs, phrases
from webmail.config import Settings
from webmail.errors import NotAllowed, NotFound, Refused
from webmail.identity import accounts, sessions
from webmail.identity.clerk.authenticate import Clerk, build_clerk
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import Session
from webmail.identity.shared import InProcessStore
from webmail.identity.viewer import Denied, Viewer
from webmail.keys import MasterKeys
from webmail.web import assets, auth, boxes, confirming, filters, htmx, measured, presence, security, zones
from webmail.web.blueprints import BLUEPRINTS
from webmail.web.gate import Hooks
from webmail.web.htmx import is_fragment
from webmail.web.viewing import page
from webmail.web.words import gettext as _

log = logging.getLogger(__name__)


def build(settings: Settings) -> Flask:
    """The web application for these settings. Raises SettingError for what it cannot serve with."""
    settings.require("origin", "database_url")
    master = MasterKeys.from_settings(settings)
    app = Web("webmail", static_folder=None)
    app.extensions |= {"settings": settings, "master_keys": master, "origin": settings.origin}
    app.extensions["pass_key"] = master.derive("passes")
    app.config["SECRET_KEY"] = master.derive("cookies")
    app.config["SESSION_COOKIE_NAME"] = "mtumail"
    app.config["SESSION_COOKIE_SECURE"] = settings.secure
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.config["WTF_CSRF_ENABLED"] = (
        False  # `web.security` guards every unsafe request, forms of Flask-WTF included
    )
    app.url_map.converters["id"] = db.IdConverter
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["id"] = db.show_id
    db.init_app(
        app,
        settings.database_url,
        pool_size=settings.web_threads,
        application_name="mtumail-web",
        plans=db.CHOSEN_PLANS,
    )
    if settings.redis_url:
        jobs.bell.connect(settings.redis_url)
    app.config["BABEL_DEFAULT_LOCALE"] = phrases.DEFAULT
    app.config["BABEL_DOMAIN"] = phrases.DOMAIN
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(phrases.FOLDER)
    Babel(app, locale_selector=zones.locale, timezone_selector=zones.current)
    htmx.init_app(app)
    filters.init_app(app)
    measured.init_app(app)
    clerk = _guard(app, settings)
    security.init_app(app, settings, master, _form_targets(clerk.settings))
    confirming.init_app(app)
    _compress(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    _errors(app)
    boxes.init_app(app)
    assets.init_app(app, settings.data_dir / "web")
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=0, x_prefix=0)  # type: ignore[method-assign]
    return app


class Web(Flask):
    """Flask, whose `url_for` goes straight to the rule: werkzeug looks for it and around it anew each time, at 25 us a link."""

    def url_for(self, endpoint: str, **values: Any) -> str:
        """A path of this site. What is no path of one rule (`_external`, `_anchor`, a wrong endpoint) is Flask's to answer."""
        rule = self._only_rules.get(endpoint)
        given = {name: value for name, value in values.items() if value is not None}
        if rule is not None and rule.arguments <= given.keys() and not any(name[0] == "_" for name in given):
            built = rule.build(given) if has_request_context() else None
            if built is not None:
                return f"{request.script_root}{built[1]}"
        return super().url_for(endpoint, **values)

    @cached_property
    def _only_rules(self) -> dict[str, Rule]:
        """Endpoints with one rule each. Asked for with the first link, when all routes are there."""
        rules: dict[str, list[Rule]] = {}
        for rule in self.url_map.iter_rules():
            rules.setdefault(rule.endpoint, []).append(rule)
        return {endpoint: found[0] for endpoint, found in rules.items() if len(found) == 1}


# --- who is asking -------------------------------------------------------------------------------------------------------


def _guard(app: Flask, settings: Settings) -> Clerk:
    shared = InProcessStore()
    clerk_settings = ClerkSettings.from_environment(
        settings.clerk,
        origin=settings.origin,
        environment=settings.environment,  # type: ignore[arg-type]
    )
    clerk = build_clerk(clerk_settings, shared)
    app.extensions["seen"] = InProcessStore()
    hooks = Hooks(
        is_denied=lambda _session: False,  # `accounts.viewer` looks in the same query
        deny=_deny,
        revoke=_nudge,
        audit=_audit,
        confirmed=lambda _session, _needed: False,
    )
    auth.init_app(
        app,
        settings=clerk_settings,
        load_viewer=presence.noting(_load_viewer, app.extensions["seen"]),
        shared=shared,
        hooks=hooks,
        clerk=clerk,
    )
    return clerk


def _load_viewer(session: Session) -> Viewer | Denied:
    box = boxes.named()
    found = accounts.viewer(
        session.user_id, session.session_id, session.factor_ages, mailbox_id=box, ask=db.glance
    )
    if found is not None:
        return found
    with db.transaction():
        if accounts.is_denied(session.user_id, session.session_id):
            return Denied("denied")
        accounts.meet(session.user_id)
        met = accounts.viewer(session.user_id, session.session_id, session.factor_ages, mailbox_id=box)
    return met or Denied("unknown")


def _nudge(_session_id: str) -> None:
    """`_deny` wrote down that Clerk is to end the session; a worker asks it, and goes on asking."""
    jobs.ring(jobs.ERRAND)


def _deny(session_id: str, user_id: str) -> None:
    with db.transaction():
        sessions.end_at_clerk(session_id, "signed-out")


def _audit(event: str, ids: Mapping[str, str]) -> None:
    with db.transaction():
        facts: dict[str, Any] = dict(ids)
        audit.record(f"clerk.{event.replace('-', '_')}", "system:web", **facts)


def _form_targets(settings: ClerkSettings) -> tuple[str, ...]:
    """Origins that a form's answer may lead to: Chromium holds redirects after a form to `form-action` too."""
    origins = {"/".join(url.split("/")[:3]) for url in (settings.frontend_url, settings.sign_in_url)}
    return tuple(sorted(origins))


# --- what comes out ------------------------------------------------------------------------------------------------------


def _compress(app: Flask) -> None:
    app.config["COMPRESS_ALGORITHM"] = ["br", "zstd", "gzip"]
    app.config["COMPRESS_BR_LEVEL"] = 5
    app.config["COMPRESS_BR_WINDOW"] = 18
    app.config["COMPRESS_ZSTD_LEVEL"] = 3
    app.config["COMPRESS_MIN_SIZE"] = 400
    app.config["COMPRESS_STREAMS"] = False
    Compress(app)


def _errors(app: Flask) -> None:
    app.register_error_handler(NotFound, lambda _error: _problem(404))
    app.register_error_handler(Refused, lambda error: _problem(409, str(error)))
    app.register_error_handler(NotAllowed, lambda error: _problem(403, str(error)))
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(OperationalError, _unavailable)
    app.register_error_handler(PoolTimeout, _unavailable)
    app.register_error_handler(Exception, _unexpected)


def _http_problem(error: HTTPException) -> Response:
    response = _problem(error.code or 500)
    if getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
    return response


def _unavailable(error: SQLAlchemyError) -> Response:
    log.error("database unavailable", extra={"error": type(getattr(error, "orig", None) or error).__name__})
    response = _problem(503)
    response.headers["Retry-After"] = "5"
    return response


def _unexpected(error: Exception) -> Response:
    """Anything nobody expected: its type and place go to the log, never its text, which may hold mail."""
    frame, where = error.__traceback__, []
    while frame is not None:
        where.append(f"{frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}")
        frame = frame.tb_next
    log.error(
        "unexpected",
        extra={"error": type(error).__name__, "endpoint": request.endpoint, "where": " ".join(where[-6:])},
    )
    return _problem(500)


def _problem(code: int, words: str = "") -> Response:
    headings = {
        400: (_("This request does not make sense to us"), _("Nothing was changed. Go back and try again.")),
        403: (_("This was not allowed"), _("Nothing was changed. Open the page again and try once more.")),
        404: (_("There is nothing here"), _("It may have been deleted, or it was never here.")),
        405: (_("This cannot be done that way"), _("Nothing was changed.")),
        409: (_("This cannot be done now"), ""),
        413: (_("That is too large"), _("Nothing was changed. Try a smaller file.")),
        500: (
            _("Something went wrong on our side"),
            _("Your mail is safe. It has been noted; please try again."),
        ),
        503: (_("We cannot reach your mail just now"), _("Your mail is safe. Try again in a few seconds.")),
    }
    heading, usual = headings.get(code, headings[500 if code >= 500 else 400])
    if g.get("viewer") is None and "viewer" not in g:
        g.viewer = None
    context: dict[str, Any] = page(heading, code=code, heading=heading, words=words or usual)
    template = "_error.html" if is_fragment(request) else "error.html"
    return Response(render_template(template, **context), code)
