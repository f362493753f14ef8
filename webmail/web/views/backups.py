"""For admins: which backups were made, whether they are good, and what failed."""

from datetime import UTC, datetime, timedelta

from flask import Blueprint
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail.identity.viewer import Viewer
from webmail.privacy.backup import journal, records
from webmail.web.access import requires
from webmail.web.staff import Panel, Waiting, panel, staff_page, staff_transaction
from webmail.web.words import gettext as _

blueprint = Blueprint("backups", __name__)
LATE = timedelta(days=2)
OUTCOMES = {
    "": _l("running"),
    "done": _l("good"),
    "bucket-away": _l("the storage of backups did not answer, or broke off"),
    "bucket-failed": _l("the storage of backups answered with an error"),
    "bucket-keeps": _l("the bucket keeps versions of what is removed, and does not let us remove those"),
    "bucket-lacks": _l("the storage of backups has no such bucket or file"),
    "bucket-refused": _l("the storage of backups refused: its key, its secret or its rights"),
    "killed": _l("it was killed, or its machine stopped"),
    "came-back": _l("what was deleted came back"),
    "counts-differ": _l("what was restored is not as much as was saved"),
    "does-not-open": _l("restored mail does not open"),
    "log-broken": _l("the restored audit log does not hold"),
    "already-running": _l("another one was running"),
    "dump-failed": _l("the database could not be read to its end"),
    "no-database": _l("the database could not be reached"),
    "no-place": _l("the folder of backups is not there"),
    "no-program": _l("pg_dump is missing"),
    "another-database": _l(
        "the place holds the keys of another database: restore that one first, or name an empty place"
    ),
    "no-right": _l("its role may not read every table"),
    "no-room": _l("the folder of backups could not be written; its disk may be full"),
    "not-as-written": _l("what was read back is not what was written"),
    "not-readable": _l("what was written could not be read back"),
    "old-program": _l("pg_dump is older than the server"),
    "wrong-key": _l("the key of backups is another one"),
    "wrong-setting": _l("a setting of backups cannot be used"),
}


@blueprint.get("/admin/backups", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """The last runs of each kind."""
    with staff_transaction():
        last, written, drill = (
            records.last_good("backup"), journal.last_written(), records.last_good("drill"),
        )  # fmt: skip
        tables = [
            (_("Backups"), records.past("backup")),
            (_("Drills and restores"), records.past("drill", 12) + records.past("restore", 12)),
            (_("What failed of the journal"), records.past("journal", 12)),
            (_("What failed of removing older ones"), records.past("pruning", 12)),
        ]
    return staff_page(
        "admin/backups/index.html", title=_("Backups"), last=last, journal=written, drill=drill,
        is_late=_is_late(last), tables=tables, outcomes=OUTCOMES,
    )  # fmt: skip


def _is_late(last: datetime | None) -> bool:
    return last is not None and datetime.now(UTC) - last > LATE


@panel("admin", place="admin")
def failing(_viewer: Viewer) -> Panel | None:
    """Loud where the last backup failed, or none was good for two days."""
    runs, last = records.past("backup", 1), records.last_good("backup")
    pruned = records.past("pruning", 1)
    lines = []
    if runs and (runs[0].is_bad or _is_late(last)):
        why = _why(runs[0]) if runs[0].is_bad else _("none was made for two days")
        lines.append(Waiting(_("The last backup: %(why)s", why=why), "/admin/backups", late=True))
    if pruned and (last is None or pruned[0].started_at > last):
        why = _why(pruned[0])
        lines.append(
            Waiting(_("Older backups are not removed: %(why)s", why=why), "/admin/backups", late=True)
        )
    return Panel(_("Backups"), "/admin/backups", len(lines), lines) if lines else None


def _why(run: records.Run) -> str:
    return str(OUTCOMES.get(run.outcome, run.outcome))
