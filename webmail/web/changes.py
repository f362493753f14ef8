"""What changed for people who use or run it: read from CHANGELOG.md once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_FILE = Path(__file__).resolve().parent.parent.parent / "CHANGELOG.md"


@dataclass
class Release:
    """A version, and under each heading what changed. Text without markup."""

    name: str
    groups: list[tuple[str, list[str]]] = field(default_factory=list)


@cache
def releases() -> list[Release]:
    """Newest first; empty where the file was not brought along."""
    return parse(_FILE.read_text("utf-8")) if _FILE.exists() else []


def parse(text: str) -> list[Release]:
    """The releases in a changelog: `## version`, `**for whom**`, `- change`, and lines that go on with two spaces."""
    found: list[Release] = []
    for line in text.splitlines():
        if line.startswith("## "):
            found.append(Release(_plain(line[3:])))
        elif not found or not line.strip():
            continue
        elif heading := re.fullmatch(r"\*\*(.+)\*\*", line.strip()):
            found[-1].groups.append((_plain(heading[1]), []))
        elif line.startswith("- "):
            if not found[-1].groups:
                found[-1].groups.append(("", []))
            found[-1].groups[-1][1].append(_plain(line[2:]))
        elif line.startswith("  ") and found[-1].groups and found[-1].groups[-1][1]:
            found[-1].groups[-1][1][-1] += f" {_plain(line)}"
    return found


def _plain(text: str) -> str:
    linked = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text.strip())
    return linked.replace("`", "").replace("**", "")
