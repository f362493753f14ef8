"""Files that come in pieces: `/compose/upload`, for lines that break. Without scripts a file goes with the form."""

from flask import abort, jsonify, request
from werkzeug.wrappers import Response as BaseResponse

from webmail.db import read_id, show_id
from webmail.errors import Refused
from webmail.sending import drafts, uploading
from webmail.sending.submitting import most_bytes
from webmail.sending.uploading import Reached, Told
from webmail.web.access import requires
from webmail.web.composer import blueprint
from webmail.web.viewing import own_mail

_MAX_NAME = 4000
__all__ = ["blueprint"]


@blueprint.post("/compose/upload", endpoint="upload")
@requires("mail")
def upload() -> BaseResponse:
    """Take a piece of a file (`draft`, `name`, `type`, `total`, `mark`, `offset`, `piece`) and answer how much of it is here.

    Without a piece it only answers. The draft has been saved before. What is refused is answered with 409 and the reason.
    """
    form = request.form
    draft_id, total, offset = read_id(form.get("draft", "")), _bytes("total"), _bytes("offset")
    told = Told(
        form.get("name", "")[:_MAX_NAME],
        form.get("type", "")[:200] or "application/octet-stream",
        total,
        form.get("mark", "")[:100],
    )
    piece = request.files["piece"].read() if "piece" in request.files else b""
    try:
        with own_mail() as keys:
            reached = uploading.take(keys, draft_id, told, offset, piece, most_bytes())
            draft = drafts.load(keys, draft_id)
    except Refused as refusal:
        response = jsonify(problem=str(refusal))
        response.status_code = 409
        return response
    return _answer(reached, draft)


def _answer(reached: Reached, draft: drafts.Opened) -> BaseResponse:
    return jsonify(
        draft_id=show_id(draft.message_id),
        revision=draft.revision,
        offset=reached.offset,
        done=reached.is_attached,
    )


def _bytes(name: str) -> int:
    typed = request.form.get(name, "")
    if not (typed.isascii() and typed.isdigit() and len(typed) < 13):
        abort(400)
    return int(typed)
