"""The page of deliveries: drawn, in tables beside, for admins alone."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

PATH = "/admin/deliveries"


@pytest.fixture
def day(superuser, empty):
    def add(measure, name, number, detail="", ago=0):
        superuser.execute(
            text("INSERT INTO delivery_day VALUES (:day, :measure, :name, :detail, :number)"),
            {
                "day": datetime.now(UTC).date() - timedelta(days=ago),
                "measure": measure,
                "name": name,
                "detail": detail,
                "number": number,
            },
        )

    return add


def test_the_page_is_for_admins_alone(browser_of, ada, ann, sue, stranger):
    assert browser_of(ada).get(PATH).status_code == 200
    assert browser_of(ann).get(PATH).status_code == 403
    assert browser_of(sue).get(PATH).status_code == 403
    assert stranger.get(PATH).status_code in (302, 303, 307)
    assert browser_of(ada).post(PATH).status_code == 405


def test_without_mail_it_says_so(browser_of, ada):
    page = browser_of(ada).get(PATH).text
    assert page.count("Nothing has left in this time.") == 3
    assert "Nothing waits." in page


def test_numbers_are_drawn_and_stand_in_tables_beside(browser_of, ada, day):
    day("handed", "big.example", 96)
    day("bounced", "big.example", 6, "5.2")
    day("failed", "small.example", 4, "5.1")
    day("deferred", "small.example", 3, "4.4", ago=2)
    day("complaint", "", 2, ago=2)
    day("waited", "", 96, "m1")
    day("tls", "relay.example", 95, "TLSv1.3")
    day("tls", "relay.example", 1, "none")
    page = browser_of(ada).get(f"{PATH}?days=7").text
    assert page.count('<svg class="chart" role="img"') == 3
    rows = [re.sub(r"<[^>]*>", " ", row.partition("</table>")[0]).split() for row in page.split("<tr>")[1:]]
    assert ["big.example", "93.8", "%", "96", "0", "0", "6"] in rows
    assert ["small.example", "0.0", "%", "0", "3", "4", "0"] in rows
    assert ["the", "mailbox", "5.2", "came", "back", "6"] in rows
    assert ["the", "network", "and", "routing", "4.4", "put", "off", "3"] in rows
    assert ["relay.example", "TLSv1.3", "95"] in rows
    assert "not encrypted" in page
    assert "up to a minute" in page


@pytest.mark.parametrize("days", ["7", "30", "90"])
def test_it_looks_as_far_back_as_it_is_asked(browser_of, ada, day, days):
    day("handed", "near.example", 5, ago=int(days) - 1)
    day("handed", "far.example", 5, ago=int(days))
    page = browser_of(ada).get(f"{PATH}?days={days}").text
    assert "near.example" in page
    assert "far.example" not in page
    assert re.search(rf'days={days}" aria-current="page"', page)


@pytest.mark.parametrize("days", ["", "8", "x", "-7", "7 "])
def test_no_other_spans(browser_of, ada, days):
    assert browser_of(ada).get(PATH, query_string={"days": days}).status_code == 404


def test_names_of_strangers_are_shown_as_text(browser_of, ada, day):
    day("handed", "<b>x</b>.example", 5)
    assert "&lt;b&gt;x&lt;/b&gt;.example" in browser_of(ada).get(PATH).text
