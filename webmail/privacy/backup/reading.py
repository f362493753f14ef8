"""Reading a dump back through `pg_restore`, which is fed while it decrypts: nothing in clear touches the disk."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

from webmail.keys import CHUNK, MasterKeys
from webmail.privacy.backup import container
from webmail.privacy.backup.programs import BackupFailed, program
from webmail.privacy.backup.storing import DUMP, LEFT_OUT, Store

_COPY = re.compile(rb'COPY public\."?([a-z0-9_]+)"? \(')


@contextmanager
def restoring(
    place: Store, key: MasterKeys, name: str, major: int, options: list[str], environment: dict[str, str]
) -> Iterator[IO[bytes]]:
    """What `pg_restore` says, while it is fed with a dump. Raises BackupFailed("not-readable"), Tampered, at the end."""
    command = [str(program("pg_restore", major)), *options]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as reader:
        feeder = _Feeder(place, key, name, cast("IO[bytes]", reader.stdin))
        feeder.start()
        try:
            yield cast("IO[bytes]", reader.stdout)
        except BaseException:
            reader.kill()
            raise
        finally:
            feeder.join()
    if feeder.trouble is not None:
        raise feeder.trouble
    if reader.returncode:
        raise BackupFailed("not-readable", f"pg_restore ended with {reader.returncode}")


class _Feeder(threading.Thread):
    def __init__(self, place: Store, key: MasterKeys, name: str, into: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._what = (place, key, name)
        self._into = into
        self.trouble: Exception | None = None

    def run(self) -> None:
        place, key, name = self._what
        try:
            with place.open(DUMP, name) as file:
                for chunk in container.read(file, key, DUMP, name):
                    with suppress(
                        BrokenPipeError
                    ):  # it has read what it needs; the tags of the rest still count
                        self._into.write(chunk)
        except Exception as error:
            self.trouble = error
        finally:
            with suppress(OSError):
                self._into.close()


def counted(place: Store, key: MasterKeys, name: str, major: int) -> dict[str, int]:
    """Each table in a dump with the number of its rows."""
    found: dict[str, int] = {}
    table = ""
    with restoring(place, key, name, major, ["-f", "-"], {}) as told:
        for line in _starts(told):
            if table and line.startswith(b"\\."):
                table = ""
            elif table:
                found[table] += 1
            elif match := _COPY.match(line):
                table = match[1].decode()
                found[table] = 0
    found.pop(LEFT_OUT, None)
    return found


def _starts(told: IO[bytes]) -> Iterator[bytes]:
    """The beginning of each line; a line may be as long as the largest message."""
    while line := told.readline(CHUNK):
        yield line[:200]
        while line and not line.endswith(b"\n"):
            line = told.readline(CHUNK)
