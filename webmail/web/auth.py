"""Who is asking, before any view runs: `g.auth` is the verdict on the request, `g.viewer` the person or None.

Nothing else in the application reads Clerk's cookies. Both are frozen, and set once a request.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from flask import Flask

from webmail.identity.clerk.authenticate import Clerk, build_clerk
from webmail.identity.clerk.backend import BackendClient
from webmail.identity.clerk.settings import ClerkSettings
from webmail.identity.clerk.states import Session
from webmail.identity.clerk.transport import BackendError
from webmail.identity.shared import SharedStore
from webmail.identity.viewer import Denied, Viewer
from webmail.web.auth_views import blueprint
from webmail.web.gate import Gate, Hooks, Once, hashed
from webmail.web.next_page import safe_next

__all__ = ["DENIED_SECONDS", "Gate", "Hooks", "default_hooks", "init_app", "safe_next", "stream_guard"]

log = logging.getLogger(__name__)

DENIED_SECONDS = 24 * 3600
STREAM_SECONDS = 300


def init_app(
    app: Flask,
    *,
    settings: ClerkSettings,
    load_viewer: Callable[[Session], Viewer | Denied],
    shared: SharedStore,
    hooks: Hooks | None = None,
    clerk: Clerk | None = None,
) -> None:
    """Guard every route of `app`, and add the `auth` blueprint. Call it before whatever checks CSRF tokens, which are
    bound to a session. `hooks` and `clerk` are by default what `default_hooks` and `build_clerk` make of the rest."""
    clerk = clerk or build_clerk(settings, shared)
    hooks = hooks or default_hooks(shared, clerk.backend)
    gate = Gate(clerk, replace(hooks, audit=Once(hooks.audit)), load_viewer)
    app.extensions["auth"] = gate
    app.extensions.setdefault("origin", settings.origin)
    app.register_blueprint(blueprint)
    app.before_request(lambda: gate.before(app))
    app.after_request(lambda response: gate.after(app, response))


def default_hooks(shared: SharedStore, backend: BackendClient) -> Hooks:
    """Denials in the shared store, revocation at once, audit events in the log."""

    def revoke(session_id: str) -> None:
        try:
            backend.revoke_session(session_id)
        except BackendError as error:
            log.warning("session %s not revoked: %s", hashed(session_id), error.code)

    return Hooks(
        is_denied=lambda session: (
            shared.get(f"denied:{session.session_id}") is not None
            or shared.get(f"denied:{session.user_id}") is not None
        ),
        deny=lambda session_id, user_id: shared.set(f"denied:{session_id}", "1", DENIED_SECONDS),
        revoke=revoke,
        audit=lambda event, ids: log.warning("audit %s %s", event, " ".join(sorted(ids))),
        confirmed=lambda session, needed: False,
    )


def stream_guard(gate: Gate, session: Session) -> Callable[[], str | None]:
    """For an open stream of events: call the result at every heartbeat. Any word it returns is to be sent as
    `event: auth`, and ends the stream."""
    began = time.monotonic()

    def check() -> str | None:
        if gate.hooks.is_denied(session):
            return "denied"
        return "stale" if time.monotonic() - began >= STREAM_SECONDS else None

    return check
