"""Keys and secrets of the service, for admins: since when each is what it is, and how it is changed. None is ever shown."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, current_app
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.privacy import rotation, secret_marks
from webmail.privacy.secret_marks import MASTER, Known
from webmail.settings import dkim_keys
from webmail.web.access import requires
from webmail.web.staff import staff_page, staff_transaction
from webmail.web.words import gettext as _

blueprint = Blueprint("admin_keys", __name__)
OLD = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Words:
    """A secret in words: what it is, and what to do to change it."""

    name: Any
    change: Any


_DATABASE = _l("Change it for the role, in the environment, and restart.")
WORDS = {
    "clerk-secret": Words(
        _l("Clerk’s secret key"),
        _l(
            "Make a second one at Clerk, put it into CLERK_SECRET_KEY of web and workers, restart them, then remove the first."
        ),
    ),
    "clerk-webhook": Words(
        _l("Secret of Clerk’s webhooks"),
        _l(
            "Rotate it at Clerk, put the new one before the old into CLERK_WEBHOOK_SIGNING_SECRET, with a comma, and restart web."
            " After a day take the old one out."
        ),
    ),
    "relay": Words(
        _l("Relays, with their passwords"),
        _l(
            "Change the password at the relay, and put the new one in at Settings, Relay, or by mtumail setting set"
            " relay.password -. It holds with the next connection; what was refused meanwhile waits. Where the relays are is in"
            " MTUMAIL_RELAY_URL:"
            " change it and restart the workers."
        ),
    ),
    "backup-key": Words(
        _l("Key of backups"),
        _l(
            "mtumail keys backup NEW, then one file with the new key’s line first and the older ones below. Older backups open"
            " with those."
        ),
    ),
    "backup-storage": Words(
        _l("Access key of the storage of backups"),
        _l(
            "Make a second one there, change MTUMAIL_BACKUP_S3_KEY_ID and _SECRET, restart the workers, then remove the first."
        ),
    ),
    "database-web": Words(_l("Database password of web"), _DATABASE),
    "database-worker": Words(_l("Database password of the workers"), _DATABASE),
    "database-backup": Words(_l("Database password of backups"), _DATABASE),
    "metrics-token": Words(
        _l("Token of the numbers for Prometheus"),
        _l("Change MTUMAIL_METRICS_TOKEN here and there, and restart web."),
    ),
}
"""Every secret that `privacy.secret_marks` looks at, but the master key."""


@blueprint.get("/admin/keys", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Since when each is what it is; and how far a new master key has come."""
    master = current_app.extensions["master_keys"]
    with staff_transaction():
        known, moving = secret_marks.listed(), rotation.progress(master)
        signing = dkim_keys.oldest_active()
    now = datetime.now(UTC)
    return staff_page(
        "admin/keys.html", title=_("Keys"), master=known.get(MASTER), moving=moving, held=master.count,
        secrets=[(words, known[name], _is_old(known[name], now)) for name, words in WORDS.items() if name in known],
        signing=signing, is_signing_old=signing is not None and now - signing > OLD,
        webhooks=len(current_app.extensions["auth"].settings.webhook_secrets),
    )  # fmt: skip


def _is_old(one: Known, now: datetime) -> bool:
    return now - one.since > OLD
