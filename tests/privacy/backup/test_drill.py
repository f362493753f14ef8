"""A drill proves that a restore would work: it brings none of a thousand deleted messages back, and is written down."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from webmail.cli import cli
from webmail.db import transaction
from webmail.keys import create_master_key
from webmail.privacy.backup import records, scratch


@pytest.fixture
def run(tmp_path, environment, database, monkeypatch, ann):
    create_master_key(tmp_path / "backup.key")
    (tmp_path / "backups").mkdir()
    (tmp_path / "data").mkdir(mode=0o755)
    ours = {
        "DATABASE_URL": database.urls["owner"],
        "MTUMAIL_BACKUP_TO": str(tmp_path / "backups"),
        "MTUMAIL_BACKUP_KEY_FILE": str(tmp_path / "backup.key"),
        "MTUMAIL_BACKUP_URL": database.urls["backup"],
        "MTUMAIL_DATA_DIR": str(tmp_path / "data"),
    }
    for name, value in (environment | ours).items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(cli, list(arguments))


def copies(superuser, message_id, count):
    """As many messages more, which are what this one is."""
    columns = superuser.execute(
        text(
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = 'message'::regclass AND attnum > 0"
            " AND NOT attisdropped AND attgenerated = '' AND attidentity = '' AND attname <> 'message_id'"
        )
    ).scalar_one()
    superuser.execute(
        text(
            f"INSERT INTO message (message_id, {columns}) SELECT g, {columns} FROM message, generate_series(1, :n) g WHERE message_id = :m"
        ),
        {"n": count, "m": message_id},
    )


def test_P26_a_drill_after_a_thousand_deletions_brings_none_back(
    run, deliver, ann, letter, superuser, owner_app, tmp_path
):
    kept, copied = deliver(ann, letter()), deliver(ann, letter())
    copies(superuser, copied, 1000)
    made = run("backup", "now", "--reason", "test")
    assert made.exit_code == 0, made.output
    superuser.execute(text("DELETE FROM message WHERE message_id BETWEEN 1 AND 1000"))
    again = run("backup", "list")
    assert again.exit_code == 0
    with owner_app.app_context():
        from webmail import config
        from workers import backing_up

        backing_up.write_journal(backing_up.means(config.read()))
    done = run("restore", "--drill")
    assert done.exit_code == 0, done.output
    assert "2 messages of 1 mailboxes opened" in done.output
    with owner_app.app_context(), transaction():
        (drill,) = records.past("drill")
    assert (drill.outcome, drill.rows > 1000) == ("done", True)
    assert list((tmp_path / "data").iterdir()) == []
    assert kept != copied


def test_a_drill_of_a_damaged_backup_fails_loudly(run, ann, owner_app, tmp_path):
    assert run("backup", "now").exit_code == 0
    (path,) = Path(tmp_path / "backups").glob("*.dump.mtb")
    path.write_bytes(path.read_bytes()[:-1])
    assert run("restore", "--drill").exit_code != 0
    with owner_app.app_context(), transaction():
        (drill,) = records.past("drill")
    assert drill.outcome in ("not-as-written", "not-readable")


def test_restore_wants_to_know_where(run):
    assert run("restore").exit_code == 2
    assert run("restore", "--drill").exit_code == 1


def test_P26_what_a_killed_drill_has_left_in_clear_is_removed_and_a_living_one_is_left_alone(tmp_path):
    with scratch.folder(tmp_path) as mine:
        (mine / "names").write_text("Ann")
        child = os.fork()
        if not child:
            with scratch.folder(tmp_path) as its:
                (its / "names").write_text("Ben")
                os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        assert len(list(tmp_path.iterdir())) == 2
        assert scratch.sweep(tmp_path) == 1
        assert [path.name for path in tmp_path.iterdir()] == [mine.name]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "drill-made-just-now").mkdir()
    assert scratch.sweep(tmp_path) == 0
