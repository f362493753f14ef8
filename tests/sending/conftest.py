"""What waits for its time, and the worker that sends it off."""

from collections.abc import Callable

import pytest


@pytest.fixture
def drain(worker) -> Callable[[], int]:
    """The worker's turn at what is due."""
    from workers import scheduled

    return scheduled.drain
