"""The guard of every route: from a request to a verdict, a viewer, and either the view or an answer in its place."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from flask import Flask, Response, abort, g, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from webmail.identity.clerk.authenticate import Clerk
from webmail.identity.clerk.backend import ClientHints
from webmail.identity.clerk.facts import RequestClass, RequestFacts, facts_of
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import SIGNED_IN_STATES, Session, State, Verdict
from webmail.identity.clerk.stepup import Requirement, is_fresh
from webmail.identity.clerk.verdict import refuse
from webmail.identity.viewer import Denied, Viewer
from webmail.web.access import ANY_HOST_ENDPOINTS, ANYONE, PUBLIC, UNDECLARED, WAY_OUT, Access, access_of, may
from webmail.web.auth_answers import answer, ask_to_confirm, raw_target
from webmail.web.next_page import safe_next

log = logging.getLogger("webmail.web.auth")

TELL_AGAIN = 600.0
"""Seconds."""
_VARY = ("Cookie", "HX-Request", "Sec-Fetch-Dest")
_STRANGER = Verdict(State.SIGNED_OUT, "not-looked-at", RequestClass.OTHER)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the rest of the application does for this module. Each may raise: the request then fails closed."""

    is_denied: Callable[[Session], bool]
    """Whether this session or its user has been shut out; asked on every request that is signed in."""
    deny: Callable[[str, str], None]
    """(session id, user id): shut this session out for at least a day."""
    revoke: Callable[[str], None]
    """(session id): have Clerk revoke it, sooner or later."""
    audit: Callable[[str, Mapping[str, str]], None]
    """(event, ids): write down what staff will want to look at."""
    confirmed: Callable[[Session, Requirement], bool]
    """Whether this person has confirmed who he is in some way of our own."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One application's guard; `app.extensions["auth"]`."""

    clerk: Clerk
    hooks: Hooks
    load_viewer: Callable[[Session], Viewer | Denied]

    @property
    def settings(self) -> ClerkSettings:
        return self.clerk.settings

    def before(self, app: Flask) -> BaseResponse | None:
        g.viewer, g.auth, g.barred = None, _STRANGER, 0
        if (elsewhere := self._other_host()) is not None:
            return elsewhere
        facts = asked()
        if request.endpoint is None:
            # Not found, or a wrong method: an error page follows in any case, and knows whose it is.
            self._meet(self.clerk.glance(facts))
            g.auth = replace(g.auth, set_cookies=(), location=None)
            return None
        access = access_of(app, request.endpoint)
        if access is not None and access.permission == PUBLIC:
            return None
        hints = ClientHints(
            user_agent=request.headers.get("User-Agent", "")[:512],
            accept_language=request.headers.get("Accept-Language", "")[:256],
            ip=request.remote_addr or "",
        )
        began = time.monotonic()
        verdict = self.clerk.settle(facts, hints)
        self._meet(verdict)
        _log(g.auth, time.monotonic() - began)
        return self._judge(access, facts)

    def after(self, app: Flask, response: Response) -> Response:
        auth: Verdict = g.get("auth", _STRANGER)
        # Before those of the view: where both set a cookie, the browser keeps the later.
        own = response.headers.getlist("Set-Cookie")
        if auth.set_cookies:
            response.headers.setlist("Set-Cookie", [*auth.set_cookies, *own])
            response.headers["Cache-Control"] = "private, no-store"
        if auth is not _STRANGER:
            response.vary.update(_VARY)
        return response

    def _other_host(self) -> BaseResponse | None:
        """Links, cookies and tokens are all for one origin; under another name we only point there."""
        if request.endpoint in ANY_HOST_ENDPOINTS or request.host.lower() == self.settings.host:
            return None
        if request.method not in ("GET", "HEAD"):
            abort(400)
        return redirect(self.settings.origin + safe_next(raw_target()), 302)

    def _meet(self, verdict: Verdict) -> None:
        """Turn a session into a viewer, or into a denial for reasons of our own."""
        if verdict.warning:
            log.warning("clerk: %s", verdict.warning)
        if verdict.actor:
            ids = {"actor": verdict.actor.subject, "issuer": verdict.actor.issuer}
            if verdict.known:
                ids |= {"user": verdict.known.user_id, "session": verdict.known.session_id}
            self.hooks.audit("impersonation-refused", ids)
        g.auth = verdict if verdict.session is None else self._admit(verdict, verdict.session)

    def _admit(self, verdict: Verdict, session: Session) -> Verdict:
        if self.hooks.is_denied(session):
            return refuse(verdict, "session-denied")
        viewer = self.load_viewer(session)
        if isinstance(viewer, Denied):
            g.barred = viewer.account_id
            return refuse(verdict, viewer.reason)
        g.viewer = viewer
        return verdict

    def _judge(self, access: Access | None, facts: RequestFacts) -> BaseResponse | None:
        """None lets the view run."""
        verdict: Verdict = g.auth
        permission = access.permission if access else UNDECLARED
        if permission == WAY_OUT:
            if verdict.state not in SIGNED_IN_STATES:
                g.auth = replace(verdict, set_cookies=(), location=None)
            return None
        if verdict.state not in SIGNED_IN_STATES:
            nobody = verdict.state in (State.SIGNED_OUT, State.INVALID)
            return None if nobody and permission == ANYONE else answer(verdict, facts, self.settings)
        if access is None:
            log.error("endpoint %s declares no permission and is closed", request.endpoint)
        if access is None or not may(g.viewer, permission):
            return self._refuse("not-permitted", facts)
        if facts.unsafe and verdict.session is not None and verdict.session.actor is not None:
            return self._refuse("impersonation-read-only", facts)
        if access.fresh is not None and not self._is_fresh(verdict, access.fresh):
            return ask_to_confirm(access.fresh, facts, verdict, self.settings)
        return None

    def _refuse(self, reason: str, facts: RequestFacts) -> BaseResponse:
        g.viewer, g.auth = None, refuse(g.auth, reason)
        return answer(g.auth, facts, self.settings)

    def _is_fresh(self, verdict: Verdict, needed: Requirement) -> bool:
        session = verdict.session
        if session is None or session.actor is not None:
            return False
        fresh = is_fresh(session.factor_ages, session.issued_at, self.clerk.clock(), needed)
        return fresh or self.hooks.confirmed(session, needed)


