"""What is held about me, counted live; and for admins, the record of processing made from the same register."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, g
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import transaction
from webmail.mail import folders
from webmail.privacy import register
from webmail.privacy.restricting import standing
from webmail.settings import kept, kinds
from webmail.web import register_words as words
from webmail.web import stop_words
from webmail.web.access import requires
from webmail.web.htmx import render
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.viewing import left, page
from webmail.web.words import gettext as _

blueprint = Blueprint("my_data", __name__)


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of data in words. `count` and `size` (bytes) are None where it is told for nobody in particular."""

    code: str
    name: str
    about: str
    purposes: tuple[tuple[str, str], ...]
    recipients: tuple[str, ...]
    retention: str
    is_sealed: bool
    promise: str
    tables: tuple[str, ...]
    count: int | None = None
    size: int | None = None


def _line(kind: register.Kind, count: int | None = None, size: int | None = None) -> Line:
    name, about = words.KINDS[kind.code]
    return Line(
        kind.code,
        str(name),
        str(about),
        tuple((str(words.PURPOSES[one]), str(words.BASES[register.BASES[one]])) for one in kind.purposes),
        tuple(str(words.RECIPIENTS[one]) for one in kind.recipients),
        str(words.RETENTIONS[kind.retention]),
        kind.is_sealed,
        kind.promise,
        kind.tables,
        count,
        size,
    )


@blueprint.get("/my-data", endpoint="index")
@requires("account")
def my_data() -> BaseResponse:
    """What we hold about me: how much, why, on what basis, who gets it, and how long."""
    viewer = g.viewer
    with transaction(viewer.mailbox_id):
        held = register.held(viewer.account_id, viewer.mailbox_id)
        counts = folders.counts(viewer.mailbox_id) if viewer.mailbox_id is not None else None
        restriction = standing.restriction(viewer.account_id)
        objections = [
            one for one in standing.objections(viewer.account_id) if one.state in ("weighed", "upheld")
        ]
    lines = [_line(one.kind, one.count, one.size) for one in held if one.count]
    nothing = [_line(one.kind).name for one in held if not one.count]
    context: dict[str, Any] = {
        "lines": lines,
        "nothing": nothing,
        "counts": counts,
        "restriction": restriction,
        "objections": objections,
        "stop_words": stop_words,
        "notice": left(),
    }
    return render("privacy/my_data.html", None, **page(_("My data"), **context))


@blueprint.get("/admin/records", endpoint="records")
@requires("admin")
def records() -> BaseResponse:
    """The record of processing activities (GDPR Art. 30)."""
    lines = [_line(kind) for kind in register.KINDS]
    with staff_transaction():
        others = kinds.entries(kept.text("processors.others"))
    return staff_page(
        "privacy/records.html", title=_("Record of processing"), lines=lines, impersonal=register.IMPERSONAL,
        processors=others,
    )  # fmt: skip
