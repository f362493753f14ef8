"""Mail that comes in as a file: our own export gives the same mailbox, and nothing that a stranger made does harm."""

import hashlib
import io
import zipfile
from datetime import timedelta

import pytest
from sqlalchemy import text

from webmail import work
from webmail.db import transaction
from webmail.errors import NotFound, Refused
from webmail.keys import open_mailbox
from webmail.mail import messages
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import WorkerJob
from webmail.privacy.export import asking as exporting_
from webmail.privacy.export import parts
from webmail.privacy.taking_in import asking, reading, taking


@pytest.fixture
def jobs(worker, monkeypatch):
    """The worker of exports and imports, in this process."""
    monkeypatch.setattr("workers.exporting.core", lambda: worker)
    from workers import exporting

    return exporting


@pytest.fixture
def bring(opened, jobs):
    """Bring a file in as somebody and have it read; how that went."""

    def take(person, content, folder=Kind.ARCHIVE):
        def begin(keys):
            number = asking.begin(keys, person.account_id, "old.mbox", len(content), folder)
            asking.put(keys, number, 0, content)
            asking.start(keys, number)
            return number

        number = opened(person, begin)
        jobs.drain_imports()
        told = opened(person, lambda keys: asking.listed(keys, person.account_id))
        return next(one for one in told if one.import_id == number)

    return take


@pytest.fixture
def exported(opened, jobs):
    """An export as name to bytes."""

    def get(person, form="mbox"):
        export_id = opened(
            person, lambda keys: exporting_.ask(keys, person.account_id, exporting_.Wish(form=form))
        )
        jobs.drain_exports()

        def read(keys):
            of = exporting_.opened(keys, person.account_id, export_id)
            return {
                one.name: b"".join(parts.pieces(of, one.number))
                for one in parts.listed(keys.mailbox_id, export_id)
            }

        return opened(person, read)

    return get


@pytest.fixture
def state(opened, superuser):
    """What a mailbox holds: each message's folder, checksum, time and flags, and which messages belong together."""

    def look(person):
        found = superuser.execute(
            text(
                "SELECT message_id, folder_id, received_at, unread, starred, answered, forwarded, direction, envelope_from,"
                " envelope_to, state, thread_id FROM message WHERE mailbox_id = :m"
            ),
            {"m": person.mailbox_id},
        ).all()

        def read(keys):
            return {row[0]: hashlib.sha256(messages.source(keys, row[0])).hexdigest() for row in found}

        sums = opened(person, read)
        threads = {}
        for row in found:
            threads.setdefault(row[-1], set()).add((sums[row[0]], row[2]))
        return (
            sorted((sums[row[0]], *map(str, row[1:-1])) for row in found),
            sorted(sorted(map(str, one)) for one in threads.values()),
        )

    return look


