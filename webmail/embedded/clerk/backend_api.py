"""Clerk's Backend API, the part that is about sessions: refresh, handshake payloads, revocation, impersonation."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from flask import Blueprint, Response, jsonify, request

from webmail.embedded.clerk import directives, tokens
from webmail.embedded.clerk.accounts import (
    end_session,
    find_session,
    find_user,
    is_live,
    new_refresh_token,
    settle,
    start_session,
)
from webmail.embedded.clerk.resources import Problem, actor_token_json, not_found, session_json
from webmail.embedded.clerk.service import Local, local
from webmail.embedded.clerk.store import ActorToken, Session, hash_token, new_id

blueprint = Blueprint("backend_api", __name__, url_prefix="/v1")


def require_secret() -> None:
    """Raise Problem (401) unless the request carries this instance's secret key."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), local().secret.encode()):
        raise Problem(401, "clerk_key_invalid", "The provided Clerk secret key is invalid")


def body() -> dict[str, Any]:
    """The JSON object of the request, empty when there is no body. Raises Problem (400, 422)."""
    if not request.get_data(cache=True):
        return {}
    parsed = request.get_json(force=True, silent=True)
    if not isinstance(parsed, dict):
        raise Problem(400, "request_body_invalid", "The request body is not a JSON object")
    return parsed