def asked() -> RequestFacts:
    """The facts of the request at hand."""
    return facts_of(request.method, raw_target(), request.headers, request.cookies.items(multi=True))


class Once:
    """Tells of each thing once in ten minutes: who is refused asks on, and the log is for good."""

    def __init__(
        self, audit: Callable[[str, Mapping[str, str]], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._told: dict[tuple[object, ...], float] = {}

    def __call__(self, event: str, ids: Mapping[str, str]) -> None:
        key, now = (event, *sorted(ids.items())), self._clock()
        if self._told.get(key, -math.inf) > now - TELL_AGAIN:
            return
        self._audit(event, ids)
        # Afterwards: what could not be written down has not been told. Copied, as threads share it.
        recent = {one: at for one, at in tuple(self._told.items()) if at > now - TELL_AGAIN}
        self._told = recent | {key: now}


def hashed(session_id: str) -> str:
    """A session's id as logs may have it."""
    return hashlib.sha256(session_id.encode()).hexdigest()[:12]


def _log(verdict: Verdict, seconds: float) -> None:
    level = logging.DEBUG if verdict.state is State.SIGNED_IN else logging.INFO
    session = hashed(verdict.known.session_id) if verdict.known else "-"
    log.log(
        level,
        "auth %s %s %s session=%s ms=%d",
        verdict.state.value,
        verdict.reason,
        verdict.request_class,
        session,
        seconds * 1000,
    )
