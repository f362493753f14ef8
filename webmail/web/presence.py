"""Noting which sessions are in use: a look at a value of this process, and now and then a row."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import request

from webmail.db import transaction
from webmail.identity import sessions
from webmail.identity.clerk.states import Session
from webmail.identity.shared import SharedStore
from webmail.identity.viewer import Denied, Viewer

log = logging.getLogger(__name__)
Loader = Callable[[Session], Viewer | Denied]


def noting(load: Loader, shared: SharedStore) -> Loader:
    """`load` of a viewer, which from now on notes his session, at most once every four minutes and process.

    Somebody acting as another (`act`) is not noted as that other. The request's own database is the one it writes to: without it no
    page would come either.
    """

    def loaded(session: Session) -> Viewer | Denied:
        viewer = load(session)
        key = f"seen:{session.session_id}"
        if isinstance(viewer, Denied) or session.actor is not None or shared.get(key) is not None:
            return viewer
        with transaction():
            is_new = sessions.seen(viewer, request.headers.get("User-Agent", ""), request.remote_addr or "")
        shared.set(key, "1", sessions.SEEN_EVERY.total_seconds())
        if is_new:
            log.info("signed in", extra={"account": viewer.account_id})
        return viewer

    return loaded
