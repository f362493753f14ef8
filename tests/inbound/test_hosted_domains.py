"""Mail of our own people that comes back in: known by our own keys, with DNS or without."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from inbound import store
from inbound.authentication.dns import NXDOMAIN, TEMPORARY, Answer, Status
from inbound.authentication.hosted import HostedKeys
from inbound.authentication.judge import Judge
from inbound.ports import Delivery
from inbound.trace import Peer, head
from webmail import db
from webmail.db import transaction
from webmail.mail import messages
from webmail.mail.authentication import read
from webmail.mail.mime import parse
from webmail.sending import dkim, drafts, submitting
from webmail.settings import dkim_keys, dkim_records, domains

HOST = "mx.mtumail.test"
DOMAIN = "mtumail.test"
NAME = f"m202611a._domainkey.{DOMAIN}"
RECORD = "v=DKIM1; k=ed25519; t=s; p=AAAA"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
MAIL = (
    b"From: Ann <ann@mtumail.test>\r\nTo: ben@mtumail.test\r\nSubject: Hello\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@mtumail.test>\r\n\r\nHello Ben\r\n"
)


@pytest.fixture(scope="module")
def pairs():
    """(key to sign with, record) of each algorithm."""
    found = []
    for selector, algorithm in (("m202611a", "rsa"), ("m202611b", "ed25519")):
        made = dkim_records.generate(algorithm)
        found.append(
            (
                dkim_records.load(selector, algorithm, made.private),
                dkim_records.record(algorithm, made.public),
            )
        )
    return found


def arrival(raw, peer_ip="127.0.0.1", sender="ann@mtumail.test"):
    """A message as inbound hands it to whoever judges it."""
    peer = Peer(peer_ip, "relay.example.net", True)
    ours = head(peer, host=HOST, sender=sender, smtputf8=False, delivery_id="1-1", now=NOW)
    whole = ours + raw
    return Delivery("1-1", sender, (), whole, len(whole), False, peer.ip, peer.helo, False, NOW, len(ours))


@pytest.fixture
def judged():
    """What is recorded of a message, read as a reader's side reads it."""

    def judge(raw, resolver, peer_ip="127.0.0.1"):
        return read(parse(Judge(HOST, lambda: resolver)(arrival(raw, peer_ip)).raw).headers)

    return judge


def table(records):
    return lambda selector, domain: records.get(f"{selector}._domainkey.{domain}")


def nothing(name, kind, seconds):
    return NXDOMAIN


def down(name, kind, seconds):
    return TEMPORARY


@pytest.mark.parametrize("dns", [nothing, down], ids=["not in DNS", "no DNS"])
def test_own_mail_is_verified(pairs, judged, dns):
    records = {f"{key.selector}._domainkey.{DOMAIN}": record for key, record in pairs}
    raw = dkim.sign(MAIL, DOMAIN, [key for key, _ in pairs], int(NOW.timestamp()))
    relayed = b"Received: from a by b; Mon, 23 Nov 2026 10:00:01 +0000\r\n" + raw
    found = judged(relayed, HostedKeys(dns, table(records)))
    assert [one.result for one in found.dkim] == ["pass", "pass"]
    assert (found.verdict, found.from_domain) == ("verified", DOMAIN)


def test_mail_that_says_it_is_ours_and_is_not_stays_unproven(pairs, judged):
    records = {f"{key.selector}._domainkey.{DOMAIN}": record for key, record in pairs}
    keys = [key for key, _ in pairs]
    resolver = HostedKeys(nothing, table(records))
    forged = dkim_records.generate("ed25519")
    theirs = dkim_records.load("m202611b", "ed25519", forged.private)
    signed = dkim.sign(MAIL, DOMAIN, keys, int(NOW.timestamp()))
    for raw in (
        MAIL,
        signed.replace(b"Hello Ben", b"Pay Eve"),
        dkim.sign(MAIL, DOMAIN, [theirs], int(NOW.timestamp())),
        dkim.sign(MAIL, DOMAIN, [replace(theirs, selector="m202611z")], int(NOW.timestamp())),
        b"From: Eve <eve@example.org>\r\n" + signed,
    ):
        for peer_ip in ("127.0.0.1", "198.51.100.9"):
            assert judged(raw, resolver, peer_ip).verdict != "verified"


def test_the_key_of_another_hosted_domain_vouches_for_its_own_alone(pairs, judged):
    (key, record), _ = pairs
    other = "other.test"
    records = {f"{key.selector}._domainkey.{other}": record}
    resolver = HostedKeys(nothing, table(records))
    found = judged(dkim.sign(MAIL, other, [key], int(NOW.timestamp())), resolver)
    assert [(one.result, one.domain) for one in found.dkim] == [("pass", other)]
    assert found.verdict == "unknown"
    found = judged(dkim.sign(MAIL, DOMAIN, [key], int(NOW.timestamp())), resolver)
    assert [one.result for one in found.dkim] == ["permerror"]
    theirs = MAIL.replace(b"ann@mtumail.test", b"ann@other.test")
    assert judged(dkim.sign(theirs, other, [key], int(NOW.timestamp())), resolver).verdict == "verified"


