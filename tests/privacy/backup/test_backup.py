"""Backups: encrypted, read back and compared, without a mailbox's keys; what is damaged is told, what need not stay goes."""

import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from webmail.db import transaction
from webmail.errors import KeyTrouble, SettingError, Tampered
from webmail.keys import CHUNK, MasterKeys, create_master_key
from webmail.privacy.backup import container, journal, making, records
from webmail.privacy.backup.programs import BackupFailed, alone, program
from webmail.privacy.backup.storing import DUMP, JOURNAL, KEYS, MANIFEST, Folder, NoPlace
from workers import backing_up

KEY = MasterKeys([b"k" * 32])


def sealed(value, kind="dump", name="one"):
    return container.seal_bytes(value, KEY, kind, name)


def opened(value, kind="dump", name="one", key=KEY):
    return b"".join(container.read(BytesIO(value), key, kind, name))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_stream_opens_as_it_was_written(size):
    value = bytes(range(256)) * (size // 256 + 1)
    assert opened(sealed(value[:size])) == value[:size]


def test_a_stream_that_was_cut_joined_changed_or_renamed_does_not_open():
    whole = sealed(b"a" * (2 * CHUNK + 5))
    for cut in (len(whole) - 1, len(whole) // 2, 40, 5):
        with pytest.raises((Tampered, KeyTrouble)):
            opened(whole[:cut])
    last = sealed(b"")
    with pytest.raises((Tampered, KeyTrouble)):
        opened(whole + last[len(container.MAGIC) :])
    with pytest.raises((Tampered, KeyTrouble)):
        opened(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    with pytest.raises(Tampered):
        opened(whole, name="other")
    with pytest.raises(KeyTrouble):
        opened(whole, key=MasterKeys([b"o" * 32]))


def test_a_whole_chunk_that_is_missing_at_the_end_is_seen():
    whole = sealed(b"a" * (2 * CHUNK))
    first = int.from_bytes(whole[5:9], "big")
    at = 9 + first
    length = int.from_bytes(whole[at : at + 4], "big")
    with pytest.raises(Tampered):
        opened(whole[: at + 4 + length])


def test_the_key_of_backups_is_a_file_of_its_own_that_others_cannot_read(tmp_path):
    create_master_key(tmp_path / "key")
    container.read_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(SettingError, match="MTUMAIL_BACKUP_KEY_FILE"):
        container.read_key(tmp_path / "key")


def test_P26_a_backup_is_made_proved_and_written_down(means_of, deliver, ann, letter, owner_app, superuser):
    deliver(ann, letter(body="the word of the day is heliotrope"))
    with owner_app.app_context():
        manifest = backing_up.back_up(means_of, "system:test")
        with transaction():
            (run,) = records.past("backup")
    assert (run.name, run.outcome, run.bytes, run.rows) == (
        manifest.name, "done", manifest.bytes, manifest.count,
    )  # fmt: skip
    assert manifest.rows["message"] == 1
    assert manifest.rows["audit_event"] > 0
    place = Folder(means_of.backup_to)
    assert place.names(MANIFEST) == [manifest.name]
    log = superuser.execute(text("SELECT kind, actor FROM audit_event ORDER BY number DESC LIMIT 1")).one()
    assert tuple(log) == ("backup.finished", "system:test")


def test_P26_no_file_of_a_backup_holds_anything_in_clear(
    means_of, deliver, ann, letter, owner_app, superuser
):
    deliver(ann, letter(body="heliotrope"))
    with owner_app.app_context():
        backing_up.back_up(means_of)
    names = superuser.execute(text("SELECT clerk_user_id FROM account")).scalars().all()
    for path in means_of.backup_to.iterdir():
        held = path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
        assert not any(
            word.encode() in held for word in (*names, "heliotrope", "CREATE TABLE", "audit_event")
        )


def test_P26_the_keys_of_mailboxes_are_in_a_file_of_their_own_and_nowhere_else(
    means_of, ann, owner_app, superuser
):
    with owner_app.app_context():
        manifest = backing_up.back_up(means_of)
    place, key = Folder(means_of.backup_to), container.read_key(means_of.backup_key_file)
    wrapped = bytes(superuser.execute(text("SELECT wrapped FROM mailbox_key")).scalar_one())
    assert list(making.read_keys(place, key)) == [(ann.mailbox_id, wrapped)]
    with place.open(DUMP, manifest.name) as file:
        dump = b"".join(container.read(file, key, DUMP, manifest.name))
    assert wrapped.hex().encode() not in dump
    assert wrapped not in dump


def test_P26_a_mailbox_that_is_gone_is_gone_from_the_keys_within_minutes(
    means_of, ann, ben, owner_app, superuser
):
    with owner_app.app_context():
        backing_up.back_up(means_of)
        superuser.execute(text("DELETE FROM mailbox_key WHERE mailbox_id = :m"), {"m": ann.mailbox_id})
        backing_up.write_journal(backing_up.means(means_of))
    key = container.read_key(means_of.backup_key_file)
    assert [mailbox for mailbox, _ in making.read_keys(Folder(means_of.backup_to), key)] == [ben.mailbox_id]


def test_P26_a_new_database_does_not_replace_the_keys_that_open_the_backups_of_an_old_one(
    means_of, ann, ben, owner_app, superuser
):
    """Else a service that runs for some minutes before the restore has made noise of all that there is to restore."""
    place, key = Folder(means_of.backup_to), container.read_key(means_of.backup_key_file)
    of_another = b"".join(f"{mailbox} 00ff\n".encode() for mailbox in (ann.mailbox_id, 77))
    with place.writing(KEYS) as file:
        file.write(container.seal_bytes(of_another, key, KEYS, KEYS))
    with owner_app.app_context():
        for run in (
            lambda: backing_up.write_journal(backing_up.means(means_of)),
            lambda: backing_up.back_up(means_of),
        ):
            with pytest.raises(BackupFailed, match="another-database"):
                run()
        assert [mailbox for mailbox, _ in making.read_keys(place, key)] == [ann.mailbox_id, 77]
        assert superuser.execute(text("SELECT outcome FROM backup_run")).scalars().all() == [
            "another-database"
        ]
        # What was restored goes on where the older one ended, and so does one whose mailboxes are all that were there.
        superuser.execute(text("INSERT INTO backup_run (kind) VALUES ('restore')"))
        backing_up.write_journal(backing_up.means(means_of))
        superuser.execute(text("DELETE FROM backup_journal"))
        superuser.execute(text("DELETE FROM backup_run"))
        superuser.execute(text("DELETE FROM mailbox_key WHERE mailbox_id = :m"), {"m": ben.mailbox_id})
        backing_up.write_journal(backing_up.means(means_of))
    assert [mailbox for mailbox, _ in making.read_keys(place, key)] == [ann.mailbox_id]


def test_P26_of_two_who_write_the_keys_the_one_who_looked_later_stays(means_of, ann, ben, superuser):
    """Otherwise a key that is gone would be back in the file, and stay there until another one changes."""
    key, url = container.read_key(means_of.backup_key_file), means_of.backup_url
    reading, go_on = threading.Event(), threading.Event()

    class Slow(Folder):
        @contextmanager
        def writing(self, kind, name="", expected=0):
            with super().writing(kind, name, expected) as file:
                yield file
                reading.set()
                assert go_on.wait(30)

    place = Folder(means_of.backup_to)
    first = threading.Thread(target=making.write_keys, args=(Slow(means_of.backup_to), key, url))
    second = threading.Thread(target=making.write_keys, args=(place, key, url))
    first.start()
    assert reading.wait(30)
    superuser.execute(text("DELETE FROM mailbox_key WHERE mailbox_id = :m"), {"m": ann.mailbox_id})
    second.start()
    second.join(0.5)
    assert second.is_alive()
    go_on.set()
    first.join(30)
    second.join(30)
    assert [mailbox for mailbox, _ in making.read_keys(place, key)] == [ben.mailbox_id]
    assert list(means_of.backup_to.glob("*.part")) == []


def test_the_journal_holds_what_happened_since_and_moves_on(
    means_of, deliver, ann, letter, owner_app, superuser
):
    message_id = deliver(ann, letter())
    with owner_app.app_context():
        manifest = backing_up.back_up(means_of)
        superuser.execute(text("DELETE FROM message WHERE message_id = :m"), {"m": message_id})
        backing_up.write_journal(backing_up.means(means_of))
        backing_up.write_journal(backing_up.means(means_of))
    place, key = Folder(means_of.backup_to), container.read_key(means_of.backup_key_file)
    held = list(journal.read(place, key, manifest.name))
    assert [row["message_id"] for table, row in held if table == "tombstone"][:1] == [message_id]
    assert "backup.finished" in [row["kind"] for table, row in held if table == "audit_event"]


def test_a_damaged_dump_is_told(means_of, ann, owner_app):
    with owner_app.app_context():
        manifest = backing_up.back_up(means_of)
    means = backing_up.means(means_of)
    making.compare(means.place, means.key, manifest)
    path = means_of.backup_to / f"{manifest.name}.dump.mtb"
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)
    with pytest.raises(BackupFailed, match="not-as-written"):
        making.compare(means.place, means.key, manifest)
    held[len(held) // 2] ^= 1
    path.write_bytes(held)
    more = replace(manifest, rows=dict(manifest.rows) | {"account": 7})
    with pytest.raises(BackupFailed, match="rows differ in account"):
        making.compare(means.place, means.key, more)


def test_a_run_that_fails_is_written_down_with_why(means_of, ann, owner_app):
    broken = replace(means_of, backup_to=means_of.backup_to / "not-there")
    with owner_app.app_context():
        with pytest.raises(NoPlace):
            backing_up.back_up(broken)
        with transaction():
            (run,) = records.past("backup")
    assert (run.outcome, run.is_bad) == ("no-place", True)


def test_two_backups_do_not_run_at_once(means_of, empty, owner_app):
    with (
        alone(means_of.backup_url),
        owner_app.app_context(),
        pytest.raises(BackupFailed, match="already-running"),
    ):
        backing_up.back_up(means_of)


def test_P26_the_role_of_backups_changes_nothing(database, ann):
    engine = create_engine(database.urls["backup"], poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM mailbox_key")).scalar() == 1
        for statement in (
            "DELETE FROM message",
            "UPDATE account SET name = 'x'",
            "SELECT audit_append('a', 'b', '{}')",
        ):
            with pytest.raises(ProgrammingError) as caught:
                connection.execute(text(statement))
            assert isinstance(caught.value.orig, InsufficientPrivilege)
            connection.rollback()
    engine.dispose()


def test_every_table_can_be_read_for_a_backup(database):
    with making.snapshot(database.urls["backup"]) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


@pytest.mark.parametrize(
    "values",
    ["('picnic', '', '')", "('backup', 'A b', '')", "('backup', '', 'Why not')", "('backup', '', 'done')"],
)
def test_the_database_refuses_a_run_that_cannot_be(superuser, values):
    with pytest.raises(DBAPIError):
        superuser.execute(text(f"INSERT INTO backup_run (kind, name, outcome) VALUES {values}"))


def test_programs_that_are_too_old_or_missing_are_told(tmp_path):
    with pytest.raises(BackupFailed, match="no-program"):
        program("pg_dump", 18, {"MTUMAIL_PG_BIN": str(tmp_path)})
    with pytest.raises(BackupFailed, match="old-program"):
        program("pg_dump", 99)


def days(*back):
    now = datetime(2026, 11, 20, 3, tzinfo=UTC)
    return [making.new_name(now - timedelta(days=number)) for number in back]


def test_days_and_weeks_stay_and_the_newest_always():
    names = days(*range(60))
    staying = records.staying(names, 7, 4)
    assert {*names[:7]} <= staying
    assert len(staying) <= 11
    assert min(staying) >= names[28]
    assert records.staying(names[50:], 0, 0) == {names[50]}
    assert records.staying([], 7, 4) == set()


def test_pruning_removes_what_need_not_stay_and_never_the_last(tmp_path):
    place = Folder(tmp_path)
    names = sorted(days(*range(30)))
    for name in names:
        for kind in (DUMP, MANIFEST, JOURNAL):
            with place.writing(kind, name) as file:
                file.write(b"x")
    gone = records.prune(place, 2, 0)
    assert place.names(MANIFEST) == place.names(DUMP) == names[-2:]
    assert len(gone) == 28
    assert place.names(JOURNAL) == names[-3:]
    assert records.prune(place, 2, 0) == []


def test_what_is_half_written_takes_no_place(tmp_path):
    place = Folder(tmp_path)
    with place.writing(KEYS) as file:
        file.write(b"old")
    with pytest.raises(ZeroDivisionError), place.writing(KEYS) as file:
        file.write(b"%d" % (1 // 0))
    with place.open(KEYS) as file:
        assert file.read() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_backup_is_due_once_a_day_after_its_hour():
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert records.is_due(None, 3, now)
    assert records.is_due(now - timedelta(hours=10), 3, now)
    assert not records.is_due(now - timedelta(hours=8), 3, now)
    assert not records.is_due(now - timedelta(hours=20), 15, now)


def test_what_was_begun_is_removed_when_nobody_can_be_at_it(tmp_path):
    place = Folder(tmp_path)
    for name in ("a.dump.0a.part", "keys.0b.part", "b.journal.0c.part"):
        (tmp_path / name).write_bytes(b"x")
    place.sweep()
    assert len(list(tmp_path.iterdir())) == 3
    place.sweep(alone=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.journal.0c.part", "keys.0b.part"]
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    place.sweep()
    assert list(tmp_path.iterdir()) == []
