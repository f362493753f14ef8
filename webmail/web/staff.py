"""What pages of the staff share: the transaction without rights to mail, the frame of a page, and what waits for whom.

A page of the staff opens `staff_transaction` and nothing else, and answers with `staff_page`. What is due there is told on the
first page by a panel, registered with `panel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from flask import Response, g
from sqlalchemy.orm import Session

from webmail.db import transaction
from webmail.identity.viewer import Viewer
from webmail.web.access import ROLES, may
from webmail.web.htmx import render
from webmail.web.staff_nav import entries
from webmail.web.viewing import left, page


def staff_transaction() -> AbstractContextManager[Session]:
    """A transaction with the rights of the staff's pages: governance tables and narrow views, no table of mail."""
    return transaction(staff=True)


def staff_page(
    template: str,
    partial: str | None = None,
    /,
    *,
    title: str,
    status: int = 200,
    waiting: Mapping[str, int] | None = None,
    **context: Any,
) -> Response:
    """A page that extends `staff/base.html`, or its partial for htmx. Call it after the transaction.

    `waiting`: counts beside the links, by address (`{"/staff/cases": 3}`). `notice` is, unless given, what `leave` kept.
    """
    work, service = entries(waiting)
    if "notice" not in context:
        context["notice"] = left()
    response = render(template, partial, **page(title, staff_work=work, staff_service=service, **context))
    response.status_code = status
    return response


# --- what waits ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits. `late` marks what is past its time."""

    words: str
    href: str
    note: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A heading of the first page. `count`: how many wait in all; `lines` are the first few; `none` is said where nothing waits."""

    title: str
    href: str
    count: int = 0
    lines: Sequence[Waiting] = ()
    none: str = ""


PanelMaker = Callable[[Viewer], "Panel | None"]


@dataclass(frozen=True, slots=True)
class _Registered:
    place: str
    permission: str
    make: PanelMaker


panels: list[_Registered] = []


def panel(permission: str, *, place: str = "staff") -> Callable[[PanelMaker], PanelMaker]:
    """Show what this function makes on the first page of `place` ("staff" or "admin") to those who have `permission`.

    It is called with the viewer inside a `staff_transaction`; None shows nothing. Registered when its module is imported.
    Raises ValueError for a permission or a place that does not exist.
    """
    if permission not in ROLES or place not in ("staff", "admin"):
        raise ValueError(f"no such permission or place: {permission}, {place}")

    def register(make: PanelMaker) -> PanelMaker:
        panels.append(_Registered(place, permission, make))
        return make

    return register


def waiting_for(viewer: Viewer, place: str) -> list[Panel]:
    """The panels of a first page, in the order of registration; inside a `staff_transaction`."""
    made = [one.make(viewer) for one in panels if one.place == place and may(viewer, one.permission)]
    return [one for one in made if one is not None]


def actor() -> str:
    """The viewer as audit events name him."""
    return f"account:{g.viewer.account_id}"
