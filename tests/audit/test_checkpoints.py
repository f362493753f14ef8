"""Signed roots find what hashes alone cannot: a past that was written anew, an end that was cut off."""

import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webmail import audit, jobs
from webmail.audit import checkpoints, notes
from webmail.audit.notes import Checkpoint, Verifier
from webmail.config import Settings
from webmail.db import transaction
from webmail.errors import Tampered
from workers import checkpoints as job


@pytest.fixture
def verifier(owner_app):
    def read() -> Verifier:
        with owner_app.app_context(), transaction():
            return audit.verifier()

    return read


@pytest.fixture
def working(worker, monkeypatch):
    """The worker's job, here, with these settings."""
    monkeypatch.setattr(job, "core", lambda: worker)
    monkeypatch.setattr("workers.context.core", lambda: worker)

    def with_settings(**values) -> None:
        kept = worker.extensions["settings"]
        changed = type(kept)(**{name: getattr(kept, name) for name in kept.__dataclass_fields__} | values)
        monkeypatch.setitem(worker.extensions, "settings", changed)

    return with_settings


def test_P16_what_is_signed_is_the_root_that_anybody_can_compute(log, checkpoint, verifier, examined):
    note = checkpoint()
    said = Checkpoint.read(note)
    assert (said.origin, said.size) == ("mail.test/audit", 6)
    assert verifier().signed(note)
    report = examined(verifier=verifier())
    assert (report.faults, report.checkpoints, report.vouched, report.root) == ([], 1, 6, said.root)


def test_what_has_not_grown_is_not_signed_again(log, checkpoint, append, superuser):
    assert checkpoint() == checkpoint()
    append(1)
    checkpoint()
    assert superuser.execute(text("SELECT size FROM audit_checkpoint ORDER BY 1")).scalars().all() == [6, 7]


def test_nothing_is_signed_of_an_empty_log(empty, worker, master):
    with worker.app_context(), transaction():
        assert audit.make_checkpoint(master, "x/audit") is None


def test_P16_a_cut_end_is_found(log, checkpoint, tamper, examined, verifier):
    note = checkpoint()
    key = verifier()
    tamper("DELETE FROM audit_event WHERE number > 4", "DELETE FROM audit_checkpoint")
    assert examined(stored=False).faults == [], "hashes alone do not see it"
    [fault] = examined(notes=(note,), verifier=key).faults
    assert str(fault) == "event 5 is missing, and all after it: a checkpoint was signed over 6 events"


def test_P16_a_past_written_anew_is_found(log, checkpoint, append, tamper, rehash, examined, verifier):
    first = checkpoint()
    append(4)
    second = checkpoint()
    key = verifier()
    tamper(
        "UPDATE audit_event SET entry = replace(entry, '\"mailbox\": 3', '\"mailbox\": 5') WHERE number = 3"
    )
    rehash()
    assert examined(stored=False).faults == [], "every hash is right again"
    [fault] = examined(notes=(first, second), verifier=key).faults
    assert "checkpoint 6 tells another history: something in events 1 to 6 was rewritten" in str(fault)


def test_P16_an_end_written_anew_is_found_between_two_checkpoints(
    log, checkpoint, append, tamper, rehash, examined, verifier
):
    first = checkpoint()
    append(4, mailbox=1)
    second = checkpoint()
    key = verifier()
    tamper(
        "UPDATE audit_event SET entry = replace(entry, '\"mailbox\": 1', '\"mailbox\": 2') WHERE number = 9"
    )
    rehash()
    report = examined(notes=(first, second), verifier=key)
    assert "something in events 7 to 10 was rewritten" in str(report.faults[0])
    assert report.vouched == 6


def test_P16_a_forged_checkpoint_is_found(log, checkpoint, tamper, rehash, examined, verifier):
    checkpoint()
    key = verifier()
    forged = Checkpoint("mail.test/audit", 6, bytes(32)).sign(notes.new_key()[1])
    [fault] = examined(notes=(forged,), verifier=key).faults
    assert str(fault) == "checkpoint 6 is forged: mail.test/audit did not sign it"
    assert "did not sign" in str(
        examined(notes=(forged.replace("mail.test", "mail.text"),), verifier=key).faults[0]
    )
    assert str(examined(notes=("x",), verifier=key).faults[0]).startswith("checkpoint file 2 cannot be read")


def test_P16_a_new_key_for_a_new_past_is_not_the_one_that_was_shown(
    log, checkpoint, tamper, rehash, examined, master, verifier
):
    """Who owns the database and the master key can write the log, sign it anew, and be found by whoever noted the key."""
    checkpoint()
    shown = verifier()
    tamper(
        "DELETE FROM audit_key",
        "DELETE FROM audit_checkpoint",
        "UPDATE audit_event SET entry = replace(entry, '日本', 'x')",
    )
    rehash()
    checkpoint()
    assert examined(verifier=verifier()).faults == []
    assert "is forged" in str(examined(verifier=shown).faults[0])


def test_nothing_is_signed_on_top_of_a_tree_that_does_not_hold(log, checkpoint, append, tamper, rehash):
    checkpoint()
    tamper("UPDATE audit_event SET entry = replace(entry, '日本', 'x') WHERE number = 2")
    rehash()
    append(1)
    with pytest.raises(Tampered):
        checkpoint()


