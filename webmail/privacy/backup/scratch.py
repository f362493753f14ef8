"""Folders in which drills restore. One whose drill was killed is nobody's: it is removed, with what lies there in clear."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "drill-"
_MAKING_SECONDS = 60
_LOCKS = ("drill.lock", "postgres/cluster.lock")
"""Held while the drill lives, and while its server does."""


@contextmanager
def folder(data_dir: Path) -> Iterator[Path]:
    """An empty folder below `data_dir`, gone afterwards."""
    with tempfile.TemporaryDirectory(dir=data_dir, prefix=_PREFIX) as name:
        held = os.open(Path(name) / _LOCKS[0], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(held)


def sweep(data_dir: Path) -> int:
    """Remove the folders of drills that were killed; how many."""
    left = [path for path in data_dir.glob(f"{_PREFIX}*") if path.is_dir() and not _is_alive(path)]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _is_alive(path: Path) -> bool:
    # One that is being made has no lock yet.
    is_new = not (path / _LOCKS[0]).exists() and time.time() - path.stat().st_mtime < _MAKING_SECONDS
    return is_new or any(_is_held(path / name) for name in _LOCKS)


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
