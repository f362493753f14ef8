"""The MTA-STS policies of hosted domains (RFC 8461 section 3.3), for the world's mail servers."""

from flask import Blueprint, Response, abort, current_app, request

from webmail.db import glance
from webmail.settings import domain_records

blueprint = Blueprint("mta_sts", __name__)
_LABEL = "mta-sts."


@blueprint.get("/.well-known/mta-sts.txt", endpoint="policy")
def policy() -> Response:
    """The policy of the domain whose host `mta-sts.<domain>` was asked."""
    host = request.host.partition(":")[0].lower().removesuffix(".")
    if not host.startswith(_LABEL):
        abort(404)
    found = glance(_MODE, {"name": host.removeprefix(_LABEL)})
    if not found:
        abort(404)
    text = domain_records.sts_policy(current_app.extensions["settings"].host_name, found[0][0])
    response = Response(text, mimetype="text/plain")
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


_MODE = "SELECT sts_mode FROM domain WHERE name = %(name)s AND verified_at IS NOT NULL AND sts_mode <> 'none'"
