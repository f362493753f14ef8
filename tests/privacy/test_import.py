"""Mail that comes in as a file: our own export gives the same mailbox, and nothing that a stranger made does harm."""

import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from webmail import work
from webmail.db import read_id, transaction
from webmail.errors import NotFound, Refused
from webmail.identity import accounts
from webmail.keys import open_mailbox
from webmail.mail import contacts, correspondents, identities, messages, vacation
from webmail.mail.addresses import parse_recipients
from webmail.mail.folders import Kind
from webmail.mail.mailboxes import WorkerJob
from webmail.privacy import retention
from webmail.privacy.export import asking as exporting_
from webmail.privacy.export import parts, records
from webmail.privacy.taking_in import asking, belongings, labels, one_message, reading, taking, zips
from webmail.sending import answers_kept, drafts


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
    monkeypatch.setattr(zips.messages, "__defaults__", (1 << 20,))
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

    build = one_message.letters.build

    def deadly(raw, message_id):
        if b"deadly" in raw:
            raise Killed
        return build(raw, message_id)

    monkeypatch.setattr(one_message.letters, "build", deadly)
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


# --- everything beside messages ------------------------------------------------------------------------------------------


@pytest.fixture
def furnish(opened, master):
    """Give a mailbox something of each kind that an export holds beside messages."""

    def fill(person):
        def put(keys):
            zoe = contacts.add(keys, contacts.Details("Zoë", ("zoe@example.org", "z@example.org"), ("+1",), "Org", "a\nnote"))  # fmt: skip
            contacts.add(keys, contacts.Details("Max, the other", ("max@example.org",)))
            contacts.never_suggest(keys, zoe, True)
            contacts.add_group(keys, "Choir", parse_recipients("zoe@example.org, max@example.org"))
            contacts.learn(keys, parse_recipients("New One <new@example.org>"))
            own = identities.of(keys)[0]
            identities.keep(
                keys, replace(own, name="A. W.", signature="-- \nme", reply_to="else@example.org")
            )
            local, _, domain = person.address.partition("@")
            identities.keep(
                keys,
                identities.Identity(identities.NEW, "Lists", f"{local}+lists@{domain}", "", "", True),
            )
            answers_kept.add(keys, "thanks", "Thank you!\nBye")
            vacation.set_to(
                keys, vacation.Vacation(True, date(2026, 1, 2), None, "Europe/Berlin", "Away", "I am away")
            )
            correspondents.block(keys, "bad@example.org")
            correspondents.allow_pictures(keys, "good@example.org", True)
            retention.set_keep_days(keys.mailbox_id, "junk", 30)
            accounts.prefer(
                person.account_id,
                {"rows": "100", "density": "compact", "zone": "Europe/Berlin", "undo": "20"},
                {"reply": "r"},
            )
            for number in range(2):
                draft = drafts.create(
                    keys, own.author, drafts.Fields(to="x@example.org", subject=f"S{number}", body="B\nb", formatted=True)
                )  # fmt: skip
                files = [
                    drafts.Upload("a.txt", "text/plain", b"one"),
                    drafts.Upload("a.txt", "text/x", b"two"),
                ]
                drafts.attach(keys, draft.message_id, files, 10**6)

        opened(person, put)

    return fill


TELLING = (
    "contacts", "contact_groups", "learned_contacts", "identities", "kept_answers", "vacation", "rules",
)  # fmt: skip


@pytest.fixture
def belongings_of(worker, master):
    """What a mailbox holds beside messages, as an export tells it, but for ids and names that are its own."""

    def look(person):
        def read(keys):
            told = records.gather(keys, person.account_id, datetime.now(UTC))
            found = {name: told[name] for name in TELLING}
            found["settings"] = {
                name: told["account"][name] for name in ("rows", "density", "reading", "preferences")
            }
            found["folders"] = told["mailbox"]["folders"]
            found["drafts"] = [
                (
                    {**one, "id": "", "files": ""},
                    [
                        (kept.name, kept.content_type, kept.content)
                        for kept in drafts.files(keys, read_id(one["id"]))
                    ],
                )
                for one in sorted(told["drafts"], key=lambda one: one["subject"])
            ]
            return found

        with worker.app_context(), transaction(person.mailbox_id):
            return read(open_mailbox(master, person.mailbox_id, WorkerJob("export", person.mailbox_id)))

    return look


