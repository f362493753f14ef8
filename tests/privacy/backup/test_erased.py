"""P24, P26: of an account that is erased nothing opens any more, in the database, in its files, and in backups from before."""

import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from webmail import schedules
from webmail.db import transaction
from webmail.errors import MtumailError
from webmail.keys import MailboxKeys, Place, unseal
from webmail.mail import contacts, identities
from webmail.mail.contacts import Details
from webmail.mail.identities import Identity
from webmail.privacy import rotation
from webmail.privacy.backup import container, journal, making
from webmail.privacy.backup.programs import program
from webmail.privacy.backup.storing import DUMP, JOURNAL, KEYS, Folder
from webmail.privacy.erasure import asking, doing
from webmail.sending import drafts
from webmail.sending.drafts import Fields, Upload
from workers import backing_up, erasing
from workers import schedules as clock

MARK = "anarien"


@pytest.fixture
def rich(ann, ben, opened, deliver, letter):
    """A mailbox with something in every corner, and a neighbour's."""
    deliver(ben, letter("For Ben", "an ordinary letter\r\n"))
    for number in range(3):
        deliver(
            ann,
            letter(
                f"Kanarienvogel {number}",
                "Kanarienwort im Text\r\n" * 40,
                sender="Kanari <kanari@example.org>",
            ),
        )

    def fill(keys):
        draft = drafts.create(
            keys, (ann.name, ann.address), Fields(subject="Kanarienentwurf", body="Kanarienwort")
        )
        drafts.attach(keys, draft.message_id, [Upload("kanari.txt", "text/plain", b"Kanarienbeilage")], 10**6)
        contacts.add(keys, Details(name="Kanarienfreund", addresses=("freund@example.org",)))
        identities.keep(keys, Identity(0, "Ann", ann.address, signature="Kanarienunterschrift"))

    opened(ann, fill)
    return ann


@pytest.fixture
def back_up(means_of, owner_app, monkeypatch):
    """Make a backup, and keep all that there are."""
    monkeypatch.setattr(backing_up.records, "prune", lambda *_: [])

    def run():
        with owner_app.app_context():
            return backing_up.back_up(means_of)

    return run


@pytest.fixture
def erase(web_app, worker, superuser, monkeypatch):
    """Have a person erased, as the clock does it when the time to undo is over."""
    monkeypatch.setattr("workers.schedules.core", lambda: worker)
    monkeypatch.setattr(erasing, "_leave", lambda to, raw: True)
    monkeypatch.setattr(clock, "RUNS", {schedules.ERASING: clock._erase})

    def run(person):
        with web_app.app_context(), transaction():
            erasure = asking.ask(person.account_id)
        superuser.exec_driver_sql("SET session_replication_role = replica")
        superuser.execute(
            text(
                "UPDATE erasure SET asked_at = asked_at - interval '40 days', due_at = due_at - interval '40 days'"
            )
        )
        superuser.exec_driver_sql("SET session_replication_role = origin")
        with worker.app_context(), transaction():
            schedules.soon(schedules.ERASING)
        clock.run_due()
        assert (
            superuser.execute(
                text("SELECT state FROM erasure WHERE erasure_id = :e"), {"e": erasure}
            ).scalar()
            == "done"
        )

    return run


# --- looking for it -------------------------------------------------------------------------------------------------------


def dumped(place, key, manifest):
    """A dump in clear, as the SQL that it is: what its holder reads who has the key of backups."""
    with place.open(DUMP, manifest.name) as file:
        dump = b"".join(container.read(file, key, DUMP, manifest.name))
    told = subprocess.run(
        [program("pg_restore", manifest.server), "-f", "-"], input=dump, capture_output=True, check=True
    )
    return told.stdout


def tables(sql):
    """Table to its rows, each a dict of texts, of a dump."""
    found, name, columns = {}, "", []
    for line in sql.decode().splitlines():
        if line.startswith("COPY public."):
            name, _, rest = line.removeprefix("COPY public.").partition(" (")
            columns = rest.partition(")")[0].split(", ")
            found[name] = []
        elif line == "\\.":
            name = ""
        elif name:
            found[name].append(dict(zip(columns, line.split("\t"), strict=True)))
    return found


