"""The way about for the staff: which pages there are, as far as this viewer may open them.

An entry is an address. Who may open it is what its route declares (`web.access`), and an address without a route is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask, current_app, g, request
from flask_babel import lazy_gettext as _l

from webmail.web.access import access_of, may

STAFF = (
    ("/staff", _l("Waiting")),
    ("/staff/cases", _l("Cases")),
    ("/staff/access", _l("Access")),
    ("/staff/actions", _l("Actions")),
    ("/staff/quarantines", _l("Held mail")),
    ("/staff/reviews", _l("Reviews")),
    ("/staff/appeals", _l("Appeals")),
    ("/staff/requests", _l("Requests")),
    ("/staff/people", _l("People")),
    ("/staff/memory", _l("Memory")),
    ("/staff/log", _l("Log")),
)
ADMIN = (
    ("/admin", _l("Service")),
    ("/admin/roles", _l("Roles")),
    ("/admin/invitations", _l("Invitations")),
    ("/admin/domains", _l("Domains")),
    ("/admin/settings", _l("Settings")),
    ("/admin/relay", _l("Relays")),
    ("/admin/records", _l("Records")),
    ("/admin/webhooks", _l("Webhooks")),
    ("/admin/queues", _l("Queues")),
    ("/admin/alerts", _l("Alerts")),
    ("/admin/deliveries", _l("Deliveries")),
    ("/admin/metrics", _l("Numbers")),
    ("/admin/retention", _l("Retention")),
    ("/admin/requests", _l("Requests")),
    ("/admin/holds", _l("Legal holds")),
    ("/admin/backups", _l("Backups")),
    ("/admin/keys", _l("Keys")),
)
"""Addresses and what they are called, in the order of the page. A page of the staff adds its line here, and nothing else."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A link in the row of pages. `count`: how many things wait there, 0 where nobody has counted."""

    href: str
    name: str
    current: bool = False
    count: int = 0


def entries(counts: Mapping[str, int] | None = None) -> tuple[list[Entry], list[Entry]]:
    """The viewer's links: work of the staff, and of admins. `counts` by address."""
    told = counts or {}
    # A colleague who may open nothing but the first page gets no row of one link.
    return _some(STAFF, told), _some(ADMIN, told)


def _some(listed: tuple[tuple[str, object], ...], counts: Mapping[str, int]) -> list[Entry]:
    open_to = _permissions(current_app)
    first = listed[0][0]
    return [
        Entry(href, str(name), _is_here(href, first), counts.get(href, 0))
        for href, name in listed
        if href in open_to and may(g.viewer, open_to[href])
    ]


def _is_here(href: str, first: str) -> bool:
    here = request.path.rstrip("/")
    return here == href or (href != first and here.startswith(f"{href}/"))


def _permissions(app: Flask) -> Mapping[str, str]:
    """Permission by address, of every route here that answers GET; looked up once."""
    known: Mapping[str, str] | None = app.extensions.get("staff_pages")
    if known is None:
        known = {}
        for rule in app.url_map.iter_rules():
            access = access_of(app, rule.endpoint)
            if rule.rule.startswith(("/staff", "/admin")) and "GET" in (rule.methods or ()) and access:
                known = {**known, rule.rule.rstrip("/"): access.permission}
        app.extensions["staff_pages"] = known
    return known
