"""What templates say, and how they say times, sizes and people, in the reader's language and time zone.

Language and zone come from flask_babel, so from the request; nothing else here looks outside its arguments.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from gettext import NullTranslations
from typing import Any

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import get_decimal_symbol
from flask import Flask
from flask_babel import get_locale, get_timezone
from markupsafe import Markup, escape

from webmail.web.boxes import here_filter
from webmail.web.words import translations

_UNITS = ("B", "kB", "MB", "GB", "TB")
_FULL = "yMMMEd Hm"


# --- words ---------------------------------------------------------------------------------------------------------------


def gettext(message: str, **values: Any) -> Markup:
    """`message` translated, with `%(name)s` filled in and escaped. A percent sign is written `%%`, as Jinja has it."""
    return (
        _plain(translations(), message) if not values else _words_of(translations().gettext(message), values)
    )


def ngettext(one: str, many: str, num: int, **values: Any) -> Markup:
    """The form of a message that `num` takes, with it and `%(name)s` filled in and escaped."""
    return _words_of(translations().ngettext(one, many, num), {"num": num} | values)


@lru_cache(maxsize=4096)
def _plain(translations: NullTranslations, message: str) -> Markup:
    return _words_of(translations.gettext(message), {})


def _words_of(translated: str, values: Mapping[str, Any]) -> Markup:
    return Markup(translated) % values  # noqa: S704 - translators may use HTML, values are escaped


# --- times, sizes, people ------------------------------------------------------------------------------------------------


def _locale() -> Locale:
    return get_locale() or Locale("en")


@lru_cache(maxsize=8192)
def _words(locale: Locale, skeletons: str, local: datetime) -> str:
    """`local` in the CLDR patterns of these skeletons. Kept, because Babel takes 40 us a call and a list has 50."""
    patterns = [locale.datetime_skeletons[skeleton].pattern for skeleton in skeletons.split()]
    return ", ".join(format_datetime(local, pattern, locale=locale) for pattern in patterns)


def _local(moment: datetime, zone: tzinfo) -> datetime:
    """The wall clock in `zone`, to the minute. Raises ValueError for a time without a zone: it would be a guess."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be shown")
    return moment.astimezone(zone).replace(second=0, microsecond=0, tzinfo=None)


def _element(moment: datetime, words: str) -> Markup:
    machine = moment.astimezone(UTC).isoformat(timespec="minutes")[:16]
    return Markup(f'<time datetime="{machine}Z">{escape(words)}</time>')  # noqa: S704 - escaped


def times(now: datetime) -> Callable[[datetime], Markup]:
    """How lists say times against `now`: `10:42` today, `Tue` in the six days before, `14 Mar` in this year, `Mar 2024` else.

    All on the reader's calendar. A moment after today is never a weekday: "Tue" would be read as the last one. Each
    answer is a `<time>` whose `datetime` is the minute in UTC; it has no title with the full words, since fifty of them
    are 300 bytes of every list. Locale and zone are looked up here and not for each row, which saves a list 3 ms.
    """
    locale, zone = _locale(), get_timezone()
    today = _local(now, zone).date()

    return lambda moment: _listed(locale, zone, today, moment)


@lru_cache(maxsize=8192)
def _listed(locale: Locale, zone: tzinfo, today: date, moment: datetime) -> Markup:
    """One answer of `times`. Kept, because the same fifty rows are asked for again and again."""
    here = _local(moment, zone)
    days = (today - here.date()).days
    skeleton = "Hm" if days == 0 else "E" if 0 < days < 7 else "MMMd" if here.year == today.year else "yMMM"
    return _element(moment, _words(locale, skeleton, here))


def when(moment: datetime) -> Markup:
    """A `<time>` with weekday, day and time in full."""
    return _element(moment, _words(_locale(), _FULL, _local(moment, get_timezone())))


def clock(moment: datetime) -> str:
    """Hour and minute, as in "Saved 10:42"."""
    return _words(_locale(), "Hm", _local(moment, get_timezone()))


def size_words(count: int) -> str:
    """`999 B`, `1.2 kB`, `38 kB`, `3.4 MB`: decimal units, one decimal below ten, never below one byte's truth."""
    value, unit = float(count), 0
    # Rounding comes before the choice of unit, so that 999,950 bytes are 1 MB and not 1,000 kB.
    while unit < len(_UNITS) - 1 and round(value, 1 if unit and value < 9.95 else 0) >= 1000:
        value, unit = value / 1000, unit + 1
    rounded = round(value, 1) if unit and value < 9.95 else round(value)
    # Babel's own number formatting takes 150 us; only the decimal sign differs between languages here.
    digits = f"{rounded:.12g}".replace(".", get_decimal_symbol(_locale()))
    return f"{digits}\N{NO-BREAK SPACE}{_UNITS[unit]}"


def initials(name: str) -> str:
    """One or two capitals for a face: `Grace Mwangi` GM, `ann@example.org` A, 王小明 王; `?` for nothing to go by."""
    words = [word for word in name.split("@")[0].split() if word[0].isalnum()]
    if not words:
        return next((letter.upper() for letter in name if letter.isalnum()), "?")
    first, last = words[0][0], words[-1][0]
    # Two letters from two words are a Western habit; ideographs and syllables are wide and stand alone.
    pair = len(words) > 1 and first.isupper() and last.isupper()
    return (first + last if pair else first).upper()


def person(who: Any) -> str:
    """`Grace Mwangi <grace@example.org>`, or the bare address. `who` has `name` and `email`."""
    return f"{who.name} <{who.email}>" if who.name else str(who.email)


def lang() -> str:
    """The page's language as BCP 47, for `<html lang>`."""
    return str(_locale()).replace("_", "-")


def direction() -> str:
    """`ltr` or `rtl`, for `<html dir>`."""
    return str(_locale().text_direction)


def init_app(app: Flask) -> None:
    """Give templates the filters `when`, `clock`, `bytes`, `initials`, `person`, the globals `times`, `lang`, `direction`, and
    `_`, `gettext` and `ngettext` in place of flask_babel's: call it after Babel's own."""
    filters: dict[str, Callable[..., str]] = {
        "when": when,
        "clock": clock,
        "bytes": size_words,
        "initials": initials,
        "person": person,
    }
    for name, function in filters.items():
        app.add_template_filter(function, name)
    app.jinja_env.filters["here"] = here_filter
    for name in ("_", "gettext"):
        app.add_template_global(gettext, name)
    app.add_template_global(ngettext)
    app.add_template_global(times)
    app.add_template_global(lang)
    app.add_template_global(direction)
