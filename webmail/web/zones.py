"""Which clock a person reads: the zone they chose, or what their browser says of itself, or UTC.

The browser's word is the cookie `tz`, which app.js sets; nobody else reads it, and it is stored nowhere.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import available_timezones

from flask import g, has_request_context, request

COOKIE = "tz"
DEFAULT = "UTC"
LOCALES = ("en_GB", "en_US")
"""Ways to write dates and numbers; the first is the standard."""
_REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every zone that can be chosen: a region and a city, or UTC."""
    return frozenset(
        name for name in available_timezones() if name.partition("/")[0] in _REGIONS and "/" in name
    ) | {DEFAULT}


@dataclass(frozen=True, slots=True)
class City:
    """A zone as a list shows it."""

    zone: str
    words: str


@lru_cache(maxsize=1)
def by_region() -> tuple[tuple[str, tuple[City, ...]], ...]:
    """Regions with their cities, both in alphabetical order."""
    found: dict[str, list[City]] = defaultdict(list)
    for name in sorted(names() - {DEFAULT}):
        region, _, city = name.partition("/")
        found[region].append(City(name, city.replace("_", " ").replace("/", ", ")))
    return tuple((region, tuple(cities)) for region, cities in sorted(found.items()))


def current() -> str:
    """The zone of this request's reader."""
    if not has_request_context():
        return DEFAULT
    viewer = g.get("viewer")
    chosen = viewer.preferences.zone if viewer is not None else ""
    return next((name for name in (chosen, said()) if name in names()), DEFAULT)


def locale() -> str | None:
    """How dates and numbers are written for this request's reader; None for the standard."""
    viewer = g.get("viewer") if has_request_context() else None
    said = viewer.locale if viewer is not None else ""
    return said if said in LOCALES else None


def said() -> str:
    """What the browser says of itself; "" if it says nothing that we know."""
    name = request.cookies.get(COOKIE, "")
    return name if name in names() else ""
