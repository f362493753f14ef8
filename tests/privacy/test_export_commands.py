"""`mtumail export` and `mtumail import`: out into a folder and back in, with who did it and why in the log."""

import os
import subprocess
import sys

import pytest
from sqlalchemy import text


@pytest.fixture
def mtumail(environment, database):
    """Run the command as a program of its own; exit code and both outputs."""

    def run(*arguments):
        told = environment | {"PATH": os.environ["PATH"], "DATABASE_URL": database.urls["owner"]}
        done = subprocess.run(
            [sys.executable, "-m", "webmail.cli", *map(str, arguments)],
            capture_output=True, text=True, env=told, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def test_P23_a_mailbox_goes_out_and_comes_in_again(mtumail, deliver, ann, ben, letter, tmp_path, superuser):
    for number in range(3):
        deliver(ann, letter(f"m{number}"))
    out = tmp_path / "out"
    code, told, errors = mtumail("export", ann.address, "--to", out, "--reason", "case 5")
    assert code == 0, errors
    [box] = out.glob("inbox-*.mbox")
    assert f"{box.name} {box.stat().st_size}\n" in told
    assert (out / "records.json").exists()
    assert out.stat().st_mode & 0o077 == 0
    assert superuser.execute(text("SELECT count(*) FROM export")).scalar() == 0, "nothing of it stays behind"
    (tmp_path / "other.txt").write_bytes(b"\x89no mail")
    files = [box, out / "records.json", out / "readme.txt", tmp_path / "other.txt"]
    code, told, errors = mtumail("import", ben.address, *files, "--reason", "case 5")
    assert code == 1, errors
    assert told.startswith(f"{box.name}: 3 taken, 0 there already"), errors
    assert "records.json: 1 names, 1 settings" in told
    assert "readme.txt: 1 nothing" in told
    assert "other.txt: 0 taken, 0 there already, 0 unreadable, 0 too large, 0 no mail: no-mail" in told
    assert mtumail("import", ben.address, box)[1].startswith(f"{box.name}: 0 taken, 3 there already")
    kinds = superuser.execute(text("SELECT kind FROM audit_event WHERE actor LIKE 'cli:%'")).scalars().all()
    assert {"cli.used", "export.asked", "export.dropped", "import.asked"} <= set(kinds)


def test_what_cannot_be_done_is_one_line(mtumail, ann, tmp_path):
    (tmp_path / "records.json").write_text("mine")
    code, _told, errors = mtumail("export", ann.address, "--to", tmp_path)
    assert (code, errors.count("\n")) == (1, 1)
    assert "is there already" in errors
    assert (tmp_path / "records.json").read_text() == "mine"
    assert mtumail("export", "nobody@mtumail.test", "--to", tmp_path)[0] == 1
    assert mtumail("export", "not an address", "--to", tmp_path)[0] == 2


def test_the_worker_by_itself_knows_every_table_that_its_rows_refer_to(environment):
    """In the tests' own process somebody has always imported it already."""
    look = (
        "import workers.__main__; from webmail.db import Base;"
        " [key.column for table in Base.metadata.tables.values() for key in table.foreign_keys]"
    )
    told = environment | {"PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, env=told, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
