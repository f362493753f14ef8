"""Environment files, as systemd and a shell read them: one variable a line, mode 0600; what a person wrote in them stays."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

Done = Literal["made", "changed", "kept"]


def read(file: Path) -> dict[str, str]:
    """What a file sets, by name; nothing where there is no file. A line that no shell could read is passed over."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {name: value for name, value in map(_parsed, lines) if name}


def write(file: Path, lines: Sequence[tuple[str, str]], said: Mapping[str, str]) -> Done:
    """Make a file of `lines`; one that is there gets the variables that were `said`, and is left as it is otherwise.

    It is replaced in one go: whoever reads it has all of the old or all of the new.
    """
    if not file.exists():
        _replace(file, [_line(name, value) for name, value in lines])
        return "made"
    known = read(file)
    changed = {name: value for name, value in said.items() if known.get(name) != value}
    if not changed:
        return "kept"
    kept = [
        _line(name, changed.pop(name)) if (name := _parsed(line)[0]) in changed else line
        for line in file.read_text("utf-8").splitlines()
    ]
    _replace(file, [*kept, *(_line(name, value) for name, value in changed.items())])
    return "changed"


def _parsed(line: str) -> tuple[str, str]:
    name, equals, value = line.strip().partition("=")
    if not equals or not name.isidentifier():
        return "", ""
    try:
        return name, "".join(shlex.split(value))
    except ValueError:
        return "", ""


def _line(name: str, value: str) -> str:
    return f"{name}={shlex.quote(value)}"


def _replace(file: Path, lines: Sequence[str]) -> None:
    """Under a name of its own first, as the owner of what was there."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        if file.exists() and os.geteuid() == 0:
            told = file.stat()
            os.fchown(descriptor, told.st_uid, told.st_gid)
        opened.writelines(f"{line}\n" for line in lines)
        opened.flush()
        os.fsync(descriptor)
    new.replace(file)
