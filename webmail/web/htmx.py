"""The one place that knows htmx: whether a request wants a fragment, and the headers that steer the swap.

htmx-flask reads the headers that htmx 2 and 4 share; its response helper refuses valid swaps and knows neither
`HX-Reselect` nor `Vary`, so those are made here. A page and its fragment share one address, and so every answer
from `render` says `Vary`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Flask, Request, Response, make_response, render_template, request
from htmx_flask import Htmx
from htmx_flask.requests import HtmxHeaders

VARY = ("HX-Request", "HX-Request-Type")

_SWAP = re.compile(r"[A-Za-z]+( [a-zA-Z]+:[\w.#-]+)*")
_SELECTOR = re.compile(r"[\w#.\-\[\]=\" >]+", re.ASCII)
_EVENT = re.compile(r"[\w.:-]+", re.ASCII)


def init_app(app: Flask) -> None:
    """Let views ask `request.htmx`."""
    Htmx(app)


def is_fragment(req: Request) -> bool:
    """Whether htmx will swap the answer into the page, so that the partial alone is wanted.

    Restoring history wants the page. htmx 4 says which in `HX-Request-Type`; htmx 2 leaves it out.
    """
    asked = HtmxHeaders(req.headers)
    if not asked or asked.history_restore_request:
        return False
    return req.headers.get("HX-Request-Type", "partial") == "partial"


def render(page_template: str, partial_template: str | None = None, /, **context: Any) -> Response:
    """The partial for a request that wants a fragment, else the page, which includes that very partial."""
    fragment = partial_template is not None and is_fragment(request)
    template = partial_template if fragment and partial_template else page_template
    response = make_response(render_template(template, **context))
    response.vary.update(VARY)
    return response


def steer(
    response: Response,
    *,
    reswap: str | None = None,
    retarget: str | None = None,
    reselect: str | None = None,
    push_url: str | bool | None = None,
    trigger: str | Mapping[str, Mapping[str, Any] | None] | None = None,
) -> Response:
    """Set the headers that change what htmx does with `response`, and return it.

    `push_url` is a path of our own, or False for none. `trigger` is one event's name, or names with details. Raises
    ValueError for whatever could break out of its header or lead off this origin: such values come from our own
    code, so one that does not fit is a bug and not a person's doing.
    """
    headers = response.headers
    for name, value, pattern in (
        ("HX-Reswap", reswap, _SWAP),
        ("HX-Retarget", retarget, _SELECTOR),
        ("HX-Reselect", reselect, _SELECTOR),
    ):
        if value is not None:
            if not pattern.fullmatch(value):
                raise ValueError(f"not a value for {name}")
            headers[name] = value
    if push_url is not None:
        headers["HX-Push-Url"] = own_path(push_url) if isinstance(push_url, str) else json.dumps(push_url)
    if trigger is not None:
        headers["HX-Trigger"] = _events(trigger)
    return response


def own_path(path: str) -> str:
    """`path` made safe for a header: same origin, percent-encoded ASCII. Raises ValueError for anything else."""
    if not path.startswith("/") or path.startswith("//") or "\\" in path or urlsplit(path).netloc:
        raise ValueError("not a path of this site")
    return quote(path, safe="/?&=%+#:@!$'()*,;~-._[]")


def _events(trigger: str | Mapping[str, Mapping[str, Any] | None]) -> str:
    names = [trigger] if isinstance(trigger, str) else list(trigger)
    if not all(_EVENT.fullmatch(name) for name in names):
        raise ValueError("not an event's name")
    # json.dumps escapes all that is not ASCII, and CR and LF with it: a header can carry any detail.
    return trigger if isinstance(trigger, str) else json.dumps(dict(trigger), separators=(",", ":"))
