"""Which relays mail leaves through, and with which password."""

import dataclasses

import pytest

from webmail.checkup import outside
from webmail.db import transaction
from webmail.errors import Tampered
from webmail.sending import roads
from webmail.sending.relay import RelaySettings
from webmail.settings import kept

URLS = "smtps://ann:old@one.example,smtps://ann:old@two.example,smtps://ben:his@three.example,smtp://127.0.0.1:2526"


@pytest.fixture
def put_in(owner_app):
    def change(password):
        with owner_app.app_context(), transaction():
            kept.change(roads.PASSWORD, password, actor="system:tests")

    return change


@pytest.fixture
def passwords(worker, master):
    def now(urls=URLS):
        settings = dataclasses.replace(worker.extensions["settings"], relay_url=urls)
        with worker.app_context():
            return [one.password for one in roads.outward(settings, master)]

    return now


def test_a_password_that_was_put_in_holds_at_once_for_that_user(put_in, passwords):
    assert passwords() == ["old", "old", "his", ""]
    put_in("new:@/%word")
    assert passwords() == ["new:@/%word", "new:@/%word", "his", ""]
    put_in(None)
    assert passwords() == ["old", "old", "his", ""]


def test_relays_without_a_sign_in_get_none(put_in, passwords):
    put_in("new")
    assert passwords("smtp://127.0.0.1:2526") == [""]
    assert passwords("") == []


def test_sending_takes_it(put_in, worker, master):
    from workers import sending

    put_in("new")
    settings = dataclasses.replace(worker.extensions["settings"], relay_url=URLS)
    with worker.app_context():
        outward, _ = sending.routes(settings)
    assert outward[0].password == "new"
    assert "new" not in repr(outward)


def test_the_doctor_reads_it_as_a_worker_and_goes_without_as_web(put_in, settings):
    put_in("new")
    assert outside.relay_password(settings("worker")) == "new"
    assert outside.relay_password(settings("web")) == ""


def test_another_secret_in_its_place_is_no_password(put_in, worker, master, superuser, passwords):
    put_in("new")
    superuser.exec_driver_sql(
        "UPDATE setting_secret SET wrapped = set_byte(wrapped, 33, 255 - get_byte(wrapped, 33))"
    )
    with pytest.raises(Tampered):
        passwords()


def test_what_is_not_replaced_stays_the_same_object():
    known = RelaySettings.parse_all(URLS)
    assert roads.with_password(known, "") == known
