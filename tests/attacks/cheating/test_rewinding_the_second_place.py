"""Whoever gets at the folder of checkpoints as the app does writes over one, or puts an older one in its place."""

import os
from datetime import UTC, datetime

import pytest

from webmail.audit import NotKept, kept, send

AT = datetime(2026, 11, 23, tzinfo=UTC)


def test_P16_what_is_there_is_never_written_over(log, signed, tmp_path):
    note = signed()
    send(str(tmp_path), 6, note, AT)
    send(str(tmp_path), 6, note, AT)
    with pytest.raises(NotKept, match="holds something else"):
        send(str(tmp_path), 6, note.replace("6", "5", 1), AT)
    assert [text for _name, text in kept(tmp_path)] == [note]
    [path] = tmp_path.rglob("*.txt")
    assert os.stat(path).st_mode & 0o222 == 0


def test_P16_an_older_one_in_its_place_is_another_history(log, signed, tmp_path, faults):
    note = signed()
    send(str(tmp_path), 6, note, AT)
    [path] = tmp_path.rglob("*.txt")
    path.chmod(0o644)
    lines = note.splitlines()
    path.write_text("\n".join([lines[0], "4", *lines[2:]]) + "\n")
    [fault] = faults(*[text for _name, text in kept(tmp_path)])
    assert "checkpoint 4" in fault
