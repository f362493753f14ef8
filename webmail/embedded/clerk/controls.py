"""Knobs that tests turn: the clock, what tokens claim, which calls fail. In memory; a restart sets them straight."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, fields
from typing import Any

HANDSHAKES = ("normal", "nothing", "foreign_key")
FORMATS = ("asked", "token", "nonce")


@dataclass(slots=True)
class Failure:
    """The next `count` Backend API calls whose path starts with `path` fail: by `status`, or 0 for no answer at all
    for `seconds`. `code` goes into the error's body; `retry_after` (seconds) into the header of that name."""

    count: int = 0
    status: int = 500
    path: str = "/"
    seconds: float = 30.0
    retry_after: int = 0
    code: str = "internal_clerk_error"


@dataclass(slots=True)
class Controls:
    """`claims` are laid over every session token: a value replaces, None removes. `clock_offset` is in seconds.
    `handshake`: normal, nothing (comes back empty-handed) or foreign_key (signed by a stranger).
    `rotate_refresh`: each refresh hands out a new refresh token and voids the old one.
    `outage`: whatever is asked, pages and key set included, is answered 503."""

    clock_offset: float = 0.0
    token_seconds: int = 60
    claims: dict[str, Any] = field(default_factory=dict)
    fail: Failure = field(default_factory=Failure)
    handshake: str = "normal"
    handshake_format: str = "asked"
    rotate_refresh: bool = False
    outage: bool = False
    calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=1000))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> float:
        """Unix time in seconds as this instance believes it to be."""
        return time.time() + self.clock_offset

    def take_failure(self, path: str) -> Failure | None:
        with self.lock:
            if self.fail.count < 1 or not path.startswith(self.fail.path):
                return None
            self.fail.count -= 1
            return self.fail


_KINDS: dict[str, tuple[type, ...]] = {
    "clock_offset": (int, float),
    "token_seconds": (int,),
    "claims": (dict,),
    "handshake": (str,),
    "handshake_format": (str,),
    "rotate_refresh": (bool,),
    "outage": (bool,),
    "count": (int,),
    "status": (int,),
    "path": (str,),
    "seconds": (int, float),
    "retry_after": (int,),
    "code": (str,),
}
_CHOICES = {"handshake": HANDSHAKES, "handshake_format": FORMATS}


def _checked(name: str, value: Any) -> Any:
    kinds = _KINDS.get(name)
    if kinds is None:
        raise ValueError(f"there is no control named {name}")
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{name} must be of type {kinds[-1].__name__}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"{name} must be one of {', '.join(_CHOICES[name])}")
    return value


def turn(controls: Controls, wanted: dict[str, Any]) -> None:
    """Set the named knobs, leave the others. Raises ValueError, having changed nothing, for one that will not do."""
    failure = wanted.get("fail")
    if failure is not None:
        names = {item.name for item in fields(Failure)}
        if not isinstance(failure, dict) or not set(failure) <= names:
            raise ValueError(f"fail takes {', '.join(sorted(names))}")
        failure = Failure(**{name: _checked(name, value) for name, value in failure.items()})
    values = {name: _checked(name, value) for name, value in wanted.items() if name != "fail"}
    if not set(values) <= {item.name for item in fields(Controls)}:
        raise ValueError("status, count and the like belong inside fail")
    with controls.lock:
        for name, value in values.items():
            setattr(controls, name, value)
        if failure is not None:
            controls.fail = failure


def straighten(controls: Controls) -> None:
    """Every knob back to where it was at the start; the record of calls emptied."""
    fresh = Controls()
    with controls.lock:
        for item in fields(Controls):
            if item.name not in ("calls", "lock"):
                setattr(controls, item.name, getattr(fresh, item.name))
        controls.calls.clear()


def show(controls: Controls) -> dict[str, Any]:
    with controls.lock:
        shown = {item.name: getattr(controls, item.name) for item in fields(Controls)}
        shown["fail"] = {item.name: getattr(controls.fail, item.name) for item in fields(Failure)}
    del shown["calls"], shown["lock"]
    return shown
