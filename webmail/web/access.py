"""Who may ask for what: each endpoint is either in one short tuple or says which permission it requires.

Decided by the endpoint that a request resolves to, never by its path; an endpoint that says nothing is closed to all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask

from webmail.identity.clerk.stepup import PRESETS, Requirement
from webmail.identity.viewer import Viewer

PUBLIC_ENDPOINTS: tuple[str, ...] = (
    "static",
    "health.alive",
    "health.ready",
    "health.metrics",
    "webhooks.clerk",
    "pages.privacy",
    "pages.abuse",
    "pages.abuse_outcome",  # its address holds a secret
    "leaving_us.certificate",  # these addresses hold a secret
    "leaving_us.proof",
    "access_log.counts",
    "log.signed",
    "mta_sts.policy",
    "frames.picture",  # these addresses hold a pass: see `web.passes`
    "frames.remote_picture",
    "auth.sign_in",
    "auth.signed_out",
    "auth.tasks",
)
"""The same for everybody: cookies are not even looked at, and nobody is waited for."""

ANY_HOST_ENDPOINTS: tuple[str, ...] = ("health.alive", "health.ready", "health.metrics", "mta_sts.policy")
"""Asked by machines, under whatever name they know us."""

PUBLIC = "public"
UNDECLARED = "undeclared"
ANYONE = "anyone"
"""Strangers too, but the answer depends on who asks: the start page, and the ways back in."""
WAY_OUT = "way-out"
"""Reachable in every state, suspended and expired included: signing out, and the page that says why one is kept out."""

_EVERYBODY: frozenset[str] | None = None
_STAFF = frozenset({"support", "support_lead", "reviewer", "admin", "auditor"})

ROLES: Mapping[str, frozenset[str] | None] = {
    ANYONE: _EVERYBODY,
    WAY_OUT: _EVERYBODY,
    "account": _EVERYBODY,
    "mail": _EVERYBODY,
    "staff": _STAFF,
    "staff.cases": frozenset({"support", "support_lead"}),
    "staff.access": frozenset({"support", "support_lead"}),
    "staff.close": frozenset(
        {"support", "support_lead", "reviewer", "admin"}
    ),  # not the auditor, who changes nothing
    "staff.approve": frozenset({"support_lead"}),
    "staff.review": frozenset({"reviewer"}),
    "staff.reviews": frozenset({"reviewer", "support_lead", "admin", "auditor"}),
    "staff.gag": frozenset({"support_lead", "admin"}),
    "staff.appeals": frozenset({"support_lead", "reviewer"}),
    "staff.people": frozenset({"support", "support_lead", "admin"}),
    "staff.log": frozenset({"auditor", "admin", "support_lead"}),
    "admin": frozenset({"admin"}),
}
"""Permission to the roles that have it; None for every signed-in person. Roles come from our own table."""

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """What a view asks of its viewer. Both have to hold, and each is checked by itself."""

    permission: str
    fresh: Requirement | None = None


def requires(permission: str, *, fresh: str | None = None) -> Callable[[View], View]:
    """Declare a view's permission and, for what should not be done with a borrowed screen, how recently its viewer has
    to have signed in: a preset of `stepup`. Raises ValueError for names that do not exist, when the view is defined."""
    if permission not in ROLES:
        raise ValueError(f"no such permission: {permission}")
    if fresh is not None and fresh not in PRESETS:
        raise ValueError(f"no such preset: {fresh}")
    access = Access(permission, PRESETS[fresh] if fresh else None)

    def declare(view: View) -> View:
        view.access = access  # type: ignore[attr-defined]
        return view

    return declare


def may(viewer: Viewer, permission: str) -> bool:
    roles = ROLES[permission]
    return roles is None or bool(roles & viewer.roles)


def access_of(app: Flask, endpoint: str) -> Access | None:
    """None for an endpoint that declares nothing."""
    if endpoint in PUBLIC_ENDPOINTS:
        return Access(PUBLIC)
    view = app.view_functions.get(endpoint)
    found = getattr(view, "access", None) or getattr(inspect.unwrap(view) if view else None, "access", None)
    return found if isinstance(found, Access) else None


def declared_access(app: Flask) -> dict[str, str]:
    """Endpoint to permission, `public` or `undeclared`, for every route of the application."""
    found = {rule.endpoint: access_of(app, rule.endpoint) for rule in app.url_map.iter_rules()}
    return {endpoint: access.permission if access else UNDECLARED for endpoint, access in found.items()}
