"""Clerk's Backend API, as far as we use it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.transport import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    Limits,
    RateLimited,
    Transport,
)

_ID = re.compile(r"(user|sess)_[A-Za-z0-9]{1,64}")


@dataclass(frozen=True, slots=True)
class ClientHints:
    """All that Clerk is told about the browser whose session it renews: no cookie, no address of a page."""

    user_agent: str = ""
    accept_language: str = ""
    ip: str = ""


class BackendClient:
    """Every method raises BackendError, and ValueError for an id that is not one of Clerk's."""

    def __init__(
        self,
        settings: ClerkSettings,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = settings.origin
        self._transport = Transport(settings, limits or Limits(), clock)
        self._call = self._transport.call

    # --- what the middleware needs ---

    def refresh_session(
        self, session_id: str, expired_token: str, refresh_token: str, *, suffixed: bool, hints: ClientHints
    ) -> tuple[str, ...]:
        """`Set-Cookie` directives with a new session token. Never retried: a refresh token may be good for one use."""
        headers = {"user-agent": hints.user_agent, "accept-language": hints.accept_language}
        body: dict[str, object] = {
            "format": "cookie",
            "expired_token": expired_token,
            "refresh_token": refresh_token,
            "request_origin": self._origin,
            "request_headers": {name: [value] for name, value in headers.items() if value},
        }
        if hints.ip:
            body["request_originating_ip"] = hints.ip
        path = f"/sessions/{_checked(session_id, 'sess')}/refresh"
        answer = self._call(
            "POST", path, query={"suffixed_cookies": "true" if suffixed else "false"}, body=body
        )
        return _strings(_object(answer).get("cookies"))

    def handshake_payload(self, nonce: str) -> tuple[str, ...]:
        """Directives waiting under a nonce. Asked a second time after any failure: the alternative is an error page."""
        once = partial(self._transport.once, "GET", "/clients/handshake_payload", {"nonce": nonce}, None)
        deadline = self._transport.deadline()
        try:
            answer = once(deadline)
        except RateLimited:
            raise
        except BackendError:
            answer = once(deadline)
        return _strings(_object(answer).get("directives"))

    def jwks(self) -> object:
        """The instance's JWK set (RFC 7517), unread."""
        return self._call("GET", "/jwks", retry=True)

    # --- people ---

    def user(self, user_id: str) -> dict[str, Any]:
        return _object(self._call("GET", f"/users/{_checked(user_id, 'user')}", retry=True))

    def find_users(
        self, *, email: str | None = None, query: str | None = None, limit: int = 20, offset: int = 0
    ) -> list[dict[str, Any]]:
        parameters = {"limit": str(limit), "offset": str(offset)}
        if email is not None:
            parameters["email_address[]"] = email
        if query is not None:
            parameters["query"] = query
        return _objects(self._call("GET", "/users", query=parameters, retry=True))

    def count_users(self) -> int:
        count = _object(self._call("GET", "/users/count", retry=True)).get("total_count")
        if not isinstance(count, int):
            raise BackendUnavailable("unreadable")
        return count

    def update_user(self, user_id: str, changes: Mapping[str, object]) -> dict[str, Any]:
        """Names and the like; Clerk refuses metadata here since API version 2026-05-12."""
        return _object(self._call("PATCH", f"/users/{_checked(user_id, 'user')}", body=changes))

    def delete_user(self, user_id: str) -> None:
        self._call("DELETE", f"/users/{_checked(user_id, 'user')}")

    def ban_user(self, user_id: str) -> None:
        """Ends all sessions and prevents new ones. Raises PlanLacks where the instance cannot ban."""
        self._call("POST", f"/users/{_checked(user_id, 'user')}/ban")

    def unban_user(self, user_id: str) -> None:
        self._call("POST", f"/users/{_checked(user_id, 'user')}/unban")

    def lock_user(self, user_id: str) -> None:
        """Prevents new sign-ins for a time; sessions go on."""
        self._call("POST", f"/users/{_checked(user_id, 'user')}/lock")

    def unlock_user(self, user_id: str) -> None:
        self._call("POST", f"/users/{_checked(user_id, 'user')}/unlock")

    # --- sessions ---

    def sessions(
        self, user_id: str, *, status: str = "active", limit: int = 100, offset: int = 0
    ) -> list[dict[str, Any]]:
        query = {
            "user_id": _checked(user_id, "user"),
            "status": status,
            "limit": str(limit),
            "offset": str(offset),
        }
        return _objects(self._call("GET", "/sessions", query=query, retry=True))

    def session(self, session_id: str) -> dict[str, Any]:
        return _object(self._call("GET", f"/sessions/{_checked(session_id, 'sess')}", retry=True))

    def revoke_session(self, session_id: str) -> None:
        """Twice does no harm, so it is retried. Tokens already issued last for their minute."""
        self._call("POST", f"/sessions/{_checked(session_id, 'sess')}/revoke", retry=True)

    # --- step-up without leaving our pages ---

    def verify_password(self, user_id: str, password: str) -> bool:
        return self._verified(f"/users/{_checked(user_id, 'user')}/verify_password", {"password": password})

    def verify_totp(self, user_id: str, code: str) -> bool:
        """A backup code is accepted as well, and is spent by it."""
        return self._verified(f"/users/{_checked(user_id, 'user')}/verify_totp", {"code": code})

    def _verified(self, path: str, body: Mapping[str, object]) -> bool:
        try:
            return _object(self._call("POST", path, body=body)).get("verified") is True
        except RateLimited:
            raise
        except BackendRefused as error:
            if error.status in (400, 422):
                return False
            raise


def _checked(identifier: str, kind: str) -> str:
    if not identifier.startswith(f"{kind}_") or not _ID.fullmatch(identifier):
        raise ValueError(f"not a {kind} id")
    return identifier


def _object(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise BackendUnavailable("unreadable")
    return answer


def _objects(answer: object) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise BackendUnavailable("unreadable")
    return answer


def _strings(answer: object) -> tuple[str, ...]:
    items: Sequence[object] = answer if isinstance(answer, list) else ()
    return tuple(item for item in items if isinstance(item, str))
