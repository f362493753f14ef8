"""Whom one may send as: verbs and page; and the page that says what is answered while one is away."""

import re
from datetime import date
from html import unescape

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from webmail.errors import NotFound, Tampered
from webmail.mail import identities, vacation
from webmail.mail.identities import Identity, IdentityError
from webmail.mail.vacation import Vacation

PATH, AWAY = "/settings/identities", "/settings/vacation"
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def run(opened, ann):
    """Call a verb with Ann's mailbox open."""
    return lambda verb, *values, **more: opened(ann, lambda keys: verb(keys, *values, **more))


@pytest.fixture
def client(browser_of, ann):
    return browser_of(ann)


@pytest.fixture
def post(client, csrf):
    """Send a form as the page would, and follow where it leads."""

    def send(path, **fields):
        return client.post(path, data={"csrf_token": csrf(client)} | fields, follow_redirects=True)

    return send


def shop(**more):
    return Identity(**{"id": -1, "name": "The Shop", "address": "ann+shop@mtumail.test"} | more)


# --- verbs ---------------------------------------------------------------------------------------------------------------


def test_everybody_has_the_own_address(run):
    assert run(identities.of) == [Identity(0, "Ann Whitfield", "ann@mtumail.test", is_default=True)]
    assert run(identities.of, "Ann W.")[0].name == "Ann W."
    assert run(identities.chosen).author == ("Ann Whitfield", "ann@mtumail.test")
    assert run(identities.chosen, 0, "A").author == ("A", "ann@mtumail.test")


def test_more_of_them_and_a_default(run):
    ident = run(identities.keep, shop(signature="-- hand made\n", reply_to="orders@elsewhere.example"))
    again = run(identities.keep, shop(name="Ann at the shop", is_default=True))
    own, *others = run(identities.of)
    assert own == Identity(0, "Ann Whitfield", "ann@mtumail.test")
    assert others == [
        Identity(again, "Ann at the shop", "ann+shop@mtumail.test", is_default=True),
        Identity(ident, "The Shop", "ann+shop@mtumail.test", "-- hand made", "orders@elsewhere.example"),
    ]
    assert run(identities.chosen).id == again
    assert run(identities.chosen, ident).signature == "-- hand made"
    run(identities.prefer, ident)
    assert [one.id for one in run(identities.of) if one.is_default] == [ident]
    run(identities.remove, ident)
    run(identities.remove, ident)
    assert [one.id for one in run(identities.of) if one.is_default] == [0]
    with pytest.raises(NotFound):
        run(identities.chosen, ident)
    with pytest.raises(NotFound):
        run(identities.keep, shop(id=ident))
    with pytest.raises(NotFound):
        run(identities.prefer, ident)


def test_the_own_one_can_have_a_name_and_a_signature_and_keeps_its_address(run):
    run(
        identities.keep, Identity(0, "Dr Whitfield", "ben@mtumail.test", "Ann\nRiver Clinic", is_default=True)
    )
    assert run(identities.of, "Ann") == [
        Identity(0, "Dr Whitfield", "ann@mtumail.test", "Ann\nRiver Clinic", is_default=True)
    ]
    run(identities.remove, 0)
    assert run(identities.of, "Ann") == [Identity(0, "Ann", "ann@mtumail.test", is_default=True)]


@pytest.mark.parametrize(
    ("wrong", "field", "reason"),
    [
        ({"address": "ben@mtumail.test"}, "address", "not-yours"),
        ({"address": "ben+ann@mtumail.test"}, "address", "not-yours"),
        ({"address": "nobody@mtumail.test"}, "address", "not-yours"),
        ({"address": "ann@elsewhere.example"}, "address", "not-yours"),
        ({"address": "ann@sub.mtumail.test"}, "address", "not-yours"),
        ({"address": "postmaster@mtumail.test"}, "address", "not-yours"),
        ({"address": ""}, "address", "bad-address"),
        ({"address": "ann"}, "address", "bad-address"),
        ({"address": "Ann <ann@mtumail.test>"}, "address", "bad-address"),
        ({"address": "ann@mtumail.test, ben@mtumail.test"}, "address", "bad-address"),
        ({"address": "ann+x@mtumail.test\r\nBcc: x@y.example"}, "address", "bad-address"),
        ({"address": "ann+" + "x" * 70 + "@mtumail.test"}, "address", "bad-address"),
        ({"reply_to": "nonsense"}, "reply_to", "bad-address"),
        ({"reply_to": "a@b.example, c@d.example"}, "reply_to", "bad-address"),
        ({"name": "A\r\nBcc: x@y.example"}, "name", "control"),
        ({"name": "A\u202eB"}, "name", "control"),
        ({"name": "x" * 201}, "name", "too-long"),
        ({"signature": "x" * 5001}, "signature", "too-long"),
    ],
)
def test_nobody_is_sent_as_who_is_not_this_mailbox(run, ben, wrong, field, reason):
    with pytest.raises(IdentityError) as refused:
        run(identities.keep, shop(**wrong))
    assert (refused.value.field, refused.value.reason) == (field, reason)
    assert len(run(identities.of)) == 1


