"""Runs several programs as one: starts them, notices at once when one dies, starts it again, and leaves nothing behind.

A part is known dead because the kernel says so (SIGCHLD and waitpid), never because of a number in a file. If the supervisor
itself is killed, the kernel tells the parts (see `launch`).
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from webmail.embedded.logs import LogFile, LogPump
from webmail.embedded.process import EmbeddedError, Identity
from webmail.embedded.server import EmbeddedServer

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_CHILD_SUBREAPER = 36
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 10.0
_STABLE_SECONDS = 10.0
_READY_POLL = 0.02
_POLITE_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Part:
    """A program to supervise. Its output goes to `log` (see `logs`).

    `argv` is a command, or makes one that already passes through `launch`. `ready` says whether it answers (without
    it: once it runs). `prepare` runs before each start; the descriptors it returns are inherited by the part.
    `stop_signals`: a polite one, then perhaps a brusque one; the last word is SIGKILL. A higher `tier` stops first.
    """

    name: str
    argv: Sequence[str] | Callable[[], Sequence[str]]
    env: Mapping[str, str]
    log: Path
    ready: Callable[[], bool] | None = None
    prepare: Callable[[], tuple[int, ...]] | None = None
    cwd: Callable[[], Path] = Path.cwd
    restart: bool = True
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    tier: int = 1

    @classmethod
    def of(cls, server: EmbeddedServer, log: Path) -> Self:
        """The part that runs an embedded server, stopped after all that use it."""
        return cls(
            name=server.name,
            argv=server.command,
            env=server.environment(),
            log=log,
            ready=server.ready,
            prepare=server.prepare,
            cwd=lambda: server.working_dir,
            stop_signals=server.stop_signals,
            tier=0,
        )


@dataclass(slots=True)
class _Run:
    part: Part
    log: LogFile
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    was_ready: bool = False
    failures: int = 0
    due: float | None = None
    sessions: set[int] = field(default_factory=set)


class Supervisor:
    """A context manager, for the main thread alone. `say` is told, in plain words, what happens to parts.

    `stop_seconds` bounds how long the parts of one tier may take to stop before they are killed.
    """

    def __init__(
        self,
        parts: Iterable[Part] = (),
        *,
        say: Callable[[str], None] = lambda _: None,
        stop_seconds: float = 10.0,
    ) -> None:
        self._parts = tuple(parts)
        self._say = say
        self._stop_seconds = stop_seconds
        self._runs: dict[str, _Run] = {}
        self._signals = 0
        self._interrupt = False
        self._old_handlers: dict[signal.Signals, Any] = {}

    # -- life

    def __enter__(self) -> Self:
        self._pump = LogPump()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._old_wakeup = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            self._old_handlers[number] = signal.signal(number, self._on_signal)
        # Orphans of a part become ours, so that they can be found and ended.
        self._strangers = _children() if _adopt_orphans(True) else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            signal.set_wakeup_fd(self._old_wakeup)
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            if self._strangers is not None:
                _adopt_orphans(False)
            self._pump.stop()
            for run in self._runs.values():
                run.log.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def run(self, on_ready: Callable[[], None] = lambda: None) -> int:
        """Start the parts in order, each once the one before it is ready; watch them until a signal; stop them. Returns 0.

        Raises EmbeddedError if one does not start.
        """
        with self:
            for part in self._parts:
                self.launch(part)
                if not self.wait(part.name):
                    return 0
            on_ready()
            self.watch()
        return 0

    @property
    def stopping(self) -> bool:
        """True once a signal has asked for the end."""
        return self._signals > 0

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within, a signal raises KeyboardInterrupt: for work that does not come back to the supervisor for long."""
        self._interrupt = True
        try:
            if self.stopping:
                raise KeyboardInterrupt
            yield
        finally:
            self._interrupt = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number in _STOP_SIGNALS:
            self._signals += 1
            if self._interrupt:
                self._interrupt = False
                raise KeyboardInterrupt

    # -- starting and watching

    def launch(self, part: Part) -> None:
        """Start a part without waiting for it. Raises EmbeddedError if it cannot even be prepared."""
        run = self._runs[part.name] = _Run(part, LogFile(part.name, part.log))
        self._spawn(run)

    def pid(self, name: str) -> int | None:
        """The process id of a part that runs."""
        process = self._runs[name].process
        return process.pid if process else None

    def wait(self, *names: str, timeout: float | None = None) -> bool:
        """Wait until the named parts are ready; False if a signal came first. Raises EmbeddedError if one ends, or time is out."""
        deadline = None if timeout is None else time.monotonic() + timeout
        waiting = [self._runs[name] for name in names]
        while not self.stopping:
            for run in waiting:
                self._reap(run)
                if run.process is None:
                    last = run.log.last[-1] if run.log.last else "it said nothing"
                    raise EmbeddedError(
                        f"{run.part.name} ended while starting: {last} (its log: {run.part.log})"
                    )
                run.was_ready = run.part.ready is None or run.part.ready()
            waiting = [run for run in waiting if not run.was_ready]
            if not waiting:
                return True
            if deadline is not None and time.monotonic() > deadline:
                slow = ", ".join(run.part.name for run in waiting)
                raise EmbeddedError(
                    f"not ready after {timeout:g} seconds: {slow} (log: {waiting[0].part.log})"
                )
            self._sleep(_READY_POLL)
        return False

    def watch(self) -> None:
        """Start again what dies, until a signal."""
        while not self.stopping:
            now = time.monotonic()
            for run in self._runs.values():
                if run.process is not None:
                    self._reap(run)
                elif run.due is not None and now >= run.due:
                    self._restart(run)
            due = [run.due for run in self._runs.values() if run.due is not None]
            self._reap_orphans()
            self._sleep(max(0.0, min(due) - time.monotonic()) if due else None)

    def _sleep(self, seconds: float | None) -> None:
        """Sleep until a signal, a child's end among them."""
        select.select([self._wake_read], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _spawn(self, run: _Run) -> None:
        part = run.part
        run.due = None
        inherited = part.prepare() if part.prepare else ()
        read, write = os.pipe()
        try:
            argv = part.argv() if callable(part.argv) else Identity().launch(list(part.argv), signal.SIGTERM)
            run.process = subprocess.Popen(
                argv,
                env=dict(part.env),
                cwd=part.cwd(),
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                pass_fds=inherited,
                start_new_session=True,
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
            for descriptor in inherited:
                os.close(descriptor)
        run.started = time.monotonic()
        run.sessions.add(run.process.pid)
        self._pump.add(read, run.log)

    def _reap(self, run: _Run) -> None:
        """If the part's process has ended, say so and plan its restart."""
        if run.process is None or run.process.poll() is None:
            return
        code = run.process.returncode
        run.process = None
        _kill_sessions(run.sessions)
        if not run.was_ready:
            time.sleep(0.05)  # its last words are on their way through the pump
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        if not run.part.restart:
            self._say(f"{run.part.name} {how}")
            return
        if time.monotonic() - run.started > _STABLE_SECONDS:
            run.failures = 0
        delay = min(_FIRST_DELAY * 2**run.failures, _LONGEST_DELAY)
        run.failures += 1
        run.due = time.monotonic() + delay
        if run.was_ready:
            self._say(f"{run.part.name} {how}; starting it again in {delay:g} s")

    def _restart(self, run: _Run) -> None:
        try:
            self._spawn(run)
        except (EmbeddedError, OSError) as error:
            run.failures += 1
            run.due = time.monotonic() + min(_FIRST_DELAY * 2**run.failures, _LONGEST_DELAY)
            self._say(f"{run.part.name} cannot be started: {error}")

    def _reap_orphans(self) -> None:
        if self._strangers is None:
            return
        ours = {run.process.pid for run in self._runs.values() if run.process}
        for pid in _children() - self._strangers - ours:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    # -- stopping

    def stop(self) -> None:
        """Stop all parts, the highest tier first: by their own signal, then by force. Bounded in time; nothing is left."""
        for tier in sorted({run.part.tier for run in self._runs.values()}, reverse=True):
            runs = [run for run in self._runs.values() if run.part.tier == tier]
            self._stop_tier(runs)
        if self._strangers is not None:
            for pid in _children() - self._strangers:
                _end_child(pid)

    def _stop_tier(self, runs: list[_Run]) -> None:
        alive = [run for run in runs if run.process is not None]
        self._signal(alive, 0)
        signals, started, brusque = self._signals, time.monotonic(), False
        patience = self._stop_seconds
        while any(run.process is not None and run.process.poll() is None for run in alive):
            waited = time.monotonic() - started
            if self._signals > signals:  # asked again: less patience
                signals, patience = self._signals, min(patience, waited + 1.0)
            if waited > patience:
                break
            if waited > patience * _POLITE_SHARE and not brusque:
                brusque = True
                self._signal(alive, 1)
            self._sleep(0.2)
        for run in runs:
            if run.process is not None:
                if run.process.poll() is None:
                    self._say(f"{run.part.name} did not stop in time and was killed")
                    run.process.kill()
                run.process.wait()
                run.process = None
            run.due = None
            _kill_sessions(run.sessions)

    def _signal(self, runs: list[_Run], number: int) -> None:
        for run in runs:
            if run.process is not None and run.process.poll() is None and number < len(run.part.stop_signals):
                run.process.send_signal(run.part.stop_signals[number])


def _adopt_orphans(wanted: bool) -> bool:
    """Be (or cease to be) the process that orphans below us are given to. False where the system knows no such thing."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) == 0)


def _processes() -> Iterator[tuple[int, int, int]]:
    """pid, parent and session of every process; nothing where there is no /proc."""
    for entry in os.scandir("/proc") if sys.platform == "linux" else ():
        if entry.name.isdigit():
            with suppress(OSError):
                # The name in parentheses may hold blanks and parentheses of its own.
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                yield int(entry.name), int(fields[1]), int(fields[3])


def _children() -> set[int]:
    own = os.getpid()
    return {pid for pid, parent, _ in _processes() if parent == own}


def _kill_sessions(sessions: set[int]) -> None:
    """Kill what a part has left behind: its process group, and others of its session."""
    for session in sessions:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)
    for pid, _, session in _processes():
        if session in sessions:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    sessions.clear()


def _end_child(pid: int) -> None:
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
