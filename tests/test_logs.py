"""Logs: lines of JSON without anybody's words, in files that several processes write and that make place for the next."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from webmail import config, logs
from webmail.errors import SettingError


@pytest.fixture
def log(tmp_path):
    """A logger of ours that writes to a file of little room; and the file."""
    path = tmp_path / "web.log"
    handler = logs.File(path, 2000)
    handler.setFormatter(logs.JsonLines())
    logger = logging.Logger("webmail.test")
    logger.addHandler(handler)
    return logger, path


def lines(*paths):
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def all_files(path):
    return sorted(
        one for one in path.parent.iterdir() if one.name.startswith(path.name) and one.suffix != ".lock"
    )


def test_a_line_has_what_it_was_given_and_of_an_error_its_type_alone(log):
    logger, path = log
    try:
        raise ValueError("ann@example.org")
    except ValueError:
        logger.exception("failed", extra={"mailbox": 7})
    [line] = lines(path)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "error",
        "event": "failed",
        "logger": "webmail.test",
        "mailbox": 7,
        "error": "ValueError",
    }
    assert path.stat().st_mode & 0o077 == 0


def test_a_library_that_quotes_a_stranger_is_cut_down(log):
    logger, path = log
    record = logging.LogRecord(
        "dns.query", logging.INFO, "query.py", 12, "asked for %s", ("ann@example.org",), None
    )
    logger.handle(record)
    [line] = lines(path)
    assert (line["event"], line["place"]) == ("library", "query:12")
    assert "ann" not in path.read_text()


def test_a_full_file_makes_place_and_nine_older_ones_stay(log):
    logger, path = log
    for number in range(2000):
        logger.info("event", extra={"number": number})
    files = all_files(path)
    assert [one.name for one in files] == ["web.log", *(f"web.log.{number}" for number in range(1, 10))]
    assert all(one.stat().st_size < 2200 for one in files)
    numbers = [line["number"] for line in lines(*reversed(files))]
    assert numbers == list(range(numbers[0], 2000))
    assert all(one.stat().st_mode & 0o077 == 0 for one in files)


def test_what_logrotate_moves_away_is_opened_anew(log):
    logger, path = log
    logger.info("before")
    path.rename(path.with_name("web.log.old"))
    logger.info("after")
    assert [line["event"] for line in lines(path)] == ["after"]
    path.unlink()
    logger.info("again")
    assert [line["event"] for line in lines(path)] == ["again"]


def test_several_processes_lose_and_mix_nothing(tmp_path):
    path = tmp_path / "worker.log"
    code = (
        "import logging, sys; from pathlib import Path; from webmail import logs\n"
        "logs.write_to(Path(sys.argv[1]), 40_000); logs.configure()\n"
        "for number in range(400): logging.getLogger('workers').info('event', extra={'who': sys.argv[2], 'number': number})"
    )
    root = Path(__file__).parent.parent
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(one)], cwd=root) for one in range(4)
    ]
    assert [child.wait(60) for child in children] == [0] * 4
    seen = lines(*all_files(path))
    assert len(all_files(path)) > 2
    for one in range(4):
        assert sorted(line["number"] for line in seen if line["who"] == str(one)) == list(range(400))


def test_a_full_disk_stops_the_log_and_nothing_else(log, monkeypatch):
    logger, path = log

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        logger.info("lost")
    logger.info("kept")
    assert [line["event"] for line in lines(path)] == ["kept"]


def test_the_file_is_named_in_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("MTUMAIL_LOG_FILE", raising=False)
    assert config.log_file() == (None, 50_000_000)
    monkeypatch.setenv("MTUMAIL_LOG_FILE", str(tmp_path / "web.log"))
    monkeypatch.setenv("MTUMAIL_LOG_MEGABYTES", "0")
    monkeypatch.setenv("MTUMAIL_ORIGIN", "nonsense of another setting")
    assert config.log_file() == (tmp_path / "web.log", 0)
    monkeypatch.setenv("MTUMAIL_LOG_MEGABYTES", "many")
    with pytest.raises(SettingError, match="MTUMAIL_LOG_MEGABYTES"):
        config.log_file()


def test_who_is_told_no_file_logs_to_standard_error():
    logs.write_to(None)
    handler = logs.handler()
    assert isinstance(handler, logging.StreamHandler)
    assert handler.stream is sys.stderr


def test_gunicorn_takes_nothing_for_a_setting_that_is_none():
    """What is called as one of its settings is one: an import may be by accident."""
    from gunicorn.config import KNOWN_SETTINGS

    from webmail.web import serving

    assert {one.name for one in KNOWN_SETTINGS} & set(vars(serving)) == {
        "accesslog", "logconfig_dict", "when_ready", "post_fork",
    }  # fmt: skip
