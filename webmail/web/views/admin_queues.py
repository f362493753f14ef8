"""Queues, for admins: `/admin/queues`. What waits and since when, what was put aside, which workers there are; pause, go on."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, abort, redirect, request, url_for
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from webmail import metrics, samples, schedules
from webmail.db import read_id, show_id
from webmail.errors import NotFound
from webmail.identity.viewer import Viewer
from webmail.operations import alerts, queues, queues_workers
from webmail.operations.queues import Parked
from webmail.web import actors, queue_words
from webmail.web.access import requires
from webmail.web.charts import bars
from webmail.web.staff import Panel, Waiting, actor, panel, staff_page, staff_transaction
from webmail.web.viewing import leave, more_words
from webmail.web.views.retention import SCHEDULES
from webmail.web.words import gettext as _
from webmail.web.words import ngettext

blueprint = Blueprint("admin_queues", __name__)
more_words(
    queue_paused=_l("Paused. What is in hand is finished; nothing is lost."),
    queue_resumed=_l("It goes on."),
    queue_retried=_l("Tried again now."),
    queue_forgotten=_l("Forgotten."),
)
FIRST = 10
AGED = ("send", "file")


@blueprint.get("/admin/queues", endpoint="index")
@requires("admin")
def index() -> BaseResponse:
    """Everything that waits."""
    with staff_transaction():
        lines, held = queues.queues(), queues.paused()
        who = actors.names(state.by for state in held.values())
        aged = {kind: queues.ages(kind) for kind in AGED}
        parked, older = queues.parked(limit=FIRST)
        times, since = schedules.listed(), alerts.since("queue-old")
        told = samples.history(["queue_waiting", "queue_parked"], samples.SPANS[0])
    workers = queues_workers.alive()
    return staff_page(
        "admin/queues/index.html",
        title=_("Queues"),
        lines=lines,
        held=held,
        who=who,
        aged=aged,
        pausable=queues.PAUSES,
        states=queues.STATES,
        ages=queues.AGES,
        parked=parked,
        is_cut=older is not None,
        times=times,
        schedule_words=SCHEDULES,
        since=since,
        charts=_charts(told),
        workers=workers,
        gone=None if workers is None else queues_workers.gone(workers),
        durations=queues_workers.durations(metrics.counted()),
        words=queue_words,
        now_utc=datetime.now(UTC),
    )


def _charts(told: Mapping[tuple[str, str], list[float]]) -> dict[str, Any]:
    """A chart for each kind of which anything ever waited in the last day."""
    return {
        label: bars([round(one) for one in values], _("%(kind)s, waiting", kind=queue_words.kind(label)))
        for (name, label), values in told.items()
        if name == "queue_waiting" and any(values)
    }


@blueprint.post("/admin/queues", endpoint="pause")
@requires("admin")
def pause() -> BaseResponse:
    """Hold a kind of work back, or let it go on."""
    kind, verb = request.form.get("kind", ""), request.form.get("verb", "")
    if kind not in queues.PAUSES or verb not in ("pause", "resume"):
        abort(404)
    with staff_transaction():
        act = queues.pause if verb == "pause" else queues.resume
        act(kind, actor=actor(), reason=request.form.get("reason", ""))
    leave(word="queue_paused" if verb == "pause" else "queue_resumed")
    return redirect(url_for("admin_queues.index"), 303)


# --- what was put aside --------------------------------------------------------------------------------------------------


@blueprint.get("/admin/queues/parked", endpoint="parked")
@requires("admin")
def parked() -> BaseResponse:
    """What failed too often, page by page."""
    kind = request.args.get("kind", "")
    if kind and kind not in queue_words.KINDS:
        abort(404)
    with staff_transaction():
        some, older = queues.parked(kind, _cursor(request.args.get("c", "")))
    return staff_page(
        "admin/queues/parked.html",
        title=_("Put aside"),
        parked=some,
        older=f"{older[0].isoformat()}_{show_id(older[1])}" if older else None,
        kind=kind,
        final=queues.FINAL,
        words=queue_words,
    )


def _cursor(typed: str) -> tuple[datetime, int] | None:
    if not typed:
        return None
    at, _bar, item = typed.partition("_")
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise NotFound("cursor")
        return moment, read_id(item)
    except ValueError:
        raise NotFound("cursor") from None


@blueprint.post("/admin/queues/parked", endpoint="act")
@requires("admin")
def act() -> BaseResponse:
    """Try one piece again, or all of a kind, or let go of one."""
    verb, kind = request.form.get("verb", ""), request.form.get("kind", "")
    if verb not in ("retry", "retry_all", "forget") or kind not in queue_words.KINDS:
        abort(404)
    with staff_transaction():
        if verb == "retry_all":
            queues.retry_all(kind, actor=actor())
        else:
            do = queues.retry if verb == "retry" else queues.forget
            do(kind, _id("mailbox"), _id("item") or 0, actor=actor())
    leave(word="queue_forgotten" if verb == "forget" else "queue_retried")
    return redirect(url_for("admin_queues.parked", kind=request.form.get("filter") or None), 303)


def _id(name: str) -> int | None:
    with suppress(NotFound):
        return read_id(request.form.get(name, ""))
    return None


# --- on the first page ---------------------------------------------------------------------------------------------------


@panel("admin", place="admin")
def put_aside(_viewer: Viewer) -> Panel | None:
    """What is held back, and what was put aside."""
    held = queues.paused()
    some, _older = queues.parked(limit=100)
    if not held and not some:
        return None
    lines = [
        Waiting(_("Paused: %(what)s", what=queue_words.kind(kind)), url_for("admin_queues.index"), late=True)
        for kind in held
    ]
    if some:
        words = ngettext(
            "%(num)s piece of work was put aside", "%(num)s pieces of work were put aside", len(some)
        )
        lines.append(Waiting(words, url_for("admin_queues.parked"), _most(some)))
    return Panel(_("Queues"), url_for("admin_queues.index"), len(some) + len(held), lines)


def _most(some: Sequence[Parked]) -> str:
    """The kinds that are among them."""
    return ", ".join(sorted({queue_words.kind(one.kind) for one in some}))
