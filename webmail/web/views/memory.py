"""The memory of abuse: `/staff/memory`. Opens for who knows an identifier, for an open case, and each look is written down."""

from flask import Blueprint, current_app, g, request
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id
from webmail.errors import NotFound
from webmail.governance.memory import keeping
from webmail.web import action_words
from webmail.web.access import requires
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.viewing import Notice
from webmail.web.words import gettext as _

blueprint = Blueprint("memory", __name__)


@blueprint.route("/staff/memory", methods=["GET", "POST"], endpoint="index")
@requires("staff.cases")
def index() -> BaseResponse:
    """Ask by one identifier. A POST, since looking is an act."""
    files: list[keeping.File] | None = None
    problem = ""
    if request.method == "POST":
        try:
            case_id = read_id(request.form.get("case", "").strip())
        except NotFound:
            case_id, problem = 0, "case"
        if not problem:
            with staff_transaction():
                files, problem = keeping.look(
                    current_app.extensions["master_keys"],
                    request.form.get("identifier", ""),
                    case_id,
                    by=g.viewer.account_id,
                )
    notice = Notice("alert", action_words.refusal(problem)) if problem else None
    return staff_page(
        "actions/memory.html",
        title=_("Memory of abuse"),
        status=422 if problem else 200,
        files=None if problem else files,
        case=request.values.get("case", ""),
        identifier=request.form.get("identifier", ""),
        words=action_words,
        notice=notice,
    )
