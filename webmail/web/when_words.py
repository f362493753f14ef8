"""When an event is, in the reader's language, zone and calendar; and how often, without ever running its rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from babel import Locale
from babel.dates import format_date, format_datetime, get_day_names, get_month_names
from babel.lists import format_list
from flask_babel import get_locale, get_timezone, ngettext

from webmail.mail.calendar import Invitation, Recurrence
from webmail.web.words import gettext as _

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class When:
    """`words` in the reader's zone; `theirs` the same in the sender's, "" where its clocks agree; `repeats` how often."""

    words: str
    theirs: str = ""
    repeats: str = ""


def when(invitation: Invitation) -> When:
    """The time of an event in words. "" for the words where it has none, or one that no calendar holds."""
    repeats = _repeats(invitation)
    start = invitation.start if invitation.start is not None else invitation.end
    end = invitation.end if invitation.start is not None else None
    if start is None:
        return When("", "", repeats)
    if not isinstance(start, datetime):
        last = end - timedelta(days=1) if isinstance(end, date) and end > start else start
        return When(_all_day(start, last), "", repeats)
    end = end if isinstance(end, datetime) else None
    try:
        return _timed(start, end, invitation, repeats)
    except OverflowError:  # the year 1, west of here
        return When("", "", repeats)


def _timed(start: datetime, end: datetime | None, invitation: Invitation, repeats: str) -> When:
    if start.tzinfo is None:
        place = invitation.zone if "unknown-zone" in invitation.problems else ""
        words = _span(start, end)
        if place:
            return When(
                _("%(time)s (in a time zone that we do not know: %(zone)s)", time=words, zone=place),
                "",
                repeats,
            )
        return When(_("%(time)s (local time, wherever one is)", time=words), "", repeats)
    zone = get_timezone()
    here, here_end = start.astimezone(zone), end.astimezone(zone) if end else None
    words = _("%(time)s (%(zone)s)", time=_span(here, here_end), zone=str(zone))
    theirs = ""
    if start.utcoffset() != here.utcoffset() and invitation.zone not in ("", "UTC"):
        there_end = end.astimezone(start.tzinfo) if end else None
        theirs = _("%(time)s (%(zone)s)", time=_span(start, there_end), zone=invitation.zone)
    return When(words, theirs, repeats)


def _locale() -> Locale:
    return get_locale() or Locale("en")


def _day(moment: date) -> str:
    return str(format_date(moment, "full", locale=_locale()))


def _clock(moment: datetime) -> str:
    locale = _locale()
    return str(
        format_datetime(moment.replace(tzinfo=None), locale.datetime_skeletons["Hm"].pattern, locale=locale)
    )


def _all_day(first: date, last: date) -> str:
    if first == last:
        return _("%(day)s, all day", day=_day(first))
    return _("%(first)s to %(last)s, all day", first=_day(first), last=_day(last))


def _span(start: datetime, end: datetime | None) -> str:
    """A range whose day is said once when it does not change."""
    if end is None or end == start:
        return _("%(day)s, %(time)s", day=_day(start), time=_clock(start))
    if start.date() == end.date():
        return _("%(day)s, %(start)s to %(end)s", day=_day(start), start=_clock(start), end=_clock(end))
    return _(
        "%(first)s, %(start)s to %(last)s, %(end)s",
        first=_day(start),
        start=_clock(start),
        last=_day(end),
        end=_clock(end),
    )


# --- rules ---------------------------------------------------------------------------------------------------------------


def rule_words(rule: Recurrence) -> str:
    """ "every 2 months on the second Monday, 5 times". A rule that these words cannot say whole is not said in part."""
    words = _frequency(rule) if rule.is_plain else None
    if words is None:
        return _("repeats (rule not shown)")
    if rule.count is not None:
        words = ngettext("%(rule)s, once", "%(rule)s, %(num)s times", rule.count, rule=words)
    if rule.until is not None:
        words = _("%(rule)s, until %(day)s", rule=words, day=_until(rule.until, get_timezone()))
    return str(words)


def _until(until: date, zone: tzinfo) -> str:
    if isinstance(until, datetime) and until.tzinfo is not None:
        try:
            until = until.astimezone(zone)
        except OverflowError:
            until = until.replace(tzinfo=None)
    return str(format_date(until, "long", locale=_locale()))


def _frequency(rule: Recurrence) -> str | None:
    num = rule.interval
    if rule.freq == "HOURLY" and not _parts(rule):
        return str(ngettext("every hour", "every %(num)s hours", num))
    if rule.freq == "DAILY" and _parts(rule) <= {"by_day"} and not _has_ordinals(rule):
        return _on(ngettext("every day", "every %(num)s days", num), rule)
    if rule.freq == "WEEKLY" and _parts(rule) <= {"by_day"} and not _has_ordinals(rule):
        return _on(ngettext("every week", "every %(num)s weeks", num), rule)
    if rule.freq == "MONTHLY" and not rule.by_month:
        return _monthly(ngettext("every month", "every %(num)s months", num), rule)
    if rule.freq == "YEARLY":
        return _yearly(ngettext("every year", "every %(num)s years", num), rule)
    return None


def _parts(rule: Recurrence) -> set[str]:
    return {name for name in ("by_day", "by_month_day", "by_month", "by_set_pos") if getattr(rule, name)}


def _has_ordinals(rule: Recurrence) -> bool:
    return any(nth for nth, _day_code in rule.by_day)


def _listing(items: Sequence[str]) -> str:
    return str(format_list(list(items), locale=_locale()))


def _weekday(code: str) -> str:
    return str(get_day_names("wide", locale=_locale())[_DAYS.index(code)])


def _on(every: str, rule: Recurrence) -> str:
    codes = sorted({code for _nth, code in rule.by_day}, key=_DAYS.index)
    if not codes or len(codes) == 7:
        return every
    return str(_("%(every)s on %(days)s", every=every, days=_listing([_weekday(code) for code in codes])))


def _ordinal(nth: int) -> str | None:
    words = {
        1: _("first"),
        2: _("second"),
        3: _("third"),
        4: _("fourth"),
        5: _("fifth"),
        -1: _("last"),
        -2: _("second to last"),
    }
    return words.get(nth)


def _nth_days(rule: Recurrence) -> str | None:
    """ "the second Monday and the last Friday"; None when one of them has no number, or one without a word."""
    pairs = list(rule.by_day)
    if rule.by_set_pos:
        if len(rule.by_set_pos) != 1 or len(pairs) != 1 or pairs[0][0]:
            return None
        pairs = [(rule.by_set_pos[0], pairs[0][1])]
    found = []
    for nth, code in pairs:
        ordinal = _ordinal(nth)
        if ordinal is None:
            return None
        found.append(_("the %(ordinal)s %(day)s", ordinal=ordinal, day=_weekday(code)))
    return _listing(found)


def _month_days(rule: Recurrence) -> str | None:
    if rule.by_month_day == (-1,):
        return str(_("the last day"))
    if any(day < 0 for day in rule.by_month_day):
        return None
    return str(_("day %(days)s", days=_listing([str(day) for day in sorted(set(rule.by_month_day))])))


def _monthly(every: str, rule: Recurrence) -> str | None:
    if not _parts(rule):
        return every
    if rule.by_day and not rule.by_month_day:
        days = _nth_days(rule)
    elif rule.by_month_day and not rule.by_day and not rule.by_set_pos:
        days = _month_days(rule)
    else:
        return None
    return str(_("%(every)s on %(days)s", every=every, days=days)) if days else None


def _yearly(every: str, rule: Recurrence) -> str | None:
    if not _parts(rule):
        return every
    if len(rule.by_month) != 1:
        return None
    month = str(get_month_names("wide", context="stand-alone", locale=_locale())[rule.by_month[0]])
    if _parts(rule) == {"by_month"}:
        return str(_("%(every)s in %(month)s", every=every, month=month))
    if rule.by_day and not rule.by_month_day:
        days = _nth_days(rule)
    elif rule.by_month_day and not rule.by_day and not rule.by_set_pos:
        days = _month_days(rule)
    else:
        return None
    return str(_("%(every)s in %(month)s on %(days)s", every=every, month=month, days=days)) if days else None


def _repeats(invitation: Invitation) -> str:
    rule = invitation.recurrence
    if rule is None:
        words = _("one date of a series") if invitation.recurrence_id is not None else ""
        return _with_dates(str(words), invitation)
    words = rule_words(rule)
    if rule.is_plain and _parts(rule) and _is_another_day(invitation.start):
        words = _("%(rule)s (days as the sender counts them)", rule=words)
    return _with_dates(str(words), invitation)


def _is_another_day(start: date | None) -> bool:
    """The reader's calendar shows another day than the sender's, so that "every Thursday" would be a Friday here."""
    if not isinstance(start, datetime) or start.tzinfo is None:
        return False
    try:
        return start.astimezone(get_timezone()).date() != start.date()
    except OverflowError:
        return False


def _with_dates(repeats: str, invitation: Invitation) -> str:
    """The rule with what its sender took out of it and added to it."""
    extra, less = invitation.extra_dates, invitation.excluded_dates
    if extra:
        added = ngettext("on %(num)s more date", "on %(num)s more dates", extra)
        repeats = _("%(rule)s, and %(added)s", rule=repeats, added=added) if repeats else str(added)
    if less and repeats:
        repeats = ngettext(
            "%(rule)s, except on %(num)s date", "%(rule)s, except on %(num)s dates", less, rule=repeats
        )
    return str(repeats)