def test_P23_our_own_export_gives_back_everything_beside_messages(
    furnish, exported, bring, belongings_of, ann, superuser, deliver, letter
):
    deliver(ann, letter())
    furnish(ann)
    before = belongings_of(ann)
    files = exported(ann)
    for table in ("contact", "sender_identity", "vacation", "kept_answer", "correspondent"):
        superuser.execute(text(f"DELETE FROM {table}"))
    superuser.execute(text("DELETE FROM message WHERE state = 'draft'"))
    superuser.execute(text("UPDATE folder SET keep_days = NULL"))
    superuser.execute(text("UPDATE account SET preferences = '{}', rows_preference = 50, density_preference = 'comfortable'"))  # fmt: skip
    assert belongings_of(ann)["contacts"] == []
    told = {name: bring(ann, content) for name, content in files.items()}
    after = belongings_of(ann)
    for name, kept in before.items():
        assert after[name] == kept, name
    assert told["records.json"].brought == {
        "contacts": 2, "groups": 1, "learned": 1, "names": 2, "texts": 1, "absence": 1, "rules": 2, "folders": 1, "settings": 1,
    }  # fmt: skip
    assert told["drafts.zip"].brought == {"drafts": 2}
    assert all(one.state == "done" for one in told.values()), told
    assert told["readme.txt"].brought == told["schema.json"].brought == {"nothing": 1}
    again = {name: bring(ann, content).brought for name, content in files.items()}
    assert belongings_of(ann) == after, "twice is once"
    assert again["drafts.zip"] == {"drafts-known": 2}
    assert set(again["records.json"]) == {
        "contacts-known", "groups", "names-known", "texts-known", "rules-known", "settings",
    }  # fmt: skip
    assert again["contacts.vcf"]["contacts-known"] == 2
    assert again["rules.sieve"] == {"rules-known": 1}


def test_P23_in_another_mailbox_names_that_are_not_its_own_are_left_out_and_said(
    furnish, exported, bring, belongings_of, ann, ben
):
    furnish(ann)
    files = exported(ann)
    told = bring(ben, files["records.json"]).brought
    assert told["names-left-out"] == 1
    [own] = belongings_of(ben)["identities"]
    assert (own["name"], own["address"], own["signature"]) == ("A. W.", ben.address, "-- \nme")
    assert belongings_of(ben)["contacts"] == belongings_of(ann)["contacts"]
    assert bring(ben, files["drafts.zip"]).brought == {"drafts": 2}


@pytest.mark.parametrize("name", ["contacts.vcf", "rules.sieve"])
def test_P23_contacts_and_rules_come_back_by_themselves_too(
    furnish, exported, bring, belongings_of, ann, ben, name
):
    furnish(ann)
    bring(ben, exported(ann)[name])
    mine, theirs = belongings_of(ann), belongings_of(ben)
    if name == "contacts.vcf":
        assert [one["addresses"] for one in theirs["contacts"]] == [
            one["addresses"] for one in mine["contacts"]
        ]
        assert theirs["contact_groups"] == mine["contact_groups"]
    else:
        assert theirs["rules"]["blocked"] == ["bad@example.org"]


def test_a_file_that_is_read_whole_has_an_end(bring, ann, monkeypatch):
    monkeypatch.setattr(belongings, "MOST_BYTES", 100)
    told = bring(ann, b"BEGIN:VCARD\r\n" + b"X" * 200)
    assert (told.state, told.problem) == ("failed", "large")


HEAD = b'{"format": "mtumail-export", "version": 1'


@pytest.mark.parametrize(
    ("content", "problem", "left_out"),
    [
        (HEAD, "damaged", None),
        (HEAD + b', "x": ' + b"[" * 100_000, "damaged", None),
        (HEAD.replace(b"1", b"9") + b"}", "damaged", None),
        (HEAD + b"}", "", 8),
        (HEAD + b', "contacts": {"a": 1}, "identities": 7, "kept_answers": [[]], "vacation": [], "account": null}', "", 8),
        (HEAD + b', "kept_answers": [{"name": "ok", "words": "w"}, {"name": "", "words": ""}]}', "", 8),
        (HEAD + b', "mailbox": {"folders": [{"folder": "trash", "empties_after_days": -5}]}}', "", 8),
        (
            HEAD + b', "account": {"preferences": {"keys": {"x y": "z"}}, "rows": 50, "density": "compact", "reading": "reading"}}',
            "",
            8,
        ),
        (HEAD + b', "account": {"preferences": {}, "rows": 9999, "density": "x", "reading": "reading"}}', "", 8),
        (b'require ["fileinto"];\nkeep;\n', "rules", None),
    ],
)  # fmt: skip
def test_records_that_no_export_writes_are_left_out_and_harm_nothing(
    bring, belongings_of, ann, content, problem, left_out
):
    before = belongings_of(ann)
    told = bring(ann, content)
    assert told.problem == problem
    assert told.brought.get("left-out") == left_out
    assert belongings_of(ann) == before


# --- what other programs keep --------------------------------------------------------------------------------------------


def takeout(*labels):
    return mbox(
        *(
            b"X-Gmail-Labels: %s\nFrom: a@example.org\nSubject: %d\n\nx\n" % (one.encode(), number)
            for number, one in enumerate(labels)
        )
    )


LABELS = (
    ("Inbox,Important,Unread", Kind.INBOX, True, False),
    ("Archived,Starred", Kind.ARCHIVE, False, True),
    ("Sent", Kind.SENT, False, False),
    ("Spam,Unread,Inbox", Kind.JUNK, True, False),
    ("Trash,Sent", Kind.TRASH, False, False),
    ("My own label", Kind.ARCHIVE, False, False),
    ("=?UTF-8?Q?Bo=C3=AEte_de_r=C3=A9ception,Non_lus?=", Kind.INBOX, True, False),
    ("Posteingang,\n Ungelesen", Kind.INBOX, True, False),
)


