"""Times, sizes and people as templates say them, and the headers that steer htmx."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, Response, request
from flask_babel import Babel

from webmail.web import filters, htmx

NOW = datetime(2026, 11, 22, 15, 4, tzinfo=UTC)  # a Sunday


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    Babel(
        app,
        locale_selector=lambda: request.args.get("lang", "en_GB"),
        timezone_selector=lambda: request.args.get("zone", "UTC"),
    )
    filters.init_app(app)
    return app


def said(moment: datetime, now: datetime = NOW) -> str:
    """The words of a time in a list, without the element around them."""
    return filters.times(now)(moment).striptags()


@pytest.fixture
def english(app: Flask) -> Iterator[None]:
    with app.test_request_context("/"):
        yield


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW.replace(hour=0, minute=0), "00:00"),
        (NOW + timedelta(hours=1), "16:04"),
        (NOW.replace(hour=0, minute=0) - timedelta(minutes=1), "Sat"),
        (NOW - timedelta(days=6), "Mon"),
        (NOW - timedelta(days=7), "15 Nov"),
        (NOW.replace(month=1, day=1), "1 Jan"),
        (NOW.replace(year=2025, month=12, day=31), "Dec 2025"),
        (NOW + timedelta(days=1), "23 Nov"),
        (NOW.replace(year=2031), "Nov 2031"),
    ],
)
def test_times_in_lists(english: None, moment: datetime, words: str) -> None:
    assert said(moment) == words


def test_a_moment_belongs_to_the_readers_day(app: Flask) -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    with app.test_request_context("/?zone=Africa/Nairobi"):
        assert said(late) == "02:30"
    with app.test_request_context("/?zone=America/New_York"):
        assert said(late) == "Sat"


def test_a_time_carries_its_exact_minute_in_utc(english: None) -> None:
    eastern = datetime(2026, 11, 22, 10, 42, 59, tzinfo=timezone(timedelta(hours=-5)))
    assert filters.times(NOW)(eastern) == '<time datetime="2026-11-22T15:42Z">15:42</time>'
    assert filters.when(eastern) == '<time datetime="2026-11-22T15:42Z">Sun, 22 Nov 2026, 15:42</time>'
    assert filters.clock(eastern) == "15:42"


def test_a_time_without_a_zone_is_refused(english: None) -> None:
    with pytest.raises(ValueError, match="zone"):
        said(NOW.replace(tzinfo=None))


def test_the_languages_own_order_and_direction(app: Flask) -> None:
    with app.test_request_context("/?lang=ar"):
        assert (filters.lang(), filters.direction()) == ("ar", "rtl")
    with app.test_request_context("/?lang=ja"):
        assert said(NOW - timedelta(days=30)) == "10月23日"
    with app.test_request_context("/?lang=en_US"):
        assert (filters.lang(), said(NOW - timedelta(days=30))) == ("en-US", "Oct 23")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.2 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (228_411, "228 kB"),
        (999_499, "999 kB"),
        (999_950, "1 MB"),
        (3_400_000, "3.4 MB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes(english: None, count: int, words: str) -> None:
    assert filters.size_words(count) == words.replace(" ", "\N{NO-BREAK SPACE}")


def test_sizes_in_the_readers_numbers(app: Flask) -> None:
    with app.test_request_context("/?lang=de"):
        assert filters.size_words(1234) == "1,2\N{NO-BREAK SPACE}kB"


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Grace Mwangi", "GM"),
        ("Ada Byron King", "AK"),
        ("ann@example.org", "A"),
        ("(Shop) Orders", "O"),
        ("王小明", "王"),
        ("فاطمة الزهراء", "ف"),
        ("école de musique", "É"),
        ("", "?"),
        ("@", "?"),
        ("😀", "?"),
        ("@only.example", "O"),
    ],
)
def test_initials(name: str, letters: str) -> None:
    assert filters.initials(name) == letters


def test_person() -> None:
    assert filters.person(SimpleNamespace(name="Ann", email="a@x.test")) == "Ann <a@x.test>"
    assert filters.person(SimpleNamespace(name="", email="a@x.test")) == "a@x.test"


# --- htmx ---


@pytest.mark.parametrize(
    ("headers", "fragment"),
    [
        ({}, False),
        ({"HX-Request": "true", "HX-Request-Type": "partial"}, True),
        ({"HX-Request": "true", "HX-Request-Type": "full"}, False),
        ({"HX-Request": "true"}, True),
        ({"HX-Request": "true", "HX-Boosted": "true"}, True),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, False),
        ({"HX-Request": "true", "HX-Request-Type": "partial", "HX-History-Restore-Request": "true"}, False),
        ({"HX-Request": "1"}, False),
        ({"HX-Request-Type": "partial"}, False),
    ],
)
def test_who_wants_a_fragment(app: Flask, headers: dict[str, str], fragment: bool) -> None:
    with app.test_request_context("/", headers=headers):
        assert htmx.is_fragment(request) is fragment


def test_page_and_fragment_vary(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>{% include '_part.html' %}")
    (tmp_path / "_part.html").write_text("<p>{{ word }}</p>")
    app = Flask(__name__, template_folder=str(tmp_path))
    answers = []
    for headers in ({}, {"HX-Request": "true", "HX-Request-Type": "partial"}):
        with app.test_request_context("/", headers=headers):
            response = htmx.render("page.html", "_part.html", word="hi <you>")
            whole = htmx.render("page.html", None, word="x")
        answers.append(response.get_data(as_text=True))
        assert set(response.vary) == {"HX-Request", "HX-Request-Type"}
        assert whole.get_data(as_text=True).startswith("<html>")
    assert answers == ["<html><p>hi &lt;you&gt;</p>", "<p>hi &lt;you&gt;</p>"]


def test_steering() -> None:
    response = htmx.steer(
        Response(),
        reswap="outerMorph show:none",
        retarget="#content",
        reselect='[data-id="a1"]',
        push_url="/search?q=тест\r\nX-Evil: 1",
        trigger={"noted": {"text": "Grüße\r\nSet-Cookie: a=b"}, "done": None},
    )
    assert response.headers["HX-Reswap"] == "outerMorph show:none"
    assert response.headers["HX-Retarget"] == "#content"
    assert response.headers["HX-Push-Url"] == "/search?q=%D1%82%D0%B5%D1%81%D1%82%0D%0AX-Evil:%201"
    assert (
        response.headers["HX-Trigger"]
        == '{"noted":{"text":"Gr\\u00fc\\u00dfe\\r\\nSet-Cookie: a=b"},"done":null}'
    )
    assert htmx.steer(Response(), push_url=False).headers["HX-Push-Url"] == "false"
    assert htmx.steer(Response(), trigger="auth-stale").headers["HX-Trigger"] == "auth-stale"


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "javascript:1"]
)
def test_only_own_paths_are_pushed(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        htmx.steer(Response(), push_url=path)


@pytest.mark.parametrize(
    "bad",
    [
        {"reswap": "outerHTML\r\nX: y"},
        {"reswap": "js:alert(1)"},
        {"retarget": "a{b}"},
        {"reselect": ""},
        {"trigger": "a,b"},
        {"trigger": {"a b": None}},
    ],
)
def test_what_could_leave_its_header_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a"):
        htmx.steer(Response(), **bad)  # type: ignore[arg-type]