def binary(value):
    return bytes.fromhex(value[3:]) if value.startswith("\\\\x") else None


def opened_values(found, person, all_keys, master):
    """How many ciphertexts of a person's mailbox open with any of these keys: each value of each row, at every place that it could
    belong to."""
    count = 0
    for table, rows in found.items():
        for row in rows:
            if row.get("mailbox_id") != str(person.mailbox_id):
                continue
            ids = {int(value) for value in row.values() if value.isdecimal()} | {0}
            for column, value in row.items():
                sealed = binary(value)
                if sealed:
                    count += _opens(sealed, table, column, ids, person.mailbox_id, all_keys, master)
    return count


def _opens(sealed, table, column, ids, mailbox_id, all_keys, master):
    for number in ids:
        place = Place(table, mailbox_id, number, column)
        ways = [lambda: master.unwrap(sealed, place)]
        for keys in all_keys:
            ways += [
                lambda keys=keys: keys.open_content_key(sealed, number),
                lambda keys=keys: keys.open_value(sealed, place),
            ]
        for way in ways:
            with suppress(MtumailError):
                way()
                return 1
    return 0


def letters_opened(found, person, keys):
    """Texts of messages that open."""
    content = {
        row["message_id"]: binary(row["content_key"])
        for row in found["message"]
        if row["mailbox_id"] == str(person.mailbox_id)
    }
    read = []
    for row in found["message_source"]:
        if row["mailbox_id"] == str(person.mailbox_id):
            number = int(row["message_id"])
            with suppress(MtumailError):
                one = keys.open_content_key(content[row["message_id"]], number)
                read.append(
                    unseal(
                        one,
                        binary(row["sealed"]),
                        Place("message_source", person.mailbox_id, number, "sealed"),
                    )
                )
    return read


def as_if(mailbox_id, keys):
    """Another's keys, used on a mailbox: whoever attacks does not stop at the number."""
    keys.mailbox_id = mailbox_id
    return keys


def everything(superuser):
    """Every row of every table, as text: bytes are hexadecimal digits in it."""
    names = (
        superuser.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
    )
    return {
        name: "\n".join(superuser.execute(text(f"SELECT row_to_json(t)::text FROM {name} t")).scalars())
        for name in names
    }


def test_P24_nothing_that_opens_is_left_of_an_account_in_the_database_or_in_any_backup(
    rich, ben, back_up, erase, means_of, superuser, master
):
    wrapped = dict(superuser.execute(text("SELECT mailbox_id, wrapped FROM mailbox_key")).all())
    secret = MailboxKeys(master, rich.mailbox_id, bytes(wrapped[rich.mailbox_id]))._bundle
    place, key = Folder(means_of.backup_to), container.read_key(means_of.backup_key_file)

    first = back_up()
    old_keys = dict(making.read_keys(place, key))
    old = tables(dumped(place, key, first))
    # As long as the file of keys has hers, her mail opens: the search that follows would find it.
    hers = MailboxKeys(master, rich.mailbox_id, old_keys[rich.mailbox_id])
    assert len(letters_opened(old, rich, hers)) == 3
    assert all(b"anarien" in one for one in letters_opened(old, rich, hers))
    assert opened_values(old, rich, [hers], master) >= 6

    erase(rich)
    second = back_up()

    # The database: no word of hers, and neither her keys nor what they were wrapped in.
    rows = everything(superuser)
    for name, held in rows.items():
        assert MARK not in held, name
        assert MARK.encode().hex() not in held, name
        for one in (secret, bytes(wrapped[rich.mailbox_id])):
            assert one.hex() not in held, name
    assert [number for number, _ in making.read_keys(place, key)] == [ben.mailbox_id]

    # Every file of the backups, opened with the key of backups.
    clear = {"first": dumped(place, key, first), "second": dumped(place, key, second)}
    with place.open(KEYS) as file:
        clear["keys"] = b"".join(container.read(file, key, KEYS, KEYS))
    for name in place.names(JOURNAL):
        with place.open(JOURNAL, name) as file:
            clear[name] = b"".join(container.read(file, key, JOURNAL, name))
    assert len(list(means_of.backup_to.iterdir())) == 5 + len(place.names(JOURNAL))
    for name, held in clear.items():
        for one in (secret, bytes(wrapped[rich.mailbox_id]), MARK.encode()):
            assert one not in held, name
            assert one.hex().encode() not in held, name
        if name != "first":
            assert rich.name.encode() not in held, name
            assert b"ann@elsewhere.example" not in held, name

    # The older backup has her rows, and whatever keys are left open none of them.
    left = dict(making.read_keys(place, key))
    others = [as_if(rich.mailbox_id, MailboxKeys(master, number, one)) for number, one in left.items()]
    assert sum(row["mailbox_id"] == str(rich.mailbox_id) for row in old["message_source"]) == 3
    assert opened_values(old, rich, others, master) == 0
    assert [letters_opened(old, rich, keys) for keys in others] == [[]]
    for one in rotation.EVERYTHING:
        assert one.table != "mailbox_key" or not old.get(one.table)

    # A file of keys that was left behind would give all of it back: none is.
    assert rich.mailbox_id not in left
    assert len(letters_opened(old, rich, hers)) == 3