def test_the_database_refuses_a_root_that_is_not_its_own(log, superuser):
    note = Checkpoint("mail.test/audit", 6, bytes(32)).sign(notes.new_key()[1])
    insert = text("INSERT INTO audit_checkpoint (size, root, note) VALUES (:size, :root, :note)")
    with pytest.raises(DBAPIError, match="tells the log's own root"):
        superuser.execute(insert, {"size": 6, "root": bytes(32), "note": note})
    root = superuser.execute(text("SELECT audit_root(6)")).scalar_one()
    with pytest.raises(DBAPIError, match="audit_checkpoint_note_says_so"):
        superuser.execute(insert, {"size": 6, "root": root, "note": note})
    with pytest.raises(DBAPIError, match="tells the log's own root"):
        superuser.execute(insert, {"size": 7, "root": root, "note": note})


@pytest.mark.parametrize("table", ["audit_checkpoint", "audit_checkpoint_sent"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_checkpoints_only_grow_for_a_superuser_too(log, checkpoint, superuser, table, verb):
    checkpoint()
    with pytest.raises(DBAPIError, match="append-only"):
        superuser.exec_driver_sql(verb.format(table))


# --- the second place ----------------------------------------------------------------------------------------------------


def test_P16_the_worker_signs_and_sends(log, working, append, tmp_path, verifier, examined, superuser):
    working(checkpoints=str(tmp_path))
    assert job.drain() == 1
    append(2)
    assert job.drain() == 1
    assert job.drain() == 0
    found = checkpoints.kept(tmp_path)
    assert [name for name, _note in found] == ["000000000006.txt", "000000000008.txt"]
    assert all(verifier().signed(note) for _name, note in found)
    assert (
        examined(stored=False, notes=tuple(note for _name, note in found), verifier=verifier()).checkpoints
        == 2
    )
    [month] = tmp_path.iterdir()
    assert month.name == f"{datetime.now(UTC):%Y-%m}"
    assert {stat.S_IMODE(path.stat().st_mode) & 0o222 for path in month.iterdir()} == {0}
    assert superuser.execute(text("SELECT count(*) FROM audit_checkpoint_sent")).scalar() == 2


def test_a_second_place_that_is_away_is_caught_up_with(log, working, append, tmp_path, caplog):
    away = tmp_path / "mount"
    working(checkpoints=str(away))
    assert job.drain() == 0
    assert "audit checkpoint not kept" in caplog.text
    assert not away.exists(), "an unmounted disk is not written beside"
    append(1)
    assert job.drain() == 0
    away.mkdir()
    assert job.drain() == 2


def test_what_was_written_before_it_was_noted_is_written_once(log, working, tmp_path, checkpoint):
    note = checkpoint()
    checkpoints.send(str(tmp_path), 6, note, datetime.now(UTC))
    working(checkpoints=str(tmp_path))
    assert job.drain() == 1
    assert len(checkpoints.kept(tmp_path)) == 1


def test_a_file_that_says_something_else_is_never_replaced(log, working, tmp_path, checkpoint, caplog):
    note = checkpoint()
    checkpoints.send(str(tmp_path), 6, note.replace("6", "7"), datetime.now(UTC))
    working(checkpoints=str(tmp_path))
    assert job.drain() == 0
    assert "holds something else" in str([record.__dict__ for record in caplog.records])
    assert checkpoints.kept(tmp_path)[0][1] == note.replace("6", "7")


def test_a_program_is_given_each_checkpoint(log, working, tmp_path):
    keeper = tmp_path / "keep"
    keeper.write_text(f"#!/bin/sh\ncat >> {tmp_path}/kept\n")
    keeper.chmod(0o755)
    working(checkpoints=f"run:{keeper}")
    assert job.drain() == 1
    assert Checkpoint.read((tmp_path / "kept").read_text()).size == 6
    working(checkpoints="run:/bin/false")
    assert job.drain() == 0


@pytest.mark.parametrize("place", ["run:/bin/false", "run:/nowhere/at-all"])
def test_a_program_that_fails_has_kept_nothing(place):
    with pytest.raises(audit.NotKept):
        checkpoints.send(place, 1, "x", datetime.now(UTC))


def test_the_clock_rings_when_there_is_something_to_sign(log, working, append, monkeypatch):
    rung = []
    monkeypatch.setattr(jobs, "ring", lambda name: rung.append(name) or True)
    working(checkpoint_minutes=10)
    monkeypatch.setattr(job, "_looked", [-job.LOOK_SECONDS])
    assert job.nudge()
    assert not job.nudge(), "it looks now and then"
    assert rung == [jobs.CHECKPOINT]
    job.drain()
    monkeypatch.setattr(job, "_looked", [-job.LOOK_SECONDS])
    append(1)
    assert not job.nudge(), "the last one is not ten minutes old"


@pytest.mark.parametrize(("age", "grown", "due"), [(9, True, False), (10, True, True), (99, False, False), (None, True, True), (None, False, False)])  # fmt: skip
def test_a_checkpoint_is_due_when_the_log_has_grown_and_time_has_passed(age, grown, due):
    now = datetime.now(UTC)
    at = None if age is None else now - timedelta(minutes=age)
    stands = audit.State(7 if grown else 6, 6, at, 0)
    assert stands.is_due(10, now) is due


@pytest.mark.parametrize("text_", ["folder", "run:keeper", "./x", "mailto:a@b.example"])
def test_a_second_place_is_named_from_the_root(text_):
    from webmail.errors import SettingError

    with pytest.raises(SettingError, match="MTUMAIL_CHECKPOINTS"):
        Settings.from_environment({"MTUMAIL_CHECKPOINTS": text_})


def test_the_folder_is_opened_so_that_nothing_is_written_over(tmp_path, monkeypatch):
    flags = []
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, how, *rest: flags.append(how) or opened(path, how, *rest))
    checkpoints.send(str(tmp_path), 1, "x", datetime.now(UTC))
    assert flags[0] & os.O_EXCL
    assert flags[0] & os.O_APPEND
