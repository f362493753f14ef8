"""Clerk's Frontend API as far as an app without ClerkJS meets it: the key set, the handshake, the touch."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, jsonify, request

from webmail.embedded.clerk import directives, tokens
from webmail.embedded.clerk.accounts import client_session, new_refresh_token
from webmail.embedded.clerk.resources import Problem
from webmail.embedded.clerk.service import Local, local

blueprint = Blueprint("frontend_api", __name__)
CLIENT_COOKIE = "__client"


def redirect_target() -> str:
    """The `redirect_url` of the request. Raises Problem (400) unless it lies on the app's origin or on ours."""
    url = request.args.get("redirect_url", "")
    instance = local().instance
    if not directives.is_allowed_redirect(url, instance.origin, instance.url):
        raise Problem(400, "invalid_url", "redirect_url is not on an allowed origin", "redirect_url")
    return url


def away(url: str, status: int) -> Response:
    """A redirect whose Location is the given text to the letter."""
    return Response(status=status, headers={"Location": url, "Cache-Control": "no-store"})


@blueprint.get("/.well-known/jwks.json")
def jwks() -> Response:
    with local().store.reading() as data:
        return jsonify(tokens.jwks(data.keys))


@blueprint.get("/v1/client/touch")
def touch() -> Response:
    return away(redirect_target(), 307)


@blueprint.get("/v1/client/handshake")
def handshake() -> Response:
    """Answer "who is this browser" with cookies for the app, carried by its next request."""
    here = local()
    target = redirect_target()
    wanted = request.args.get("format", "token")
    if wanted not in ("token", "nonce"):
        raise Problem(422, "form_param_value_invalid", "format is token or nonce", "format")
    if here.controls.handshake == "nothing":
        return away(target, 307)
    suffixed = request.args.get("suffixed_cookies") == "true"
    cookies = _cookies_for_browser(here, suffixed)
    name, value = _payload(here, cookies, wanted)
    if here.instance.development:
        return away(directives.with_parameter(target, name, value), 307)
    answer = away(target, 307)
    answer.headers.add("Set-Cookie", directives.envelope_cookie(here.instance, name, value))
    return answer


def _cookies_for_browser(here: Local, suffixed: bool) -> list[str]:
    """An unknown development browser gets a name of our making: one from a link would be somebody else's to know."""
    instance = here.instance
    token = request.args.get("__clerk_db_jwt") if instance.development else request.cookies.get(CLIENT_COOKIE)
    with here.store.reading() as data:
        found = client_session(data, token, here.controls.now())
    if found is None or token is None:
        fresh = "dvb_" + secrets.token_urlsafe(32)
        return directives.signed_out(instance, db_jwt=fresh, suffixed=suffixed)
    with here.change() as change:
        client, session = found
        session.last_active_at = change.now_ms
        return directives.signed_in(
            instance,
            token=here.session_token(change.data, session),
            refresh=new_refresh_token(session),
            signed_in_at=client.signed_in_at,
            db_jwt=token,
            suffixed=suffixed,
        )


def _payload(here: Local, cookies: list[str], wanted: str) -> tuple[str, str]:
    """Name and value that carry `cookies`: the signed envelope, or a nonce where it is too long and that is wanted."""
    controls = here.controls
    with here.store.reading() as data:
        envelope = tokens.sign_handshake(data.keys, cookies, foreign=controls.handshake == "foreign_key")
    long = wanted == "nonce" and len(envelope) > directives.ENVELOPE_BYTES
    if controls.handshake_format == "nonce" or (long and controls.handshake_format == "asked"):
        return directives.NONCE_COOKIE, here.nonces.put(cookies, controls.now())
    return directives.ENVELOPE_COOKIE, envelope