def test_an_address_that_is_taken_away_is_sent_as_no_more(run, ann, superuser):
    add = text(
        "INSERT INTO address (domain_id, local_part, mailbox_id) SELECT domain_id, 'second', :m FROM domain"
    )
    superuser.execute(add, {"m": ann.mailbox_id})
    ident = run(identities.keep, shop(address="Second+x@MTUMAIL.test", is_default=True))
    assert run(identities.chosen).address == "Second+x@mtumail.test"
    superuser.execute(text("DELETE FROM address WHERE local_part = 'second'"))
    with pytest.raises(NotFound):
        run(identities.chosen, ident)
    assert run(identities.chosen).id == 0, "the default falls back to one that is there"


def test_there_are_not_too_many(run, monkeypatch):
    monkeypatch.setattr(identities, "MAX_IDENTITIES", 2)
    for _ in range(2):
        run(identities.keep, shop())
    with pytest.raises(IdentityError, match="too-many"):
        run(identities.keep, shop())


def test_the_one_that_was_written_to_answers(run):
    ident = run(identities.keep, shop())
    assert identities.answering(run(identities.of), ["x@y.example", "ANN+SHOP@mtumail.test"]).id == ident
    assert identities.answering(run(identities.of), ["ann+other@mtumail.test"]).id == 0
    assert identities.answering(run(identities.of), []).id == 0


def test_what_is_kept_is_sealed_and_ones_own(run, opened, ben, superuser):
    ident = run(identities.keep, shop(name="Canary", signature="canary", address="ann+canary@mtumail.test"))
    run(identities.keep, shop())
    for row in superuser.execute(text("SELECT * FROM sender_identity")):
        assert b"anary" not in bytes(row.sealed)
    assert len(opened(ben, identities.of)) == 1
    with pytest.raises(NotFound):
        opened(ben, lambda keys: identities.chosen(keys, ident))
    superuser.execute(
        text(
            "UPDATE sender_identity SET sealed = (SELECT sealed FROM sender_identity WHERE identity_id = :i) WHERE identity_id <> :i"
        ),
        {"i": ident},
    )
    with pytest.raises(Tampered):
        run(identities.of)


@pytest.mark.parametrize(
    "nonsense", ["UPDATE sender_identity SET is_default = true", "UPDATE sender_identity SET sealed = ''"]
)
def test_the_database_refuses_nonsense(run, superuser, nonsense):
    run(identities.keep, shop())
    run(identities.keep, shop())
    with pytest.raises(IntegrityError):
        superuser.execute(text(nonsense))


# --- the page of identities ----------------------------------------------------------------------------------------------


def form_of(page, ident):
    """Fields of the form that is about an identity."""
    forms = re.findall(r'(?s)<form method="post" action="/settings/identities">.*?</form>', page.text)
    [form] = [one for one in forms if f'name="identity" value="{ident}"' in one]
    return form


def value(form, name):
    found = re.search(rf'<input id="{name}-[^"]+" name="{name}" value="([^"]*)"', form) or re.search(
        rf'(?s)<textarea[^>]* name="{name}"[^>]*>\n(.*?)</textarea>', form
    )
    return unescape(found[1])


def test_add_change_prefer_remove(post, client, run):
    page = post(
        PATH,
        identity="new",
        name="The Shop",
        address="ann+shop@mtumail.test",
        signature="a\r\nb",
        default="1",
    )
    assert "Settings saved." in page.text
    one = run(identities.chosen)
    assert (one.name, one.address, one.signature) == ("The Shop", "ann+shop@mtumail.test", "a\nb")
    form = form_of(page, one.id)
    assert (value(form, "name"), value(form, "address"), value(form, "signature")) == (
        "The Shop",
        "ann+shop@mtumail.test",
        "a\nb",
    )
    assert " checked" in form
    post(PATH, identity="0", name="Dr Ann", signature="Ann", default="1")
    assert run(identities.chosen) == Identity(0, "Dr Ann", "ann@mtumail.test", "Ann", is_default=True)
    page = post(PATH, identity=str(one.id), remove="1")
    assert [each.id for each in run(identities.of)] == [0]
    assert value(form_of(page, "new"), "address") == "ann+@mtumail.test"


