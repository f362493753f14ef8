"""Letters in their reader's language: with a catalogue they are written in it, without one in English; dates as the language dates."""

import inspect
from datetime import UTC, datetime, timedelta, timezone

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from sqlalchemy import text

from webmail import phrases
from webmail.db import transaction
from webmail.governance.notices import mailing
from webmail.identity import errands
from webmail.operations import alerts_words
from webmail.operations.alerts_telling import Telling
from webmail.phrases import gettext, ngettext
from webmail.sending import telling
from webmail.sending.composing.notice import Copy, build_notice, words
from webmail.settings import kept
from webmail.web import words as web_words
from workers import errands as worker_errands

AT = datetime(2026, 11, 3, 8, 5, tzinfo=UTC)


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """Translations of a language, where the product looks for them."""
    monkeypatch.setattr(phrases, "FOLDER", tmp_path)

    def write(locale, translated):
        made = Catalog(locale=locale, domain=phrases.DOMAIN)
        for message, said in translated.items():
            made.add(message, said, flags=["python-format"])
        folder = tmp_path / locale / "LC_MESSAGES"
        folder.mkdir(parents=True)
        with (folder / f"{phrases.DOMAIN}.mo").open("wb") as file:
            write_mo(file, made)

    return write


GERMAN = {
    "Hello %(name)s,": "Hallo %(name)s,",
    "%(date)s, %(time)s UTC": "%(date)s um %(time)s Uhr (UTC)",
    "Since %(moment)s.": "Seit dem %(moment)s.",
    "Still: %(sentence)s": "Immer noch: %(sentence)s",
    ("The last good backup is %(value)s hour old.", "The last good backup is %(value)s hours old."): (
        "Vor %(value)s Stunde war die letzte Sicherung.",
        "Vor %(value)s Stunden war die letzte Sicherung.",
    ),
    "Not taken yet, and tried again until %(until)s:": "Bis %(until)s noch einmal versucht, was nicht ankam:",
    "The role %(role)s was given to you.": "Man gab Ihnen die Rolle %(role)s.",
    "You have the role %(role)s": "Sie haben die Rolle %(role)s",
    "Support lead": "Leitung der Hilfe",
}


# --- words ---------------------------------------------------------------------------------------------------------------


def test_it_is_english_without_a_request_an_application_or_a_catalogue():
    assert gettext("Hello %(name)s,", name="Ann") == "Hello Ann,"
    assert gettext("100% of it") == "100% of it"
    assert ngettext("%(num)s more line", "%(num)s more lines", 1) == "1 more line"
    assert ngettext("%(num)s more line", "%(num)s more lines", 2) == "2 more lines"
    with phrases.written_in("de"):
        assert gettext("Hello %(name)s,", name="Ann") == "Hello Ann,"


def test_what_follows_is_in_the_language_and_what_comes_after_is_not(catalogue):
    catalogue("de", GERMAN)
    with phrases.written_in("de_AT"):
        assert gettext("Hello %(name)s,", name="Ann") == "Hallo Ann,", (
            "a country's language, where it has no own"
        )
        assert gettext("Hello,") == "Hello,", "what nobody has translated"
        with phrases.written_in("en_GB"):
            assert gettext("Hello %(name)s,", name="Ann") == "Hello Ann,"
        assert gettext("Hello %(name)s,", name="Ann") == "Hallo Ann,"
        with pytest.raises(RuntimeError), phrases.written_in("en_GB"):
            raise RuntimeError
        assert gettext("Hello %(name)s,", name="Ann") == "Hallo Ann,"
    assert gettext("Hello %(name)s,", name="Ann") == "Hello Ann,"


def test_the_web_reads_the_same_catalogues(web_app):
    babel = web_app.extensions["babel"]
    assert (babel.default_domain, babel.default_locale) == (phrases.DOMAIN, phrases.DEFAULT)
    assert babel.translation_directories == [str(phrases.FOLDER)]
    assert phrases.FOLDER.name == "translations"
    assert phrases.FOLDER.parent.joinpath("templates").is_dir(), "in the package, and so in what is installed"
    for name in ("gettext", "ngettext"):
        assert inspect.signature(getattr(phrases, name)) == inspect.signature(getattr(web_words, name))


# --- days and times ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en_GB", ("3 November 2026", "3 November 2026, 08:05 UTC", "Tuesday 3 November 2026, 08:05 UTC", "Tuesday 3 November 08:05 UTC")),
        ("en_US", ("November 3, 2026", "November 3, 2026, 08:05 UTC", "Tuesday November 3, 2026, 08:05 UTC", "Tuesday November 3 08:05 UTC")),
        ("de", ("3. November 2026", "3. November 2026, 08:05 UTC", "Dienstag 3. November 2026, 08:05 UTC", "Dienstag 3. November 08:05 UTC")),
    ],
)  # fmt: skip
def test_times_are_said_as_the_language_says_them_and_in_UTC(locale, said):
    for at in (AT, AT.astimezone(timezone(timedelta(hours=13)))):
        with phrases.written_in(locale):
            assert (
                phrases.day(at),
                phrases.moment(at),
                phrases.full_moment(at),
                phrases.near_moment(at),
            ) == said


