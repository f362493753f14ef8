"""Whoever gets at the disks, or at a copy of the database's files, finds what was opened there in clear."""

import tempfile
from pathlib import Path

from sqlalchemy import text


def test_P14_P15_no_file_holds_what_was_opened(
    postgres, superuser, environment, monkeypatch, tmp_path, press, desk, sam, may_read, message, path, canary
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for part in ("headers", "text", "attachments", "layout", "file"):
        assert press(sam, path(may_read, message, part), number="2").status_code == 200
    desk.close(sam, may_read)
    assert list(tmp_path.rglob("*")) == []
    superuser.execute(text("CHECKPOINT"))
    looked = 0
    for folder in (postgres.data_dir, Path(environment["MTUMAIL_DATA_DIR"])):
        for file in folder.rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                looked += len(content)
                assert canary.encode() not in content, file
    assert looked > 1 << 20
