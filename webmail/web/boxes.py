"""Whose mailbox a request is about: its address says so, and nothing else does.

An address without a mailbox in it is about the person's home, which is chosen once and never changes; all others begin with
`/box/<mailbox>`. So a page, its forms and its fragments can never mean another mailbox than the one they were made for, in however
many tabs. The mailbox is the root of the application for such a request, and `url_for` keeps it in every link.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, has_request_context, request
from jinja2 import pass_context
from jinja2.runtime import Context

from webmail.db import read_id, show_id
from webmail.identity.viewer import Viewer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_NAMED = re.compile(r"/box/([A-Za-z0-9_-]{8})(?=/|$)")
_KEY = "mtumail.mailbox"


class NamedMailbox:
    """Takes the mailbox off the path before the application routes it. Whether it is somebody's is asked with who he is."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        found = _NAMED.match(path) if path.startswith("/box/") else None
        if found is not None:
            environ[_KEY] = read_id(found[1])
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + found[0]
            environ["PATH_INFO"] = path[found.end() :] or "/"
        return self._inner(environ, start_response)


def init_app(app: Flask) -> None:
    """Let requests name a mailbox. Before the static files, which are in none."""
    app.wsgi_app = NamedMailbox(app.wsgi_app)  # type: ignore[method-assign]


def named() -> int | None:
    """The mailbox that this request names; None where it is about the home."""
    found: int | None = request.environ.get(_KEY)
    return found


def here(path: str) -> str:
    """A path of this site (`/mail/inbox`) in the mailbox that this request is about."""
    return f"{request.script_root}{path}" if has_request_context() else path


@pass_context  # or Jinja would ask once, when it compiles the template
def here_filter(_context: Context, path: str) -> str:
    """`{{ '/settings'|here }}`: as `here`."""
    return here(path)


def path_in(viewer: Viewer, mailbox_id: int, path: str = "/") -> str:
    """A path of this site in one of the viewer's mailboxes, from wherever it is asked."""
    return path if mailbox_id == viewer.home_id else f"/box/{show_id(mailbox_id)}{path}"


def start(viewer: Viewer) -> str:
    """Where somebody begins whose home is nowhere: in the mailbox that he has belonged to longest, or where he gets one."""
    if viewer.memberships:
        return path_in(viewer, viewer.memberships[0].mailbox_id)
    return "/welcome"


def switcher(viewer: Viewer) -> list[dict[str, Any]]:
    """The viewer's mailboxes for the menu of the account: address, where it is, whether it is this one. Empty for a single one."""
    if len(viewer.memberships) < 2:
        return []
    return [
        {
            "address": one.address,
            "href": path_in(viewer, one.mailbox_id),
            "current": one.mailbox_id == viewer.mailbox_id,
        }
        for one in viewer.memberships
    ]
