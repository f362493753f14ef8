"""Watching pictures are known by size, path or host, and named after the service they belong to."""

import json
import os
import time
from pathlib import Path

import pytest

from webmail.mail.sanitize import Tracker, named, reading, tracker_name

CORPORA = Path(os.environ.get("MTUMAIL_CORPORA", Path(__file__).parents[3] / "shared" / "corpora"))
PATTERNS = CORPORA / "tracker-patterns" / "rows.jsonl"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("shop.us4.list-manage.com", "Mailchimp"),
        ("u123.ct.sendgrid.net", "SendGrid"),
        ("cl.s7.exct.net", "Salesforce Marketing Cloud"),
        ("t.sidekickopen42.com", "HubSpot"),
        ("x.createsend1.com", "Campaign Monitor"),
        ("r.rs6.net", "Constant Contact"),
        ("abc.r.eu-west-1.awstrack.me", "Amazon SES"),
        ("WWW.Google-Analytics.com.", "Google Analytics"),
        ("trk.klclick3.com", "Klaviyo"),
        ("mailtrack.io", "Mailtrack"),
        ("list-manage.com.evil.example", ""),
        ("notlist-manage.com", ""),
        ("shop.example", ""),
        ("", ""),
    ],
)
def test_hosts_are_named_by_their_end(host, name):
    assert tracker_name(host) == name


def test_trackers_of_a_message_known_ones_first():
    assert named(("a.example", "x.sendgrid.net", "us1.list-manage.com")) == (
        Tracker("us1.list-manage.com", "Mailchimp"),
        Tracker("x.sendgrid.net", "SendGrid"),
        Tracker("a.example", ""),
    )


@pytest.mark.parametrize(
    "picture",
    [
        '<img src="https://a.example/x.png" width=1 height=1>',
        '<img src="https://a.example/x.png" style="height: 1px; width: 1px">',
        '<img src="https://a.example/x.png" height="1px" width="1px">',
        '<img src="https://a.example/x.png" style="display:none">',
        '<img src="https://a.example/email_opened/123">',
        '<img src="https://a.example/api/v1/track/email/abc">',
        '<img src="https://track.a.example/abc">',
        '<img src="https://x.awstrack.me/abc" alt="Logo" width=200>',
    ],
)
def test_what_watches(picture):
    result = reading(picture)
    assert (len(result.trackers), result.images) == (1, 0)


@pytest.mark.parametrize(
    "picture",
    [
        '<img src="https://open.a.example/cover.jpg" alt="Cover">',
        '<img src="https://track.a.example/route.png" width=400 height=300>',
        '<img src="https://a.example/opening-night.jpg">',
        '<img src="https://shop.us4.list-manage.com/banner.jpg" width=600>',
    ],
)
def test_what_does_not(picture):
    result = reading(picture)
    assert (result.trackers, result.images) == ((), 1)


def test_naming_is_quick():
    began = time.process_time()
    for host in ("a." * 126, "a" * 253, "mkt1" * 60, "s1." * 80):
        tracker_name(host)
    assert time.process_time() - began < 0.1


def shown(pattern: str) -> str:
    """A picture that the pattern of an ad blocker means."""
    if pattern.startswith("##"):
        sizes = 'style="height: 1px;width: 1px"' if "style" in pattern else 'height="1" width="1"'
        return f'<img src="https://a.example/b.png" {sizes}>'
    where = pattern.partition("^")[0].replace("*", "1")
    host = "https://mail.example" if where.startswith("/") else "https://"
    return f'<img src="{host}{where}{"" if where.endswith(".") else "/"}abc?u=1">'


@pytest.mark.corpora
@pytest.mark.skipif(not PATTERNS.exists(), reason=f"test material {PATTERNS} is not here (MTUMAIL_CORPORA)")
def test_every_kind_in_a_collected_list_is_seen():
    patterns = [json.loads(line)["pattern"] for line in PATTERNS.read_text("utf-8").splitlines()]
    assert len(patterns) == 27
    missed = [pattern for pattern in patterns if not reading(shown(pattern)).trackers]
    assert missed == []
