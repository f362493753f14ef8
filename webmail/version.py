"""Which version of mtumail this is."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def own_version() -> str:
    """As it was installed; as its checkout says where it runs without that; "" where neither knows."""
    try:
        return version("mtumail")
    except PackageNotFoundError:
        if not _PROJECT.exists():
            return ""
        return str(tomllib.loads(_PROJECT.read_text("utf-8"))["project"]["version"])
