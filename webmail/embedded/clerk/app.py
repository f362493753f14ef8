"""The web application of the local Clerk: which request goes where, and what every answer carries."""

from __future__ import annotations

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from webmail.embedded.clerk import (
    backend_api,
    backend_users,
    detours,
    forms,
    frontend_api,
    local_api,
    pages,
    profile,
)
from webmail.embedded.clerk.resources import Problem
from webmail.embedded.clerk.service import EXTENSION, Local, local

_BODY_BYTES = 262_144
_BACKEND = ("backend_api", "backend_users")
_HOSTED = ("pages", "detours", "profile")


def create(here: Local) -> Flask:
    """The application around one instance."""
    app = Flask(__name__, static_folder="static", static_url_path="/static", template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = _BODY_BYTES
    app.extensions[EXTENSION] = here
    modules = (frontend_api, backend_api, backend_users, pages, detours, profile, local_api)
    for module in modules:
        app.register_blueprint(module.blueprint)
    app.add_url_rule("/", "front", _front)
    app.add_url_rule("/favicon.ico", "icon", lambda: Response(status=204))
    app.add_url_rule("/healthz", "alive", lambda: Response("ok\n", mimetype="text/plain"))
    app.before_request(_gate)
    app.after_request(_finish)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(forms.ForeignTarget, _foreign_target)
    return app


def _front() -> Response:
    return frontend_api.away("/sign-in", 303)


def _own_hosts(here: Local) -> set[str]:
    port = here.instance.port
    return {here.instance.host, *(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))}


def _gate() -> Response | None:
    """Host first (a foreign name that resolves to loopback is an attack), then the secret, then the form token."""
    here = local()
    if request.host not in _own_hosts(here):
        return Response("This host is not served here.\n", 421, mimetype="text/plain")
    if here.controls.outage and request.blueprint != "local_api":
        return Response("", 503, mimetype="text/plain")
    if request.blueprint in _BACKEND:
        if (failed := _failure(here)) is not None:
            return failed
        backend_api.require_secret()
    elif request.blueprint == "local_api":
        backend_api.require_secret()
    elif request.blueprint in _HOSTED and request.method == "POST" and not forms.is_own_form():
        return _say(
            400, "This form is out of date", "Please go back, load the page again and repeat what you did."
        )
    return None


def _failure(here: Local) -> Response | None:
    failure = here.controls.take_failure(request.path)
    if failure is None:
        return None
    if failure.status == 0:
        here.closing.wait(failure.seconds)
    answer = _problem(Problem(failure.status or 504, failure.code, "Asked for by /_local/controls"))
    if failure.retry_after:
        answer.headers["Retry-After"] = str(failure.retry_after)
    return answer


def _finish(answer: Response) -> Response:
    here = local()
    if request.blueprint in _BACKEND:
        with here.controls.lock:
            here.controls.calls.append(
                {"method": request.method, "path": request.path, "status": answer.status_code}
            )
    origin = here.instance.origin
    # Chromium holds form-action against every redirect that follows a form: the app and we send people to and fro.
    policy = f"form-action 'self' {origin} {here.instance.url}; base-uri 'none'; frame-ancestors 'none'"
    answer.headers.setdefault("Content-Security-Policy", f"default-src 'none'; style-src 'self'; {policy}")
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "same-origin")
    if request.endpoint != "static":
        answer.headers["Cache-Control"] = "no-store"
    return answer


def _say(status: int, title: str, text: str) -> Response:
    page = render_template("message.html", title=title, text=text, instance=local().instance)
    return Response(page, status, mimetype="text/html")


def _problem(problem: Problem) -> Response:
    if request.blueprint in _HOSTED:
        return _say(problem.status, "That did not work", problem.message)
    return Response(problem.body(), problem.status, mimetype="application/json")


def _http_problem(error: HTTPException) -> Response:
    status = error.code or 500
    if request.path.startswith(("/v1/", "/_local/")):
        answer = _problem(Problem(status, "request_not_possible", error.name))
    else:
        answer = _say(
            status, error.name, "There is nothing at this address, or not for this kind of request."
        )
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


def _foreign_target(_: forms.ForeignTarget) -> Response:
    return _say(
        400,
        "This link leads elsewhere",
        "It asks to continue at an address that does not belong to this app.",
    )
