"""What the embedded servers have in common: start until ready, stop within a bounded time."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from webmail.embedded.process import EmbeddedError


class EmbeddedServer(ABC):
    """A server over a folder of its own. A context manager; a supervisor uses `prepare`, `command`, `ready`, `release`."""

    name: ClassVar[str]
    stop_signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGTERM,)

    def __init__(self, data_dir: Path, log_path: Path | None) -> None:
        self.data_dir = Path(os.path.abspath(data_dir))
        self.log_path = log_path or self.data_dir / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> tuple[int, ...]:
        """Do all that comes before the server's start; repeat before each start.

        Returns descriptors for the server to inherit, which the caller closes after the start: they hold the lock that
        tells, whatever a pid file says, whether any process of this server lives. Raises EmbeddedError.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """The server in the foreground, once prepared; it ends when the calling process dies."""

    @abstractmethod
    def ready(self) -> bool:
        """True once the server answers, its recovery done."""

    @abstractmethod
    def release(self) -> None:
        """Give up what `prepare` took, once the server has ended."""

    @property
    def working_dir(self) -> Path:
        """The folder to start `command` in."""
        return self.data_dir

    @staticmethod
    def environment() -> dict[str, str]:
        """The environment for the server: nothing of ours, and no locale to depend on."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

    @property
    def running(self) -> bool:
        """True while the server that `start` started lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The server's process id, once started by `start`."""
        return self._process.pid if self._process else None

    def start(self, timeout: float | None = None) -> None:
        """Start and wait until ready, through recovery however long it takes, or `timeout` seconds. Raises EmbeddedError."""
        if self.running:
            raise EmbeddedError(f"{self.name} runs already")
        try:
            inherited = self.prepare()
            try:
                self._process = self._spawn(inherited)
            finally:
                for descriptor in inherited:
                    os.close(descriptor)
            self._wait(self._process, timeout)
        except BaseException:
            self.stop()
            raise

    def _spawn(self, inherited: tuple[int, ...]) -> subprocess.Popen[bytes]:
        with open(self.log_path, "ab", opener=_private) as log:
            return subprocess.Popen(
                self.command(),
                cwd=self.working_dir,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=inherited,
                start_new_session=True,
            )

    def _wait(self, process: subprocess.Popen[bytes], timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.ready():
            if process.poll() is not None:
                raise EmbeddedError(f"{self.name} ended while starting: {last_word(self.log_path)}")
            if deadline is not None and time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{self.name} was not ready after {timeout:g} seconds; its log is {self.log_path}"
                )
            time.sleep(0.01)

    def stop(self, timeout: float = 10.0) -> None:
        """Stop by the server's own signals, waiting `timeout` seconds after the first; then by force. May be repeated."""
        if self._process is not None:
            seconds = (timeout, *(5.0 for _ in self.stop_signals[1:]))
            for number, patience in zip(self.stop_signals, seconds, strict=True):
                if self._process.poll() is None:
                    self._process.send_signal(number)
                    _wait_end(self._process, patience)
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        self.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _wait_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def last_word(path: Path) -> str:
    """The line at the end of a server's log that says why it ended, for an error message."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    fatal = [line for line in lines[-20:] if "FATAL" in line or "PANIC" in line]
    return (fatal or lines or ["its log is empty"])[-1]