@pytest.mark.parametrize("is_zipped", [False, True])
def test_labels_of_gmail_become_folders_and_flags(bring, ann, superuser, is_zipped):
    content = takeout(*(one[0] for one in LABELS))
    if is_zipped:
        content = zipped(**{"Takeout/archive_browser.html": b"<html>", "Takeout/Mail/All mail Including Spam and Trash.mbox": content})  # fmt: skip
    told = bring(ann, content, Kind.INBOX)
    assert (told.state, told.taken, told.no_mail) == ("done", len(LABELS), int(is_zipped))
    found = superuser.execute(text("SELECT folder_id, unread, starred FROM message")).all()
    assert sorted(map(tuple, found)) == sorted((int(one[1]), *one[2:]) for one in LABELS)


def test_folders_in_a_zip_become_ours(bring, ann, superuser):
    mail = b"From: a@example.org\r\n\r\nx%d\r\n"
    told = bring(ann, zipped(**{
        "Maildir/cur/1:2,S": mail % 1, "Maildir/.Sent/cur/2:2,S": mail % 2, "Maildir/.INBOX.Trash/new/3": mail % 3,
        "old/Spam/4.eml": mail % 4, "thunderbird/Sent.mbox": mbox(mail % 5, mail % 6), "a/Family/7.eml": mail % 7,
    }), Kind.ARCHIVE)  # fmt: skip
    assert (told.state, told.taken) == ("done", 7)
    counts = dict(superuser.execute(text("SELECT folder_id, count(*) FROM message GROUP BY 1")).all())
    assert counts == {Kind.ARCHIVE: 2, Kind.SENT: 3, Kind.TRASH: 1, Kind.JUNK: 1}


def test_an_mbox_in_a_zip_goes_on_where_a_step_ended(bring, ann, superuser, monkeypatch):
    monkeypatch.setattr(taking, "STEP_MESSAGES", 2)
    letters = [b"From: a@example.org\n\n%d\n" % number for number in range(7)]
    content = zipped(**{"a.eml": letters[0], "b.mbox": mbox(*letters[1:6]), "c.eml": letters[6], "d/": b""})
    told = bring(ann, content)
    assert (told.state, told.taken, told.known) == ("done", 7, 0)
    assert told.position == told.places


def test_an_mbox_in_a_zip_that_is_damaged_ends_there_and_the_others_are_read(bring, ann):
    letters = [
        b"From: a@example.org\n\n%d" % number + bytes(range(65, 91)) * 4000 + b"\n" for number in range(4)
    ]
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("b.mbox", mbox(*letters[:3]))
        archive.writestr("c.eml", letters[3])
    content = bytearray(kept.getvalue())
    content[300_000] ^= 255
    told = bring(ann, bytes(content))
    assert told.state == "done"
    assert told.no_mail == 1
    assert 2 <= told.taken <= 4


def test_drafts_that_came_with_an_import_go_with_it(furnish, exported, bring, ann, ben, opened, superuser):
    furnish(ann)
    told = bring(ben, exported(ann)["drafts.zip"])
    count = text("SELECT count(*) FROM draft WHERE mailbox_id = :m")
    assert superuser.execute(count, {"m": ben.mailbox_id}).scalar() == 2
    opened(ben, lambda keys: asking.undo(keys.mailbox_id, ben.account_id, told.import_id))
    assert superuser.execute(count, {"m": ben.mailbox_id}).scalar() == 0


def test_what_waits_to_be_read_has_a_bound(opened, ann, monkeypatch):
    monkeypatch.setattr(asking, "MOST_OPEN_BYTES", 100)
    opened(ann, lambda keys: asking.begin(keys, ann.account_id, "a.mbox", 60))
    with pytest.raises(Refused, match="many"):
        opened(ann, lambda keys: asking.begin(keys, ann.account_id, "b.mbox", 41))
    opened(ann, lambda keys: asking.begin(keys, ann.account_id, "c.mbox", 40))


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("Takeout/Mail/All mail Including Spam and Trash.mbox", ""),
        ("Mail/Sent.mbox", "sent"),
        ("Maildir/.INBOX.Junk E-mail/cur/", "junk"),
        ("Maildir/cur/", ""),
        ("Papierkorb\\alt", "trash"),
        ("a/Archives/2024", "archive"),
        ("Inbox/Trash", "trash"),
        ("../../etc/inbox", "inbox"),
        ("", ""),
    ],
)
def test_a_path_says_a_folder_by_its_nearest_name(path, folder):
    assert labels.of_path(path) == folder


@pytest.mark.parametrize(
    "head",
    [
        b"Subject: x\nX-Gmail-Labels:",
        b"X-Gmail-Labels: =?utf-8?Q?=ff?= =?nope?Q?x?=, \x00\xff",
        b"X-Gmail-Labels: " + b"a," * 4000,
        b"X-Gmail-Labels: " + b"\n " * 9000,
    ],
)
def test_labels_that_nobody_wrote_say_archive_and_harm_nothing(head):
    found = labels.read(head)
    assert found == labels.Labels("archive", True, False)
    assert labels.read(b"Subject: X-Gmail-Labels: Inbox") is None
