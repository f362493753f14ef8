"""Mail to the service becomes a case and leaves the mailbox; answers leave once; what machines send is not answered (P27)."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from webmail import create_core, work
from webmail.db import db, new_id, transaction
from webmail.governance import opening
from webmail.governance.cases import answering, queue, reading
from webmail.governance.cases.queue import Filters
from webmail.governance.cases.sealing import open_secret
from webmail.mail import mailboxes, receiving
from webmail.mail.addresses import parse_spec
from webmail.mail.mailboxes import Recipient, Refusal
from workers import filing, intake


@pytest.fixture
def sam(make_person):
    return make_person("sam", "Sam Lindgren", "support")


@pytest.fixture
def as_staff(web_app, master):
    @contextmanager
    def enter():
        with web_app.app_context(), transaction(staff=True):
            yield open_secret(master)

    return enter


@pytest.fixture
def cases(as_staff, sam):
    def ask():
        with as_staff() as secret:
            lines = queue.page(secret, sam.account_id, Filters()).lines
            return [reading.load(secret, line.case_id) for line in lines]

    return ask


@pytest.fixture
def write_to(worker, owner_app, settings):
    """Have inbound take a message to an address here in; then it is filed and made a case."""

    def send(to, raw, sender="zoe@example.org", *, drain=True):
        intake.drain()
        with worker.app_context(), transaction():
            found = mailboxes.resolve(parse_spec(to))
        assert isinstance(found, Recipient), found
        with owner_app.app_context(), transaction():
            receiving.receive(receiving.Envelope(sender, [found]), raw)
        if drain:
            filing.drain()
            intake.drain()

    return send


def resolve(app, address):
    with app.app_context(), transaction():
        return mailboxes.resolve(parse_spec(address))


@pytest.mark.parametrize("name", ["abuse", "postmaster", "security", "privacy", "Abuse", "abuse+x"])
def test_P27_mail_to_names_that_nobody_holds_opens_a_case(write_to, cases, letter, ann, sam, name, superuser):
    write_to(
        f"{name}@mtumail.test", letter("Spam from you", "Please stop it.\r\n", sender="Zoe <zoe@example.org>")
    )
    [case] = cases()
    [item] = case.items
    assert (case.label, item.words, item.source, item.answerable) == (
        "Spam from you",
        "Please stop it.",
        "mail",
        True,
    )
    assert item.contact == "zoe@example.org"
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar_one() == 0, (
        "the copy in the mailbox is destroyed"
    )
    assert superuser.execute(text("SELECT count(*) FROM work")).scalar_one() == 0


def test_P27_inbound_itself_takes_it_and_reads_nothing_back(settings, worker, ann, letter):
    from inbound import store

    intake.drain()
    app = create_core(settings("inbound"), "inbound")
    assert isinstance(resolve(app, "abuse@mtumail.test"), Recipient)
    assert resolve(app, "webmaster@mtumail.test") is Refusal.UNKNOWN
    with app.app_context():
        with transaction():
            assert isinstance(store._postmaster("postmaster"), Recipient)
        with pytest.raises(ProgrammingError, match="permission denied"), transaction():
            db.session.execute(text("SELECT * FROM case_item"))
        db.engine.dispose()


def test_before_the_mailbox_is_made_the_name_is_unknown_and_another_domain_is_not_ours(worker, ann):
    assert resolve(worker, "abuse@mtumail.test") is Refusal.UNKNOWN
    intake.drain()
    assert isinstance(resolve(worker, "abuse@mtumail.test"), Recipient)
    assert resolve(worker, "abuse@elsewhere.example") is Refusal.NOT_LOCAL
    assert resolve(worker, "nobody@mtumail.test") is Refusal.UNKNOWN


def test_whoever_holds_the_name_gets_his_own_mail(worker, make_person):
    person = make_person("abuse", "Abe Use")
    intake.drain()
    found = resolve(worker, "abuse@mtumail.test")
    assert isinstance(found, Recipient)
    assert found.mailbox_id == person.mailbox_id


def test_a_job_that_runs_twice_makes_one_case_and_killed_in_between_none_is_lost(
    write_to, cases, letter, superuser, ann, sam
):
    write_to("abuse@mtumail.test", letter(), drain=False)
    filing.drain()
    superuser.execute(
        text("UPDATE work SET due_at = now(), lease = 1, attempts = 1 WHERE kind = 'intake'")
    )  # its holder died
    assert intake.drain() == 1
    assert intake.drain() == 0
    assert len(cases()) == 1


def test_what_cannot_be_read_is_a_case_too(write_to, cases, letter, monkeypatch, ann, sam, superuser):
    write_to("abuse@mtumail.test", letter(), drain=False)
    superuser.execute(text("UPDATE work SET attempts = 9 WHERE kind = 'file'"))
    filing.drain()
    intake.drain()
    [case] = cases()
    assert (case.items[0].answerable, case.items[0].can_open) == (False, True)


@pytest.mark.parametrize(
    ("sender", "headers"),
    [
        ("", {}),
        ("mailer-daemon@example.org", {}),
        ("zoe@example.org", {"Auto_Submitted": "auto-replied"}),
        ("zoe@example.org", {"Precedence": "bulk"}),
        ("zoe@example.org", {"List_Id": "<a.example.org>"}),
        ("postmaster@example.org", {}),
    ],
)
def test_loops_and_machines_are_not_answered(write_to, cases, letter, ann, sam, sender, headers):
    write_to("abuse@mtumail.test", letter(**headers), sender)
    [case] = cases()
    assert not case.items[0].answerable


def test_P27_somebody_outside_is_answered_by_mail_from_the_address_he_wrote_to(
    write_to, cases, letter, ann, sam, as_staff, superuser, worker, master
):
    write_to(
        "postmaster+x@mtumail.test",
        letter("Hello there", sender="Zoe <zoe@example.org>", Message_ID="<1@example.org>"),
    )
    [case] = cases()
    with as_staff() as secret:
        answering.answer(secret, case.case_id, 1, sam.account_id, "Thank you, Zoë.", new_id())
    assert intake.drain() == 1
    assert intake.drain() == 0
    [(recipient, path, mailbox_id, message_id)] = superuser.execute(
        text(
            "SELECT recipient, envelope_from, mailbox_id, message_id FROM delivery JOIN submission USING (mailbox_id, submission_id)"
        )
    ).all()
    assert recipient == "zoe@example.org"
    assert path.startswith("postmaster+b-"), "a bounce comes back to it"
    with worker.app_context(), transaction(mailbox_id):
        from webmail.keys import open_mailbox
        from webmail.mail import messages
        from webmail.mail.mailboxes import WorkerJob

        raw = messages.source(open_mailbox(master, mailbox_id, WorkerJob("send", mailbox_id)), message_id)
    assert b"Auto-Submitted: auto-generated\r\n" in raw
    assert b"\r\nSubject: Re: Hello there\r\n" in raw
    assert b"\r\nIn-Reply-To: <1@example.org>\r\n" in raw
    assert b"From: mtumail <postmaster@mtumail.test>" in raw
    assert b"Sam" not in raw


def test_somebody_here_is_answered_in_his_mailbox_once(
    web_app, master, deliver, letter, ann, sam, as_staff, cases, opened, superuser, worker
):
    from webmail.governance import reports

    message_id = deliver(ann, letter("A prize", sender="eve@evil.example"))
    opened(ann, lambda keys: reports.report(keys, master, message_id, account_id=ann.account_id, kind="spam"))
    [case] = cases()
    with as_staff() as secret:
        answering.answer(secret, case.case_id, 1, sam.account_id, "We acted.", new_id())
    assert intake.drain() == 1
    assert intake.drain() == 0
    assert filing.drain() == 1
    states = superuser.execute(
        text("SELECT state, envelope_from, envelope_to FROM message WHERE message_id <> :id"),
        {"id": message_id},
    )
    assert states.one() == ("filed", "", ann.address)
    from webmail.mail import reading as mail_reading

    [answer_id] = superuser.execute(
        text("SELECT message_id FROM message WHERE message_id <> :id"), {"id": message_id}
    ).scalars()
    view = opened(ann, lambda keys: mail_reading.load(keys, answer_id))
    assert "We acted." in view.text
    assert view.sender[1] == "abuse@mtumail.test"
    assert "eve" not in view.text


FEEDBACK = (
    "From: <fbl@isp.example>\r\nTo: <abuse@mtumail.test>\r\nSubject: FW: Offer\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n"
    "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: Isp/1.0\r\nVersion: 1\r\n"
    "Original-Mail-From: <{path}>\r\nSource-IP: 192.0.2.1\r\n\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: {sender}\r\nSubject: Offer\r\nMessage-ID: <{number}@x.example>\r\n\r\nBuy.\r\n--b--\r\n"
)


def test_a_servers_complaint_finds_whose_message_it_is_about(write_to, cases, opened, ben, sam, superuser):
    from webmail.sending import drafts, submitting

    def call(keys):
        draft = drafts.create(
            keys, (ben.name, ben.address), drafts.Fields(to="x@isp.example", subject="Offer", body="Buy.\n")
        )
        return submitting.submit(
            keys,
            draft.message_id,
            draft.revision,
            account_id=ben.account_id,
            author=(ben.name, ben.address),
            limit=10**7,
        )

    opened(ben, call)
    path = superuser.execute(text("SELECT envelope_from FROM submission")).scalar_one()
    write_to(
        "abuse@mtumail.test",
        FEEDBACK.format(path=path, sender=ben.address, number=1).encode(),
        "fbl@isp.example",
    )
    write_to(
        "abuse@mtumail.test",
        FEEDBACK.format(path=path, sender="redacted", number=2).encode(),
        "fbl@isp.example",
    )
    [case] = cases()
    assert (case.account_id, case.count, case.kind, case.items[0].source) == (
        ben.account_id,
        2,
        "spam",
        "feedback",
    )
    assert not any(item.answerable for item in case.items)


def test_a_complaint_that_names_a_made_up_return_path_accuses_nobody(write_to, cases, ben, sam):
    path = "ben+b-aaaaaaaaaaaaaaaaaaaa@mtumail.test"
    write_to(
        "abuse@mtumail.test",
        FEEDBACK.format(path=path, sender=ben.address, number=1).encode(),
        "fbl@isp.example",
    )
    [case] = cases()
    assert case.account_id is None


def test_P11_what_was_written_to_the_service_is_opened_by_the_same_door(
    write_to, cases, letter, ann, sam, as_staff, master, superuser
):
    write_to("abuse@mtumail.test", letter("Hello", "All of it.\r\n"))
    [case] = cases()
    with as_staff():
        found = opening.open_reported(master, case.items[0].item_id, sam.account_id)
    assert b"All of it." in found.raw
    assert (
        superuser.execute(
            text("SELECT count(*) FROM audit_event WHERE kind = 'case.item_opened'")
        ).scalar_one()
        == 1
    )


def test_the_clock_looks_for_what_no_row_of_work_tells_of(worker, superuser, ann):
    intake.drain()
    with worker.app_context():
        assert not intake.look()
        superuser.execute(text("SELECT audit_append('security.surge', 'system:tests', '{}')"))
        assert intake.look()
    assert intake.drain() == 1
    with worker.app_context():
        intake.drain()
        assert not intake.look()


def test_the_kind_of_work_is_known(superuser, ann):
    superuser.execute(
        text(
            "INSERT INTO work (mailbox_id, kind, item_id) SELECT mailbox_id, 'intake', 1 FROM mailbox LIMIT 1"
        )
    )
    assert work.INTAKE in work.KINDS


def test_a_worker_that_imports_nothing_else_knows_every_table(tmp_path):
    """Tests import everything; a worker's child does not."""
    code = (
        "import workers.intake\nfrom webmail.db import Base\n"
        "print([fk.column.name for table in Base.metadata.tables.values() for fk in table.foreign_keys] != [])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "True", done.stderr[-500:]
