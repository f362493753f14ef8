"""What tests do to the instance behind the app's back: `/_local/...`, with the secret key as a bearer token."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from webmail.embedded.clerk import accounts, controls, directives, tokens
from webmail.embedded.clerk.backend_api import body, text_of
from webmail.embedded.clerk.guards import delivers_locally
from webmail.embedded.clerk.resources import Problem
from webmail.embedded.clerk.service import local
from webmail.embedded.clerk.webhooks import DELAYS, ORDERS

blueprint = Blueprint("local_api", __name__, url_prefix="/_local")
TASKS = ("reset-password", "setup-mfa")


def _wrong(message: str) -> Problem:
    return Problem(422, "form_param_value_invalid", message)


def _flag(values: dict[str, Any], name: str) -> bool:
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(f"{name} is true or false")
    return value


@blueprint.get("/controls")
def show() -> Response:
    return jsonify(controls.show(local().controls))


@blueprint.post("/controls")
def turn() -> Response:
    """Sets what is named: see `controls.Controls` and `controls.Failure` (under `fail`)."""
    try:
        controls.turn(local().controls, body())
    except ValueError as error:
        raise _wrong(str(error)) from None
    return show()


@blueprint.post("/reset")
def reset() -> Response:
    """All knobs straight, all waits over. Users, sessions and keys stay."""
    here = local()
    controls.straighten(here.controls)
    here.limiter.clear()
    manner = here.sender.manner
    manner.paused, manner.duplicate, manner.delays = False, False, DELAYS
    return show()


@blueprint.get("/calls")
def calls() -> Response:
    """The Backend API calls so far, oldest first: method, path and status, no query and no body."""
    here = local()
    with here.controls.lock:
        return jsonify(list(here.controls.calls))


@blueprint.post("/keys/rotate")
def rotate() -> Response:
    """A new signing key: `same_kid` keeps its name, `keep_old` goes on publishing the old one under the old name."""
    values = body()
    same, keep = _flag(values, "same_kid"), _flag(values, "keep_old")
    if same and keep:
        raise _wrong("one kid cannot name two keys")
    with local().change() as change:
        tokens.rotate(change.data.keys, same_kid=same, keep_old=keep)
        return jsonify(tokens.jwks(change.data.keys))


@blueprint.post("/refresh/expire")
def expire_refresh() -> Response:
    """Refresh tokens of `session_id`, or all of them, are good no more; the sessions live on."""
    wanted = body().get("session_id")
    with local().change() as change:
        for session in change.data.sessions.values():
            if wanted in (None, session.id):
                session.refresh_hashes = []
    return jsonify({"expired": True})


@blueprint.post("/task")
def task() -> Response:
    """`user_id` has something to do at the next sign-in: reset-password or setup-mfa; null takes it away."""
    values = body()
    wanted = values.get("task")
    if wanted is not None and wanted not in TASKS:
        raise _wrong(f"task is one of {', '.join(TASKS)}")
    with local().change() as change:
        accounts.update(change, accounts.find_user(change.data, text_of(values, "user_id")), task=wanted)
    return jsonify({"task": wanted})


@blueprint.post("/sign-in")
def sign_in() -> Response:
    """A session without forms or codes: the cookies the app would have after its handshake, by name, and its id."""
    here, values = local(), body()
    suffixed, actor = _flag(values, "suffixed"), values.get("actor")
    if actor is not None and not isinstance(actor, dict):
        raise _wrong("actor is an object with sub")
    with here.change() as change:
        user = accounts.find_user(change.data, text_of(values, "user_id"))
        session, browser = accounts.start_session(
            change, user, second_factor=_flag(values, "second_factor"), actor=actor
        )
        lines = directives.signed_in(
            here.instance,
            token=here.session_token(change.data, session),
            refresh=accounts.new_refresh_token(session),
            signed_in_at=int(change.now),
            db_jwt=browser,
            suffixed=suffixed,
        )
    pairs = (line.partition(";")[0].partition("=") for line in lines)
    return jsonify(
        {
            "session_id": session.id,
            "client": browser,
            "cookies": {name: text for name, _, text in pairs if text},
        }
    )


@blueprint.get("/webhooks")
def webhooks() -> Response:
    """Tries of delivery so far, oldest first (status 0: no answer), and whether none is due."""
    sender = local().sender
    return jsonify({"idle": sender.idle(), "deliveries": list(sender.deliveries)})


@blueprint.post("/webhooks")
def webhook_manner() -> Response:
    """Sets `url`, `paused`, `duplicate`, `delays` (seconds before each try)."""
    manner, values = local().sender.manner, body()
    url, delays = values.get("url", manner.url), values.get("delays", list(manner.delays))
    if not isinstance(url, str) or (url and not delivers_locally(url)):
        raise _wrong("url is an http address on this machine")
    if (
        not isinstance(delays, list)
        or not delays
        or not all(type(one) in (int, float) and one >= 0 for one in delays)
    ):
        raise _wrong("delays is a list of seconds")
    paused = _flag({"paused": manner.paused, **values}, "paused")
    duplicate = _flag({"duplicate": manner.duplicate, **values}, "duplicate")
    manner.url, manner.delays, manner.paused, manner.duplicate = url, delays, paused, duplicate
    return jsonify({"url": url, "delays": delays, "paused": paused, "duplicate": duplicate})


@blueprint.post("/webhooks/flush")
def flush() -> Response:
    """Sends what was held back while paused: `order` forward or reverse, each `copies` times."""
    values = body()
    order, copies = values.get("order", "forward"), values.get("copies", 1)
    if order not in ORDERS or type(copies) is not int or not 1 <= copies <= 10:
        raise _wrong("order is forward or reverse, copies 1 to 10")
    return jsonify({"flushed": local().sender.flush(order, copies)})


@blueprint.post("/webhooks/replay")
def replay() -> Response:
    if not local().sender.replay(text_of(body(), "id")):
        raise Problem(404, "resource_not_found", "No such event")
    return jsonify({"replayed": True})


@blueprint.post("/webhooks/send")
def send() -> Response:
    """Sends an event of the caller's making: `type` and `data`."""
    values = body()
    data = values.get("data")
    if not isinstance(data, dict):
        raise _wrong("data is an object")
    return jsonify({"id": local().sender.emit(text_of(values, "type"), data)})
