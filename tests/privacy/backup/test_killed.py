"""SIGKILL, for real: whatever an erasure, a backup or a restore was doing when its process was killed, the next one ends it."""

import random
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from webmail.db import new_id, transaction
from webmail.privacy.backup import making, records
from webmail.privacy.backup.storing import DUMP, MANIFEST
from webmail.privacy.erasure import asking
from workers import backing_up

pytestmark = pytest.mark.slow
KILLS = 50


@pytest.fixture
def kill(environment, database, means_of, tmp_path):
    """Have a piece of work done by a process, and kill that after some seconds; "killed", "ended" or "failed ..."."""
    ours = {
        "DATABASE_URL": database.urls["worker"],
        "MTUMAIL_BACKUP_TO": str(means_of.backup_to),
        "MTUMAIL_BACKUP_KEY_FILE": str(means_of.backup_key_file),
        "MTUMAIL_BACKUP_URL": means_of.backup_url,
        "KILLABLE_LETTERS": str(tmp_path / "letters"),
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, str(Path(__file__).with_name("killable.py"))]
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root,
        env=environment | ours | {"PYTHONPATH": str(root)},
    ) as parent:  # fmt: skip
        assert parent.stdout.readline() == "ready\n"

        def run(what, seconds, *arguments):
            parent.stdin.write(" ".join((what, f"{seconds:.4f}", *arguments)) + "\n")
            parent.stdin.flush()
            return parent.stdout.readline().strip()

        yield run
        parent.stdin.close()


def one(superuser, sql, **values):
    return superuser.execute(text(sql), values).scalar()


def test_P24_an_erasure_killed_fifty_times_ends_with_one_certificate(
    kill, make_person, deliver, letter, superuser, web_app, tmp_path
):
    chance, kills, people = random.Random(24), 0, 0
    while kills < KILLS:
        people += 1
        who = make_person(f"ann{people}")
        for _ in range(4):
            deliver(who, letter())
        with web_app.app_context(), transaction():
            erasure = asking.ask(who.account_id)
        superuser.exec_driver_sql("SET session_replication_role = replica")
        superuser.execute(text("UPDATE erasure SET asked_at = asked_at - interval '40 days', due_at = due_at - interval '40 days'"
                               " WHERE erasure_id = :e"), {"e": erasure})  # fmt: skip
        superuser.exec_driver_sql("SET session_replication_role = origin")
        states, said = [], ""
        while said != "ended":
            said = kill("erase", chance.uniform(0.02, 0.12))
            assert said in ("killed", "ended"), said
            kills += said == "killed"
            state = one(superuser, "SELECT state FROM erasure WHERE erasure_id = :e", e=erasure)
            keys = one(superuser, "SELECT count(*) FROM mailbox_key WHERE mailbox_id = :m", m=who.mailbox_id)
            assert keys == (state == "waiting")
            states.append(state)
        assert states[-1] == "done"
        assert one(superuser, "SELECT count(*) FROM message WHERE mailbox_id = :m", m=who.mailbox_id) == 0
        assert one(superuser, "SELECT name FROM account WHERE account_id = :a", a=who.account_id) == ""
        said_of_it = superuser.execute(
            text(
                "SELECT kind, count(*) FROM audit_event WHERE kind LIKE 'erasure.%' AND entry LIKE :e GROUP BY 1"
            ),
            {"e": f"%{erasure}%"},
        ).all()
        assert {tuple(row) for row in said_of_it} == {
            ("erasure.asked", 1), ("erasure.keys_destroyed", 1), ("erasure.finished", 1),
        }  # fmt: skip
        assert (
            one(
                superuser,
                "SELECT count(*) FROM errand WHERE account_id = :a AND kind = 'delete_user'",
                a=who.account_id,
            )
            == 1
        )
    letters = (tmp_path / "letters").read_bytes().splitlines()
    assert len(set(letters)) == people  # one that left twice is known as one by its Message-ID


def test_P26_a_backup_that_was_killed_is_none_and_the_next_one_is_made(
    kill, means_of, deliver, ann, letter, owner_app
):
    deliver(ann, letter())
    began = time.monotonic()
    assert kill("back_up", 60) == "ended"
    long, chance, killed = time.monotonic() - began, random.Random(26), 0
    place = backing_up.means(means_of).place
    for _ in range(10):
        said = kill("back_up", chance.uniform(0.05, long))
        killed += said == "killed"
        assert said in ("killed", "ended") or "already-running" in said
    assert killed >= 5
    # What counts is its manifest: each that is there is of a backup that is whole.
    means = backing_up.means(means_of)
    for name in place.names(MANIFEST):
        making.compare(means.place, means.key, making.read_manifest(means.place, means.key, name))
    _until(lambda: kill("back_up", 60) == "ended")
    with owner_app.app_context(), transaction():
        runs = records.past("backup")
    assert {run.outcome for run in runs} == {"done", "killed"}
    assert len(place.names(MANIFEST)) == 1  # of one day
    assert place.names(DUMP) == place.names(MANIFEST)
    assert not [path.name for path in means_of.backup_to.glob("*.part") if f".{DUMP}." in path.name]


def test_P26_a_restore_that_was_killed_lets_nobody_in_and_is_begun_again(
    kill, means_of, deliver, ann, letter, superuser, owner_app, database
):
    kept, gone = deliver(ann, letter()), deliver(ann, letter())
    with owner_app.app_context():
        manifest = backing_up.back_up(means_of)
        superuser.execute(text("DELETE FROM message WHERE message_id = :m"), {"m": gone})
        backing_up.write_journal(backing_up.means(means_of))
    admin = database.admin_url.replace("postgresql+psycopg", "postgresql")
    said, killed = "", 0
    with psycopg.connect(admin, autocommit=True) as server:
        name = f"mtumail_restored_{new_id():x}"
        server.execute(f"CREATE DATABASE {name} OWNER mtumail_owner".encode())
        try:
            url = admin.replace("/mtumail?", f"/{name}?")
            web = (
                database.urls["web"]
                .replace("postgresql+psycopg", "postgresql")
                .replace("/mtumail?", f"/{name}?")
            )
            while said != "ended":
                said = kill("restore", 0.04 + 0.05 * killed, manifest.name, url)
                assert said in ("killed", "ended"), said
                killed += said == "killed"
                if said == "killed" and _has_tables(url):
                    with pytest.raises(psycopg.OperationalError, match="CONNECT privilege"):
                        psycopg.connect(web)
                _until(lambda: _is_quiet(server, name))
            assert killed >= 3
            with psycopg.connect(web) as connection:
                connection.execute("SELECT set_config('mtumail.mailbox', %s, true)", [str(ann.mailbox_id)])
                assert connection.execute("SELECT message_id FROM message").fetchall() == [(kept,)]
            with psycopg.connect(url) as connection:
                told = connection.execute(
                    "SELECT count(*) FROM audit_event WHERE kind = 'backup.restored'"
                ).fetchone()
                assert told == (1,)
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _has_tables(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT to_regclass('public.message') IS NOT NULL").fetchone() == (True,)


def _is_quiet(server, name):
    """Whether what a killed process has left at the server has ended there."""
    return server.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name]).fetchone() == (
        0,
    )


def _until(holds, seconds=30):
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)