def corpus(corpora, count):
    """Messages that other people wrote."""
    found = sorted(path for path in corpora.rglob("*.eml") if path.stat().st_size < 200_000)
    return [path.read_bytes() for path in found[:: max(1, len(found) // count)]][:count]


@pytest.mark.parametrize("form", ["mbox", "zip"])
def test_P23_our_own_export_gives_the_same_mailbox(
    form, corpora, exported, bring, deliver, ann, ben, opened, superuser, state, letter
):
    ids = [deliver(ann, raw, f"from{n}@example.org") for n, raw in enumerate(corpus(corpora, 40))]
    ids += [deliver(ann, letter(f"t{n}", Message_ID=f"<t{n}@x>", References="<t0@x>")) for n in range(3)]
    ids += [deliver(ann, b"the same\r\n\r\nFrom twice\r\n") for _ in range(2)]
    for action, some in (
        ("archive", ids[::5]),
        ("trash", ids[1::7]),
        ("junk", ids[2::9]),
        ("star", ids[::4]),
        ("read", ids[::2]),
    ):
        opened(ann, lambda keys, some=some, action=action: messages.act(keys.mailbox_id, some, action))
    superuser.execute(
        text("UPDATE message SET received_at = received_at - message_id % 9000 * interval '1 hour'")
    )
    files = exported(ann, form)
    told = [
        bring(ben, content)
        for name, content in files.items()
        if name.endswith(f".{form}") and name != "drafts.zip"
    ]
    assert len(told) > 4
    assert sum(one.taken for one in told) == len(ids)
    assert sum(one.known + one.no_mail + one.too_large for one in told) == 0
    mine, theirs = state(ann), state(ben)
    assert theirs[0] == mine[0]
    assert theirs[1] == mine[1]
    again = [bring(ann, content) for name, content in files.items() if name.endswith(f".{form}")]
    assert sum(one.taken for one in again) == 0, "what is here already is not brought in twice"
    assert sum(one.known for one in again) == len(ids)


def mbox(*raws, end=b"\n"):
    return b"".join(
        b"From a@b Mon Jan  2 10:20:30 2012" + end + raw + (b"" if raw.endswith(end) else end) + end
        for raw in raws
    )


def test_a_foreign_mbox_keeps_flags_dates_and_words(bring, ann, superuser):
    first = b"From: a@example.org\nStatus: RO\nX-Status: F\nDate: Tue, 3 Jan 2012 10:00:00 +0100\n\n>From here\nFrom there too\n"
    told = bring(ann, mbox(first, b"From: b@example.org\nStatus: O\n\nx\n"))
    assert (told.state, told.taken) == ("done", 2)
    found = superuser.execute(
        text("SELECT unread, starred, received_at, folder_id, state FROM message ORDER BY received_at DESC")
    ).all()
    assert [(row[0], row[1], row[2].isoformat(), row[3], row[4]) for row in found] == [
        (False, True, "2012-01-03T09:00:00+00:00", 4, "filed"),
        (True, False, "2012-01-02T10:20:30+00:00", 4, "filed"),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_come_as_on_the_wire(end, opened, bring, ann, superuser):
    bring(ann, mbox(end.join([b"From: a@example.org", b"", b"one", b"two", b""]), end=end))
    [number] = superuser.execute(text("SELECT message_id FROM message")).scalars().all()
    assert (
        opened(ann, lambda keys: messages.source(keys, number))
        == b"From: a@example.org\r\n\r\none\r\ntwo\r\n"
    )


def zipped(**files):
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return kept.getvalue()


def test_a_zipped_maildir_keeps_its_flags_and_paths_lead_nowhere(bring, ann, superuser, tmp_path):
    mail = b"From: a@example.org\r\n\r\nx%d\r\n"
    content = zipped(**{
        "cur/1:2,FS": mail % 1, "new/2": mail % 2, "../../../../etc/passwd": mail % 3, "/abs": mail % 4,
        "cur/": b"", "picture.png": b"\x89PNG\r\n", "C:\\x:2,RS": mail % 5,
    })  # fmt: skip
    told = bring(ann, content)
    assert (told.state, told.taken, told.no_mail) == ("done", 5, 1)
    flags = superuser.execute(text("SELECT unread, starred, answered FROM message")).all()
    assert sorted(map(tuple, flags)) == sorted(
        [
            (False, True, False),
            (True, False, False),
            (False, False, False),
            (False, False, False),
            (False, False, True),
        ]
    )


def test_a_zip_that_swells_is_stopped(bring, ann, monkeypatch):
    monkeypatch.setattr(reading, "MOST_MESSAGE", 1 << 20)
    monkeypatch.setattr(reading.zipped, "__defaults__", (1 << 20,))
    monkeypatch.setattr(taking, "SWELLS", 0)
    bomb = b"From: a@example.org\r\n\r\n" + bytes(2 << 20)
    told = bring(ann, zipped(**{f"{n}.eml": bomb for n in range(70)}))
    assert (told.state, told.problem) == ("failed", "swells")
    assert told.too_large == 65


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n", "no-mail"),
        (b"\0" * 5000, "no-mail"),
        (b"PK\x03\x04" + b"x" * 100, "damaged"),
        (b"PK\x05\x06" + b"\xff" * 16 + b"\0\0", "too-many"),
        (zipped(a=b"x")[:-5], "damaged"),
        (b"PK\x05\x06" + b"PK\x06\x07" + bytes(16) + b"PK\x05\x06" + bytes(18), "zip64"),
    ],
    ids=["picture", "nothing", "damaged", "too-many", "cut", "zip64"],
)
def test_what_is_no_mail_is_said_to_be_none(content, problem, bring, ann):
    told = bring(ann, content)
    assert (told.state, told.problem, told.taken) == ("failed", problem, 0)


def test_a_line_without_end_costs_no_memory_and_no_other_message(bring, ann, monkeypatch):
    monkeypatch.setattr(reading.mbox, "__defaults__", (1 << 20,))
    good = b"From: a@example.org\n\nx\n"
    told = bring(ann, mbox(good, b"From: a@example.org\n\n" + b"y" * (5 << 20), good + b"z\n"))
    assert (told.taken, told.too_large) == (2, 1)


def test_a_full_mailbox_says_so_and_keeps_what_fitted(bring, ann, superuser):
    superuser.execute(text("UPDATE mailbox SET quota_bytes = 200"))
    told = bring(ann, mbox(*(b"From: a@example.org\n\n%d" % n + b"x" * 60 for n in range(9))))
    assert (told.state, told.problem) == ("failed", "full")
    assert 0 < told.taken < 4


def test_a_message_that_kills_its_reader_is_set_aside_and_the_others_are_read(
    bring, jobs, ann, monkeypatch, superuser, opened
):
    class Killed(BaseException):
        pass

    build = taking.letters.build

    def deadly(raw, message_id):
        if b"deadly" in raw:
            raise Killed
        return build(raw, message_id)

    monkeypatch.setattr(taking.letters, "build", deadly)
    texts = [b"one", b"two", b"deadly", b"four", b"five"]
    with pytest.raises(Killed):
        bring(ann, mbox(*(b"From: a@example.org\n\n" + word + b"\n" for word in texts)))
    for _ in range(20):
        superuser.execute(text("UPDATE work SET due_at = now()"))
        try:
            if not jobs.drain_imports():
                break
        except Killed:
            continue
    [told] = opened(ann, lambda keys: asking.listed(keys, ann.account_id))
    assert (told.state, told.taken, told.unreadable) == ("done", 5, 1)
    states = superuser.execute(text("SELECT state FROM message")).scalars().all()
    assert sorted(states) == ["filed"] * 4 + ["unreadable"]


def test_an_import_answers_nobody_and_obeys_no_rule(bring, ann, superuser, opened, deliver, letter):
    bring(ann, mbox(b"From: a@example.org\nTo: ann@mtumail.test\n\nx\n"), Kind.INBOX)
    assert superuser.execute(text("SELECT count(*) FROM work")).scalar() == 0
    assert superuser.execute(text("SELECT count(*) FROM submission")).scalar() == 0
    assert superuser.execute(text("SELECT folder_id FROM message")).scalar() == Kind.INBOX


def test_an_import_can_be_undone_for_a_day(bring, ann, deliver, letter, superuser, opened):
    deliver(ann, letter())
    told = bring(ann, mbox(b"From: a@example.org\n\nx\n", b"From: a@example.org\n\ny\n"))
    assert told.may_undo
    opened(ann, lambda keys: asking.undo(keys.mailbox_id, ann.account_id, told.import_id))
    assert superuser.execute(text("SELECT count(*) FROM message")).scalar() == 1
    superuser.execute(text("UPDATE mail_import SET finished_at = now() - interval '25 hours'"))
    with pytest.raises(NotFound):
        opened(ann, lambda keys: asking.undo(keys.mailbox_id, ann.account_id, told.import_id))


def test_pieces_go_on_where_they_broke_off(opened, ann, superuser):
    content = b"From: a@example.org\r\n\r\n" + b"secret" * 400_000
    number = opened(ann, lambda keys: asking.begin(keys, ann.account_id, "x.eml", len(content)))

    def put(offset, data):
        return opened(ann, lambda keys: asking.put(keys, number, offset, data))

    assert put(0, content[:1_500_000]) == 1_500_000
    assert put(0, content[:1_500_000]) == 1_500_000
    with pytest.raises(Refused, match="unfinished"):
        opened(ann, lambda keys: asking.start(keys, number))
    assert put(1_500_000, content[1_500_000:]) == len(content)
    with pytest.raises(Refused, match="too-large"):
        put(len(content), b"x")
    assert (
        superuser.execute(
            text("SELECT count(*) FROM mail_import_chunk WHERE sealed LIKE '%secret%'")
        ).scalar()
        == 0
    )


def test_work_of_an_import_is_held_by_its_lease(opened, ann, worker, master):
    number = opened(ann, lambda keys: asking.begin(keys, ann.account_id, "x", 3))
    opened(ann, lambda keys: asking.put(keys, number, 0, b"abc"))
    opened(ann, lambda keys: asking.start(keys, number))
    with worker.app_context():
        with transaction():
            [claim] = work.claim(work.IMPORT, 5, timedelta(seconds=30))
        with transaction(ann.mailbox_id):
            keys = open_mailbox(master, ann.mailbox_id, WorkerJob("import", ann.mailbox_id))
            assert taking.step(keys, claim.item_id) is False
            assert taking.step(keys, claim.item_id) is False, "twice does nothing more"
