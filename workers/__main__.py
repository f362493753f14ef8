"""`python -m workers`: one parent that keeps five children alive: filing, sending, fetching, keeping, and the clock; and a sixth
for a health page where one is asked for.

The parent imports everything and never opens a connection, so a child costs little and inherits nothing that two processes must
not share. A child that dies is started again; SIGTERM lets running jobs finish. As many of these parents as you like work side by
side, on one machine or several: what each takes is claimed row by row.

RQ's own cron is not used: it writes pickled jobs, which our workers refuse, and keeps its clock in Redis, which may be empty.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError
from rq.queue import Queue
from rq.serializers import JSONSerializer
from sqlalchemy.exc import OperationalError

from webmail import config, db, jail, logs
from webmail.errors import SettingError
from webmail.health import tell_manager
from workers import (
    alerting,
    checkpoints,
    fetching,
    filing,
    health,
    keeping,
    scheduled,
    schedules,
    sending,
    telling,
)
from workers.context import close, core
from workers.nudges import Horse, Nudge
from workers.parents import die_with_parent

log = logging.getLogger("workers")
SWEEP_SECONDS = 2.0
STOP_SECONDS = 25


def _queue(name: str) -> None:
    settings, parent, worker = core().extensions["settings"], os.getppid(), None
    while os.getppid() == parent and not (worker is not None and worker._stop_requested):
        try:
            connection = Redis.from_url(settings.redis_url)
            queue = Queue(name, connection=connection, serializer=JSONSerializer, job_class=Nudge)
            worker = Horse(
                [queue],
                connection=connection,
                serializer=JSONSerializer,
                job_class=Nudge,
                log_job_description=False,
            )
            worker.work(logging_level="WARNING", max_idle_time=None)
            return
        except (RedisError, OSError) as error:
            log.warning("bell unreachable", extra={"queue": name, "error": type(error).__name__})
            time.sleep(1)


def _clock() -> None:
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: stopping.append(number))
    while not stopping:
        try:
            keeping.sweep()
            _sweeps.mark("sweep")
            checkpoints.nudge()
            alerting.nudge()
        except OperationalError as error:
            log.warning("database unreachable", extra={"error": type(error.orig).__name__})
            with core().app_context():
                db.db.engine.dispose()
        time.sleep(SWEEP_SECONDS)


CHILDREN: Mapping[str, Callable[[], None]] = {
    "filing": lambda: _queue("filing"),
    "sending": lambda: _queue("sending"),
    "fetching": lambda: _queue("fetching"),
    "keeping": lambda: _queue("keeping"),
    "clock": _clock,
}
_HEALTH = "health"
_children, _sweeps = health.Board(tuple(CHILDREN)), health.Board(("sweep",))


def _health() -> None:
    settings = core().extensions["settings"]
    health.run(settings.worker_health_listen, settings.redis_url, _children, _sweeps)


def _start(name: str) -> int:
    pid = os.fork()
    if pid:
        if name in CHILDREN:
            _children.mark(name)
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        die_with_parent(signal.SIGTERM)
        (_health if name == _HEALTH else CHILDREN[name])()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        log.critical("child failed", extra={"child": name, "error": type(error).__name__})
    finally:
        sys.stderr.flush()
        os._exit(code)


class _Stop(Exception):
    pass


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stop


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    logs.configure()
    try:
        settings = config.read()
        settings.require("database_url", "redis_url", "relay_url")
        sending.routes(settings)
        core()
    except SettingError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    log.debug(
        "imported",
        extra={
            "modules": [one.__name__ for one in (filing, sending, scheduled, telling, fetching, schedules)]
        },
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    jail.start()
    manager = config.notify_socket()  # asked before there are children, which need not know
    names = [*CHILDREN, *([_HEALTH] if settings.worker_health_listen else [])]
    running = {_start(name): name for name in names}
    log.info("ready", extra={"children": len(running)})
    tell_manager(manager)
    born = dict.fromkeys(names, time.monotonic())
    try:
        while True:
            pid, _status = os.wait()
            name = running.pop(pid, None)
            if name is None:
                continue
            if name in CHILDREN:
                _children.clear(name)
            log.warning("child ended", extra={"child": name})
            if time.monotonic() - born[name] < 1:
                time.sleep(1)
            born[name] = time.monotonic()
            running[_start(name)] = name
    except _Stop:
        return _end(running)


def _end(running: dict[int, str]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    close()
    for pid in running:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running and time.monotonic() < deadline:
        pid, _status = os.waitpid(-1, os.WNOHANG)
        if pid:
            running.pop(pid, None)
        else:
            time.sleep(0.02)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
