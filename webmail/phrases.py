"""Words for people where no request says in which language: letters, and whatever else workers write.

The catalogues are those of the web (`DOMAIN` in `FOLDER`); what has no translation stays English. Neither a request nor an
application is needed: whoever writes says the language (`written_in`), or it is `DEFAULT`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from gettext import NullTranslations, translation
from pathlib import Path
from typing import Any, Final

DEFAULT: Final = "en_GB"
DOMAIN: Final = "messages"
FOLDER = Path(__file__).parent / "translations"
"""Holds `<locale>/LC_MESSAGES/messages.mo`."""
_locale: ContextVar[str] = ContextVar("mtumail_language", default=DEFAULT)


@contextmanager
def written_in(locale: str) -> Iterator[None]:
    """What follows is in this language: a locale as `en_GB`. A language without a catalogue is English, dated as it dates."""
    before = _locale.set(locale)
    try:
        yield
    finally:
        _locale.reset(before)


def gettext(message: str, **values: Any) -> str:
    """`message` translated, with `%(name)s` filled in. With values, a percent sign is written `%%`."""
    translated = _catalogue(FOLDER, _locale.get()).gettext(message)
    return translated % values if values else translated


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    """The form of a message that `num` takes, with it and `%(name)s` filled in."""
    translated = _catalogue(FOLDER, _locale.get()).ngettext(one, many, num)
    return translated % ({"num": num} | values)


def marked(message: str) -> str:
    """`message` as it is, for a table: whoever translates finds it there, and `gettext` translates it when it is written."""
    return message


def nmarked(one: str, many: str) -> tuple[str, str]:
    """The same for a message whose form goes by a number: the first arguments of `ngettext`."""
    return one, many


@lru_cache(maxsize=64)
def _catalogue(folder: Path, locale: str) -> NullTranslations:
    return translation(DOMAIN, folder, [locale], fallback=True)


# --- days and times ------------------------------------------------------------------------------------------------------


def day(at: datetime) -> str:
    """The date in UTC: `3 November 2026`. Raises babel's UnknownLocaleError, as all below do."""
    return _date(at, "long")


def moment(at: datetime) -> str:
    """Date and time: `3 November 2026, 08:05 UTC`."""
    return gettext("%(date)s, %(time)s UTC", date=day(at), time=_time(at))


def full_moment(at: datetime) -> str:
    """With the day of the week: `Tuesday 3 November 2026, 08:05 UTC`."""
    told = {"weekday": _date(at, "EEEE"), "date": day(at), "time": _time(at)}
    return gettext("%(weekday)s %(date)s, %(time)s UTC", **told)


def near_moment(at: datetime) -> str:
    """Within days of now, when the year goes without saying: `Tuesday 3 November 08:05 UTC`."""
    told = {"weekday": _date(at, "EEEE"), "date": _date(at, _pattern("MMMMd")), "time": _time(at)}
    return gettext("%(weekday)s %(date)s %(time)s UTC", **told)


# Babel is slow to import, and most who write do not say a date.
def _date(at: datetime, pattern: str) -> str:
    from babel.dates import format_date

    return str(format_date(at.astimezone(UTC).date(), pattern, locale=_locale.get()))


def _time(at: datetime) -> str:
    from babel.dates import format_time

    return str(format_time(at.astimezone(UTC).time(), _pattern("Hm"), locale=_locale.get()))


def _pattern(skeleton: str) -> str:
    from babel import Locale

    return str(Locale.parse(_locale.get()).datetime_skeletons[skeleton].pattern)