# --- letters -------------------------------------------------------------------------------------------------------------


def test_a_letter_is_written_in_another_language(catalogue):
    catalogue("de", GERMAN)
    with phrases.written_in("de"):
        subject, body = telling.words("role-granted", {"role": "support_lead"}, AT, "https://x.example")
    assert subject == "Sie haben die Rolle Leitung der Hilfe"
    assert body.startswith(
        "Man gab Ihnen die Rolle Leitung der Hilfe.\n\nTime: 3. November 2026 um 08:05 Uhr (UTC)\n\n"
    )
    assert telling.words("role-granted", {"role": "support_lead"}, AT, "https://x.example")[1].startswith(
        "The role"
    )


@pytest.mark.parametrize(
    ("hours", "said"), [(1.0, "Vor 1 Stunde "), (1.5, "Vor 1.5 Stunden "), (7.0, "Vor 7 Stunden ")]
)
def test_an_alert_takes_the_form_of_its_number_and_its_words_another_order(catalogue, hours, said):
    catalogue("de", GERMAN)
    one = Telling(7, "lasts", AT, 1, 3, "backup-old", "", hours, AT)
    with phrases.written_in("de"):
        letter = alerts_words.letter([one], "https://x.example")
        subject = alerts_words.subject([one])
    assert letter.startswith(
        f"Immer noch: {said}war die letzte Sicherung.\nSeit dem 3. November 2026 um 08:05 Uhr (UTC).\n"
    )
    assert subject == f"mtumail: Immer noch: {said}war die letzte Sicherung"


def test_what_machines_read_in_a_notice_is_in_no_language(catalogue):
    from webmail.mail.addresses import parse_spec
    from webmail.sending.composing import Composition

    catalogue("de", GERMAN)
    copies = [Copy("a@b.example", "later", 450, "4.1.1", AT, AT + timedelta(days=4))]
    with phrases.written_in("de"):
        body = words(copies)
        composition = Composition(
            sender=parse_spec("mailer-daemon@x.example"), to=(parse_spec("ann@x.example"),), subject="x", body=body,
            message_id="<1@x.example>", date=AT,
        )  # fmt: skip
        raw = build_notice(composition, copies, reporter="mx.x.example", arrived=AT, header=b"Subject: x\r\n")
    assert body.startswith("Bis Samstag 7. November 08:05 UTC noch einmal versucht")
    for field in (b"Action: delayed", b"Status: 4.1.1", b"Arrival-Date: Tue, 03 Nov 2026 08:05:00 +0000"):
        assert b"\r\n" + field + b"\r\n" in raw


def test_a_worker_writes_in_the_language_that_the_service_is_set_to(
    catalogue, worker, web_app, ann, superuser, opened
):
    from webmail.mail import reading
    from workers import filing

    catalogue(
        "en_US", {"Hello %(name)s,": "Howdy %(name)s,", "New sign-in: %(device)s": "New login: %(device)s"}
    )
    superuser.execute(
        text("UPDATE account SET contact_email = '' WHERE account_id = :a"), {"a": ann.account_id}
    )
    subjects = []
    for locale in ("en_GB", "en_US"):
        with web_app.app_context(), transaction(staff=True):
            if kept.text("languages.standard") != locale:
                kept.change("languages.standard", locale, actor="account:1")
        with web_app.app_context(), transaction():
            errands.add("tell", ann.account_id, what="sign-in", device="w3m", network="")
        assert (worker_errands.drain(), filing.drain()) == (1, 1)
        query = "SELECT message_id FROM message WHERE mailbox_id = :m ORDER BY received_at DESC LIMIT 1"
        number = superuser.execute(text(query), {"m": ann.mailbox_id}).scalar()
        view = opened(ann, lambda keys: reading.load(keys, number))
        subjects.append((view.subject, view.text.split()[0]))
    assert subjects == [("New sign-in: w3m", "Hello"), ("New login: w3m", "Howdy")]


def test_one_is_one_in_english_too():
    one = Telling(7, "begins", AT, 1, 3, "certificate-ends", "mx", 1.0, AT)
    assert alerts_words.sentence(one) == "The TLS certificate on mx ends in 1 day."
    assert mailing._done("limit", 1) == "From now on you may write to 1 person a day."
    assert mailing._done("limit", 50) == "From now on you may write to 50 people a day."
