"""An answer for somebody who is away, on the wire: from nobody, so that nothing comes back; and what becomes of one refused."""

import pytest
from sqlalchemy import text

from webmail.mail import vacation
from webmail.mail.vacation import Vacation


@pytest.fixture
def filing(worker):
    from workers import filing as module

    return module


def test_it_leaves_with_the_null_sender(filing, sending, sink, opened, receive, ann, letter):
    opened(ann, lambda keys: vacation.set_to(keys, Vacation(True, text="Away.")))
    receive(ann, letter("Rota"), "zoe@example.org")
    assert (filing.drain(), sending.drain()) == (1, 1)
    [mail] = sink.mails
    assert (mail.sender, mail.recipients) == ("", ("zoe@example.org",))
    head = mail.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert b"Auto-Submitted: auto-replied" in head
    assert b"Subject: Auto: Rota" in head
    assert any(command.startswith("MAIL FROM:<>") for command in sink.commands)


def test_an_answer_that_is_refused_makes_no_more_mail(
    filing, sending, sink, opened, receive, ann, letter, rows, superuser
):
    opened(ann, lambda keys: vacation.set_to(keys, Vacation(True, text="Away.")))
    sink.says["zoe@example.org"] = ["550 5.1.1 nobody"]
    receive(ann, letter("Rota"), "zoe@example.org")
    assert (filing.drain(), sending.drain(), filing.drain()) == (1, 1, 0)
    assert sink.mails == []
    assert rows()["zoe@example.org"].state == "failed"
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 2
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar() == 1


def test_two_mailboxes_that_are_both_away_say_it_once(
    filing, sending, opened, receive, ann, ben, letter, sink
):
    for person in (ann, ben):
        opened(person, lambda keys: vacation.set_to(keys, Vacation(True, text="Away.")))
    receive(ann, letter("Rota", sender="ben@mtumail.test"), "ben@mtumail.test")
    assert (filing.drain(), sending.drain()) == (1, 1)
    [answer] = sink.mails
    receive(ben, answer.raw, answer.sender)
    assert (filing.drain(), sending.drain()) == (1, 0)
    # Not even where a server on the way put a return path in and took the mark out.
    receive(ben, answer.raw.replace(b"Auto-Submitted: auto-replied\r\n", b""), "ann@mtumail.test")
    assert (filing.drain(), sending.drain()) == (1, 0)