def test_P24_the_files_of_the_database_hold_no_key_and_no_word_of_an_erased_account(
    rich, erase, postgres, superuser, master
):
    """What Postgres has freed lies in its pages until something else is written there: her keys do not."""
    wrapped = bytes(
        superuser.execute(
            text("SELECT wrapped FROM mailbox_key WHERE mailbox_id = :m"), {"m": rich.mailbox_id}
        ).scalar_one()
    )
    secret = MailboxKeys(master, rich.mailbox_id, wrapped)._bundle
    superuser.exec_driver_sql("CHECKPOINT")
    assert files_with(postgres.cluster / "base", wrapped)
    erase(rich)
    superuser.exec_driver_sql("CHECKPOINT")
    assert files_with(postgres.cluster / "base", wrapped) == []
    for one in (secret, MARK.encode()):
        assert files_with(postgres.cluster, one) == []


def files_with(folder, needle):
    return [path for path in Path(folder).rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_the_journal_keeps_no_address_of_whoever_was_erased(
    rich, back_up, erase, means_of, monkeypatch, superuser, owner_app
):
    back_up()
    monkeypatch.setattr(erasing, "_tell", lambda step: None)
    with suppress(AssertionError):
        erase(rich)
    assert superuser.execute(text("SELECT state, contact FROM erasure")).one() == (
        "telling",
        "ann@elsewhere.example",
    )
    with owner_app.app_context():
        backing_up.write_journal(backing_up.means(means_of))
    place, key = Folder(means_of.backup_to), container.read_key(means_of.backup_key_file)
    held = list(journal.read(place, key, place.names("manifest")[0]))
    assert "erasure" in [table for table, _ in held]
    assert "ann@elsewhere.example" not in str(held)


def test_keys_are_swept_soon_and_again_during_a_day_and_wait_for_nobody(
    rich, erase, worker, superuser, database
):
    def sweep():
        with worker.app_context(), transaction():
            return doing.sweep_keys()

    superuser.exec_driver_sql("DELETE FROM key_sweep")
    assert not sweep()  # nobody was erased
    erase(rich)
    assert superuser.execute(text("SELECT count(*) FROM key_sweep")).scalar() == 1
    assert not sweep()
    superuser.execute(text("UPDATE key_sweep SET swept_at = now() - interval '7 hours'"))
    with psycopg.connect(database.admin_url.replace("postgresql+psycopg", "postgresql")) as reader:
        reader.execute("SELECT count(*) FROM mailbox_key")  # and its transaction stays open
        assert not sweep()
    assert sweep()
    superuser.exec_driver_sql("ALTER TABLE tombstone DISABLE TRIGGER USER")
    superuser.execute(text("UPDATE tombstone SET deleted_at = now() - interval '2 days'"))
    superuser.exec_driver_sql("ALTER TABLE tombstone ENABLE TRIGGER USER")
    superuser.execute(text("UPDATE key_sweep SET swept_at = now() - interval '7 hours'"))
    assert not sweep()