def test_what_is_wrong_is_said_at_its_form_and_nothing_typed_is_lost(post, run):
    page = post(PATH, identity="new", name="Ben", address="ben@mtumail.test", signature="typed")
    assert page.status_code == 422
    form = form_of(page, "new")
    assert "does not come to you" in form
    assert 'aria-invalid="true"' in form
    assert (value(form, "address"), value(form, "signature")) == ("ben@mtumail.test", "typed")
    assert 'aria-invalid="true"' not in form_of(page, 0)
    assert run(identities.of)[1:] == []
    for ident in ("4711", "-1", "x", "9" * 30, ""):
        assert post(PATH, identity=ident, name="x", address="ann@mtumail.test").status_code == 404, ident


def test_an_address_that_does_not_fit_is_the_own_ones_anyway(post, run):
    post(PATH, identity="0", name="Ann", address="ben@mtumail.test")
    assert run(identities.chosen).address == "ann@mtumail.test"


# --- the page of absence -------------------------------------------------------------------------------------------------


def test_switching_on_and_off(post, client, run):
    page = post(
        AWAY, on="on", first_day="2026-12-24", last_day="2027-01-06", subject="Away", text="Back\r\nsoon"
    )
    assert "Settings saved." in page.text
    assert run(vacation.load) == Vacation(
        True, date(2026, 12, 24), date(2027, 1, 6), "UTC", "Away", "Back\nsoon"
    )
    assert 'value="2026-12-24"' in page.text
    assert " checked" in page.text
    page = post(AWAY, first_day="", last_day="", subject="", text="Back\r\nsoon")
    assert run(vacation.load) == Vacation(False, text="Back\nsoon")
    assert " checked" not in re.search(r"(?s)<main.*</main>", page.text)[0]


def test_absence_that_cannot_be(post, run):
    for fields, words in (
        ({"on": "on", "text": " "}, "Write what is answered."),
        ({"on": "on", "text": "x", "first_day": "24/12/2026"}, "Write the day as"),
        ({"on": "on", "text": "x", "last_day": "2026-13-01"}, "Write the day as"),
        (
            {"on": "on", "text": "x", "first_day": "2026-12-24", "last_day": "2026-12-23"},
            "comes before the first",
        ),
        ({"on": "on", "text": "x" * 10_001}, "too long"),
        ({"on": "on", "text": "x", "subject": "x" * 201}, "too long"),
    ):
        page = post(AWAY, **fields)
        assert (page.status_code, words in page.text) == (422, True), words
        assert 'aria-invalid="true"' in page.text
    assert run(vacation.load) == Vacation()


# --- both ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PATH, AWAY])
def test_the_same_questions(client, stranger, csrf, run, path):
    page = client.get(path)
    assert page.status_code == 200
    main = re.search(r"(?s)<main.*</main>", page.text)[0]
    ids = re.findall(r' id="([^"]+)"', page.text)
    assert sorted(ids) == sorted(set(ids))
    labels = re.findall(r'<label[^>]* for="([^"]+)"', main)
    for tag in re.findall(r"<(?:input|textarea)[^>]*>", main):
        if 'type="hidden"' not in tag and 'type="checkbox"' not in tag:
            assert re.search(r' id="([^"]+)"', tag)[1] in labels, tag
    for pointer in re.findall(r'aria-describedby="([^"]+)"', main):
        assert set(pointer.split()) <= set(ids)
    assert stranger.get(path).status_code in (302, 303, 307)
    assert (
        client.post(path, data={"identity": "new", "address": "ann@mtumail.test", "text": "x"}).status_code
        == 403
    )
    told = {"csrf_token": csrf(client), "identity": "new", "address": "ann@mtumail.test", "text": "x"}
    assert client.post(path, data=told, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.put(path).status_code == 405
    assert run(identities.of)[1:] == []
    assert run(vacation.load) == Vacation()


def test_what_is_typed_stays_text(post, run):
    page = post(
        PATH,
        identity="new",
        name=HOSTILE,
        address=HOSTILE,
        reply_to=HOSTILE,
        signature=f"</textarea>{HOSTILE}",
    )
    assert "<script>alert" not in page.text
    run(identities.keep, shop(name="<script>alert(1)</script>", signature=f"</textarea>{HOSTILE}"))
    assert "<script>alert" not in post(PATH, identity="0", name="Ann").text
    assert (
        "<script>alert"
        not in post(AWAY, on="on", text=f"</textarea>{HOSTILE}", subject=HOSTILE, first_day=HOSTILE).text
    )
