"""Children that end with their parent."""

import ctypes
import signal
import sys


def die_with_parent(number: signal.Signals) -> None:
    """On Linux, have the kernel end this child when the parent is killed outright."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, int(number))
