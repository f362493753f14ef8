"""A local Clerk for each test, on a port of its own, in a folder prepared once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from webmail.embedded.clerk.server import LocalClerk, Options

ORIGIN = "http://mail.localhost:8000"
PRODUCTION_ORIGIN = "http://mail.demo.localhost:8000"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seeded data folder: making a key and a hash once is enough."""
    folder = tmp_path_factory.mktemp("prepared")
    LocalClerk(Options(folder, ORIGIN, environment="test")).close()
    return folder / "clerk.json"


@pytest.fixture
def options(prepared: Path, tmp_path: Path) -> Options:
    shutil.copy(prepared, tmp_path / "clerk.json")
    return Options(tmp_path, ORIGIN, environment="test")


@pytest.fixture
def clerk(options: Options) -> Iterator[LocalClerk]:
    with LocalClerk(options) as running:
        yield running


@pytest.fixture
def production(options: Options) -> Iterator[LocalClerk]:
    with LocalClerk(
        Options(options.data_dir, PRODUCTION_ORIGIN, mode="production", environment="test")
    ) as running:
        yield running