def text_of(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise Problem(422, "form_param_missing", f"{name} must be included.", name)
    return value


def seconds_of(values: dict[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = values.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Problem(422, "form_param_value_invalid", f"{name} must be from {least} to {most}", name)
    return value


def page_of(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The part of `items` that limit (default 10, at most 500) and offset ask for."""
    try:
        limit, offset = int(request.args.get("limit", 10)), int(request.args.get("offset", 0))
    except ValueError:
        raise Problem(422, "form_param_format_invalid", "limit and offset are numbers") from None
    if not 1 <= limit <= 500 or offset < 0:
        raise Problem(422, "form_param_value_invalid", "limit is 1 to 500, offset 0 or more")
    return items[offset : offset + limit]


@blueprint.get("/jwks")
def jwks() -> Response:
    with local().store.reading() as data:
        return jsonify(tokens.jwks(data.keys))


@blueprint.get("/clients/handshake_payload")
def handshake_payload() -> Response:
    here = local()
    found = here.nonces.take(request.args.get("nonce", ""), here.controls.now())
    if found is None:
        raise not_found("handshake payload")
    return jsonify({"directives": found})


@blueprint.post("/sessions/<session_id>/refresh")
def refresh(session_id: str) -> Response:
    """A fresh token for a browser that shows its expired one and its refresh token; 401 sends it to a handshake."""
    here, values = local(), body()
    expired, token = text_of(values, "expired_token"), text_of(values, "refresh_token")
    if text_of(values, "request_origin") != here.instance.origin:
        raise _refused()
    wanted = values.get("format", "token")
    if wanted not in ("cookie", "token"):
        raise Problem(422, "form_param_value_invalid", "format is cookie or token", "format")
    suffixed = request.args.get("suffixed_cookies") == "true"
    with here.change() as change:
        session = change.data.sessions.get(session_id)
        user = change.data.users.get(session.user_id) if session else None
        if session is None or user is None or user.banned or not is_live(session, change.now):
            raise _refused()
        if tokens.session_of(change.data.keys, expired) != session.id:
            raise _refused()
        if hash_token(token) not in session.refresh_hashes:
            raise _refused()
        session.last_active_at = change.now_ms
        jwt = here.session_token(change.data, session)
        if wanted == "token":
            return jsonify({"object": "token", "jwt": jwt})
        cookies = directives.session_cookies(here.instance, jwt, suffixed)
        if here.controls.rotate_refresh:
            session.refresh_hashes = []
            cookies.append(directives.refresh_cookie(here.instance, new_refresh_token(session)))
        return jsonify({"object": "cookies", "cookies": cookies})


def _refused() -> Problem:
    """One answer for every reason: which part was wrong is nobody's business."""
    return Problem(401, "session_refresh_invalid", "The session cannot be refreshed")


@blueprint.get("/sessions")
def sessions() -> Response:
    arguments = request.args
    user_id, client_id, status = (arguments.get(name) for name in ("user_id", "client_id", "status"))
    with local().change() as change:
        settle(change)
        found = [
            session
            for session in change.data.sessions.values()
            if user_id in (None, session.user_id)
            and client_id in (None, session.client_id)
            and status in (None, session.status)
        ]
    found.sort(key=lambda session: session.created_at, reverse=True)
    page = page_of([session_json(session) for session in found])
    if arguments.get("paginated") == "true":
        return jsonify({"data": page, "total_count": len(found)})
    return jsonify(page)


@blueprint.post("/sessions")
def new_session() -> Response:
    """For tests, on development instances alone, as the real one has it."""
    here = local()
    if not here.instance.development:
        raise Problem(403, "request_invalid_for_environment", "Only development instances create sessions")
    user_id = text_of(body(), "user_id")
    with here.change() as change:
        session, _ = start_session(change, find_user(change.data, user_id))
        return jsonify(session_json(session))


def _one(here: Local, session_id: str) -> Session:
    with here.change() as change:
        settle(change)
        return find_session(change.data, session_id)


@blueprint.get("/sessions/<session_id>")
def session(session_id: str) -> Response:
    return jsonify(session_json(_one(local(), session_id)))


@blueprint.post("/sessions/<session_id>/revoke")
def revoke(session_id: str) -> Response:
    with local().change() as change:
        found = find_session(change.data, session_id)
        end_session(change, found, "revoked")
        return jsonify(session_json(found))


@blueprint.post("/sessions/<session_id>/tokens")
def new_token(session_id: str) -> Response:
    here = local()
    seconds = seconds_of(body(), "expires_in_seconds", here.controls.token_seconds, 30, 315_360_000)
    found = _one(here, session_id)
    if not is_live(found, here.controls.now()):
        raise not_found("session")
    with here.store.reading() as data:
        return jsonify({"object": "token", "jwt": here.session_token(data, found, seconds)})


@blueprint.post("/actor_tokens")
def new_actor_token() -> Response:
    """A link that signs somebody in as somebody else, on the record: tokens of that session carry `act`."""
    here, values = local(), body()
    actor = values.get("actor")
    if not isinstance(actor, dict) or not isinstance(actor.get("sub"), str):
        raise Problem(422, "form_param_missing", "actor.sub must be included.", "actor")
    seconds = seconds_of(values, "expires_in_seconds", 3600, 1, 2_592_000)
    lasting = seconds_of(values, "session_max_duration_in_seconds", 1800, 1, 2_592_000)
    ticket = "act_" + secrets.token_urlsafe(32)
    with here.change() as change:
        user = find_user(change.data, text_of(values, "user_id"))
        now = change.now_ms
        item = ActorToken(
            new_id("act"),
            user.id,
            actor,
            hash_token(ticket),
            "pending",
            now,
            now,
            now + seconds * 1000,
            lasting,
        )
        change.data.actor_tokens[item.id] = item
        return jsonify(actor_token_json(item, f"{here.instance.url}/ticket?__clerk_ticket={ticket}", ticket))


@blueprint.post("/actor_tokens/<token_id>/revoke")
def revoke_actor_token(token_id: str) -> Response:
    with local().change() as change:
        item = change.data.actor_tokens.get(token_id)
        if item is None:
            raise not_found("actor token")
        if item.status != "pending":
            raise Problem(400, "actor_token_cannot_be_revoked", f"The actor token is {item.status}")
        item.status, item.updated_at = "revoked", change.now_ms
        return jsonify(actor_token_json(item, "", None))
