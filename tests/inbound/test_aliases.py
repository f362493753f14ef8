"""Aliases and catch-alls over real SMTP, from RCPT to the message in its mailbox, as the role of inbound."""

import pytest
from flask import Flask
from sqlalchemy import text

from inbound import store
from webmail import db
from webmail.db import transaction
from webmail.settings import domains, routes

ACTOR = "system:tests"


class Real:
    """The ports of a real inbound over the tests' database."""

    def __init__(self, settings):
        self.apps, self.authenticate = [], None
        outer = self

        class Remembered(Flask):
            def __init__(self, name):
                super().__init__(name)
                outer.apps.append(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "Flask", Remembered)
            self._ports = store.connect(settings("inbound"), 2)

    def ports(self):
        return store.ports.Ports(self._ports.resolve, self._ports.receive)


@pytest.fixture
def memory(settings, ann, ben):
    """In place of the ports in memory: what `serve` builds its server on."""
    real = Real(settings)
    yield real
    for app in real.apps:
        with app.app_context():
            db.db.engine.dispose()


@pytest.fixture
def home(owner_app, ann):
    with owner_app.app_context(), transaction():
        return domains.find("mtumail.test")


@pytest.fixture
def alias(owner_app, home):
    with owner_app.app_context(), transaction():
        alias = domains.host("alias.test")
        domains.make_alias(alias, home, actor=ACTOR)
    return alias


@pytest.fixture
def catch_all(owner_app, home, ben):
    with owner_app.app_context(), transaction():
        routes.set_route(home, "*", ben.address, actor=ACTOR)


@pytest.fixture
def arrived(superuser):
    """Whose mailboxes have got what: pairs of mailbox and address."""
    sql = "SELECT mailbox_id, envelope_to FROM message ORDER BY envelope_to"
    return lambda: [tuple(row) for row in superuser.execute(text(sql))]


def said(client, *recipients):
    """The replies to RCPT, in order."""
    client.say("EHLO peer.test", "MAIL FROM:<bob@peer.test>")
    return [client.say(f"RCPT TO:<{one}>")[:3] for one in recipients]


def test_mail_for_an_alias_reaches_the_same_name_once(client, alias, ann, arrived):
    answer = client.mail(b"Subject: x\r\n\r\nHello\r\n", "ann@alias.test", "Ann+tag@mtumail.test")
    assert answer.startswith("250")
    assert [box for box, _address in arrived()] == [ann.mailbox_id]


def test_names_that_nobody_has_at_an_alias_are_refused(client, alias):
    assert said(client, "nobody@alias.test", "ann@other.test", "ann@alias.test") == ["550", "550", "250"]


def test_a_domain_that_nobody_verified_takes_no_mail(client, superuser, home):
    superuser.execute(
        text(f"INSERT INTO domain (domain_id, name, alias_of) VALUES (7, 'waits.test', {home})")
    )
    assert said(client, "ann@waits.test", "postmaster@waits.test") == ["550", "550"]


def test_without_a_catch_all_names_that_nobody_has_are_refused(client):
    assert said(client, "nobody@mtumail.test") == ["550"]


def test_a_catch_all_takes_what_nobody_has(client, catch_all, alias, ann, ben, arrived):
    wanted = ("nobody@mtumail.test", "nobody@alias.test", "ann@alias.test")
    assert client.mail(b"Subject: x\r\n\r\nHello\r\n", *wanted).startswith("250")
    assert sorted(box for box, _address in arrived()) == sorted((ann.mailbox_id, ben.mailbox_id))
    assert (ben.mailbox_id, "nobody@mtumail.test") in arrived()


def test_a_catch_all_proves_to_nobody_whose_a_domain_is(client, catch_all):
    """Certificate authorities write there."""
    names = ("admin", "administrator", "hostmaster", "webmaster", "nobody")
    assert said(client, *(f"{name}@mtumail.test" for name in names)) == ["550"] * 4 + ["250"]


def test_a_catch_all_pauses_while_a_name_rests(client, catch_all, home, superuser):
    superuser.execute(
        text(
            "INSERT INTO resting_name (domain_id, name_hash, reason, until) VALUES (:d, :h, 'erased', now() + interval '1 day')"
        ),
        {"d": home, "h": b"h" * 32},
    )
    assert said(client, "nobody@mtumail.test", "ann@mtumail.test") == ["550", "250"]


def test_postmaster_goes_where_it_is_led(client, owner_app, home, ann, arrived):
    with owner_app.app_context(), transaction():
        routes.set_route(home, "postmaster", ann.address, actor=ACTOR)
    assert client.mail(b"Subject: x\r\n\r\nHello\r\n", "Postmaster", "postmaster@mtumail.test").startswith(
        "250"
    )
    assert [box for box, _address in arrived()] == [ann.mailbox_id]
