"""What is said about a body: what was left out of it, and what could not be read."""

from typing import Final

from flask_babel import lazy_gettext as _l

from webmail.mail.reading import View
from webmail.mail.sanitize import named
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

MAX_NAMED: Final = 3


def body_note(view: View) -> str:
    """One or two sentences below a body, or nothing."""
    parts = []
    if view.refused:
        parts.append(_("Its formatting is too heavy to show safely, so this is its text."))
    if view.trackers:
        names = list(dict.fromkeys(item.name or item.host for item in named(view.trackers)))
        shown = ", ".join(names[:MAX_NAMED])
        if len(names) > MAX_NAMED:
            shown = _("%(names)s and others", names=shown)
        parts.append(
            ngettext(
                "%(num)s tracker left out: %(names)s.",
                "%(num)s trackers left out: %(names)s.",
                len(view.trackers),
                names=shown,
            )
        )
    return " ".join(parts)


_PROBLEMS: Final = {
    "too-deep": _l("It is nested deeper than we follow; what lies below is not shown."),
    "too-many-parts": _l("It has more parts than we show."),
    "too-many-headers": _l("It has more headers than we show."),
    "addresses-cut": _l("It names more people than we show."),
    "header-cut": _l("A very long header was cut."),
    "headers-cut": _l("Its headers were cut."),
    "text-cut": _l("Its text was cut; the whole of it is in the source."),
    "unreadable": _l("It could not be read; its source can be downloaded."),
}


def problems(view: View) -> list[str]:
    """What could not be read of a message, in sentences."""
    return [str(_PROBLEMS[code]) for code in view.problems if code in _PROBLEMS]