def test_names_within_selectors_lead_nowhere_else():
    asked = []

    def look_up(selector, domain):
        asked.append((selector, domain))

    resolver = HostedKeys(nothing, look_up)
    resolver(f"m202611a._domainkey.{DOMAIN}._domainkey.evil.example", "TXT", 1)
    resolver(f"_dmarc.{DOMAIN}", "TXT", 1)
    resolver(f"m202611a._domainkey.{DOMAIN}", "A", 1)
    assert asked == [("m202611a", f"{DOMAIN}._domainkey.evil.example")], "no domain of ours has such a name"


def test_our_own_record_goes_before_dns_and_others_come_from_dns():
    inner = {NAME: "v=DKIM1; p=BBBB", "sel._domainkey.mtumail.test": "v=DKIM1; p=CCCC"}

    def dns(name, kind, seconds):
        return Answer(Status.FOUND, (inner[name],), 60) if name in inner else NXDOMAIN

    resolver = HostedKeys(dns, table({NAME: RECORD}))
    assert resolver(NAME, "TXT", 1).records == (RECORD,)
    assert resolver("sel._domainkey.mtumail.test", "TXT", 1).records == ("v=DKIM1; p=CCCC",)
    assert resolver("x._domainkey.example.org", "TXT", 1) == NXDOMAIN
    assert HostedKeys(dns, table({NAME: dkim_records.REVOKED}))(NAME, "TXT", 1).records == ("v=DKIM1; p=",)


def test_a_table_that_is_away_leaves_dns_or_no_answer():
    asked = []

    def look_up(selector, domain):
        asked.append(selector)
        raise OSError("away")

    def dns(name, kind, seconds):
        return Answer(Status.FOUND, (RECORD,), 60) if name.startswith("in-dns") else NXDOMAIN

    resolver = HostedKeys(dns, look_up)
    assert resolver("in-dns._domainkey.example.org", "TXT", 1).records == (RECORD,)
    assert resolver(NAME, "TXT", 1) == TEMPORARY
    assert asked == ["in-dns"], "a table that is away is not asked for each signature"
    resolver = HostedKeys(dns, look_up, seconds=0)
    resolver(NAME, "TXT", 1)
    resolver(NAME, "TXT", 1)
    assert asked == ["in-dns", "m202611a", "m202611a"]


def test_what_was_read_is_remembered_for_some_seconds_and_not_for_ever():
    asked = []

    def look_up(selector, domain):
        asked.append(selector)
        return RECORD if selector == "m202611a" else None

    resolver = HostedKeys(nothing, look_up)
    for _ in range(5):
        assert resolver(NAME, "TXT", 1).records == (RECORD,)
        assert resolver("x._domainkey.example.org", "TXT", 1) == NXDOMAIN
    assert asked == ["m202611a", "x"]
    asked.clear()
    resolver = HostedKeys(nothing, look_up, seconds=0)
    for _ in range(3):
        resolver(NAME, "TXT", 1)
    assert len(asked) == 3


def test_what_is_remembered_is_bounded_and_shared_by_threads():
    resolver = HostedKeys(nothing, table({NAME: RECORD}), seconds=60)
    wrong = []

    def ask(number):
        for one in range(800):
            resolver(f"s{number}x{one}._domainkey.example.org", "TXT", 1)
            if resolver(NAME, "TXT", 1).records != (RECORD,):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(resolver._kept) <= 2_048


# --- with the table ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ports(settings, ann, ben, owner_app, master):
    """The ports of a real inbound over the tests' database, with the keys of our domain made."""
    with owner_app.app_context(), transaction():
        dkim_keys.ensure(master, domains.find(DOMAIN), "system:tests")
    apps = []

    class Remembered(Flask):
        def __init__(self, name):
            super().__init__(name)
            apps.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "Flask", Remembered)
        yield store.connect(replace(settings("inbound"), dns_servers=(("127.0.0.1", 9),)), 2)
    for app in apps:
        with app.app_context():
            db.db.engine.dispose()


def test_what_one_of_ours_submits_comes_back_verified(ports, opened, ann):
    def submit(keys):
        who = (ann.name, ann.address)
        draft = drafts.create(keys, who, drafts.Fields(f"ben@{DOMAIN}", "", "", "Hi", "Text"))
        submitting.submit(keys, draft.message_id, 1, account_id=ann.account_id, author=who, limit=10**6)
        return messages.source(keys, draft.message_id)

    def come(raw):
        headers = parse(ports.authenticate(arrival(raw)).raw).headers
        return next(one.value for one in headers if one.name == "Authentication-Results")

    signed = opened(ann, submit)
    assert b"DKIM-Signature" in signed
    assert come(signed).count("dkim=pass") == 2
    assert "dkim=pass" not in come(signed.replace(b"Text", b"Test"))


def test_the_role_of_inbound_suffices_and_sees_no_private_half(ports, database):
    engine = create_engine(database.urls["inbound"])
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(public_key) FROM dkim_key")).scalar() == 2
        with pytest.raises(Exception, match="permission denied"):
            connection.execute(text("SELECT wrapped FROM dkim_key"))
    engine.dispose()
