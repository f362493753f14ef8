"""Who runs an embedded server, under which lock, and where its socket lies."""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from webmail.embedded import launch

# sun_path holds 108 bytes with its NUL on Linux, 104 on macOS.
SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107


class EmbeddedError(RuntimeError):
    """An embedded part cannot run; the text is one sentence for the person at the terminal, with the way out."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The user a server runs as. `uid` None: ourselves. `namespace`: ourselves, under another name."""

    uid: int | None = None
    gid: int | None = None
    namespace: bool = False

    @property
    def owner(self) -> tuple[int, int]:
        """uid and gid, as seen from here, that the server's files belong to."""
        if self.uid is None or self.gid is None or self.namespace:
            return os.geteuid(), os.getegid()
        return self.uid, self.gid

    def launch(self, program: list[str], death_signal: int | None = None) -> list[str]:
        """The command that runs `program` as this user and sends it `death_signal` when the calling process dies."""
        options = []
        if death_signal is not None:
            options += [f"signal={death_signal}", f"parent={os.getpid()}"]
        if self.uid is not None:
            options += [f"{'namespace' if self.namespace else 'uid'}={self.uid}", f"gid={self.gid}"]
        return [sys.executable, "-I", "-S", launch.__file__, *options, "--", *program]

    def can(self, program: list[str], cwd: Path | None = None) -> bool:
        """True if this user can run `program` to a good end."""
        done = subprocess.run(
            self.launch(program),
            cwd=cwd or "/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode == 0

    def can_enter(self, folder: Path) -> bool:
        """True if this user can walk the absolute path to `folder`."""
        return self.can(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)])

    def give(self, folder: Path) -> None:
        """Make `folder`, and all in it, this user's."""
        # The folder itself is handed over last: while it is another's, an interrupted run is taken up again.
        if os.geteuid() == 0 and folder.lstat().st_uid != self.owner[0]:
            for path in sorted(folder.rglob("*"), reverse=True):
                os.lchown(path, *self.owner)
            os.lchown(folder, *self.owner)


def unprivileged(owner: int | None = None) -> tuple[int, int]:
    """uid and gid for a server that refuses to run as root: its files' owner, else the user `mtumail`, else `nobody`."""
    if owner:
        try:
            return owner, pwd.getpwuid(owner).pw_gid
        except KeyError:
            raise EmbeddedError(
                f"the database files belong to user {owner}, who has no entry in the list of users"
            ) from None
    for name in ("mtumail", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise EmbeddedError(
        "Postgres does not run as root, and there is no user `nobody` to run it as; start mtumail as an ordinary user"
    )


def lock(path: Path, wait: float = 0.0) -> int | None:
    """Take an exclusive lock on the file `path` (made if missing), trying for `wait` seconds. Returns its descriptor, or None.

    The lock lasts as long as any process holds a copy of the descriptor; closing it, or dying, gives it up.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        else:
            return descriptor


def private_folder(path: Path, mode: int = 0o700) -> Path:
    """Make the folder `path`, whatever the umask. Raises EmbeddedError if it cannot be used."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)
    except OSError as error:
        raise EmbeddedError(f"the folder {path} cannot be used: {error.strerror}") from None
    return path


def socket_folder(preferred: Path, name: str, identity: Identity | None = None, short: bool = False) -> Path:
    """A folder of mode 0700 for the socket `name`: `preferred`, or (always, if `short`) our own in the temporary folder.

    Clients read a comma in a host as the start of the next one, and no quoting helps, so such a path is not used either.
    """
    identity = identity or Identity()
    fits = len(os.fsencode(preferred / name)) <= SOCKET_PATH_BYTES
    if fits and not short and str(preferred).isprintable() and not set(',"\\') & set(str(preferred)):
        folder = private_folder(preferred)
    else:
        folder = _short_folder(preferred, name)
    os.chown(folder, *identity.owner)
    return folder


def _short_folder(preferred: Path, name: str) -> Path:
    """The same short name each time for one data folder, so that a killed run leaves nothing that the next one does not use."""
    digest = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:12]
    for base in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - the folder is checked to be ours alone
        folder = base / f"mtumail-{digest}"
        if len(os.fsencode(folder / name)) > SOCKET_PATH_BYTES:
            continue
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            found = folder.lstat()
            ours = stat.S_ISDIR(found.st_mode) and (found.st_uid == os.geteuid() or os.geteuid() == 0)
            if not ours or stat.S_IMODE(found.st_mode) & 0o077:
                folder = Path(tempfile.mkdtemp(prefix="mtumail-", dir=base))
        return folder
    raise EmbeddedError(
        f"no folder with a path short enough for a socket; set TMPDIR to one of under {SOCKET_PATH_BYTES - 40} bytes"
    )


def remove_socket_folder(folder: Path | None, preferred: Path) -> None:
    """Remove a folder that `socket_folder` made outside of the data folder."""
    if folder is not None and folder != preferred:
        shutil.rmtree(folder, ignore_errors=True)
