"""Backups by the clock: one a day at its hour, the journal every few minutes, and what need not stay goes."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from flask import current_app

from webmail import config, logs
from webmail.config import Settings
from webmail.db import transaction
from webmail.errors import KeyTrouble, SettingError, Tampered
from webmail.keys import MasterKeys
from webmail.privacy.backup import journal, making, records, scratch
from webmail.privacy.backup.container import read_key
from webmail.privacy.backup.places import place_of
from webmail.privacy.backup.programs import BUSY, BackupFailed, alone
from webmail.privacy.backup.storing import NoPlace, Store
from webmail.settings import kept

log = logging.getLogger("workers.backing_up")
SYSTEM = "system:backup"
MONTH = timedelta(days=30)
TROUBLE = (BackupFailed, NoPlace, OSError, Tampered, KeyTrouble, SettingError, psycopg.Error)


@dataclass(frozen=True, slots=True)
class Means:
    """What backups are made with."""

    place: Store
    key: MasterKeys
    url: str


def is_set_up(settings: Settings) -> bool:
    """Whether this installation makes backups of its own."""
    return bool(
        (settings.backup_to or settings.backup_s3_bucket) and settings.backup_key_file and settings.backup_url
    )


def means(settings: Settings) -> Means:
    """The means that the settings name. Raises SettingError, NoPlace."""
    settings.require("backup_key_file", "backup_url")
    assert settings.backup_key_file is not None
    return Means(place_of(settings), read_key(settings.backup_key_file), settings.backup_url)


def code_of(error: Exception) -> str:
    """Why a run failed, as a code."""
    if isinstance(error, BackupFailed | NoPlace):
        return error.code
    codes = {
        Tampered: "not-as-written",
        KeyTrouble: "wrong-key",
        SettingError: "wrong-setting",
        psycopg.Error: "no-database",
    }
    return next((code for kind, code in codes.items() if isinstance(error, kind)), "no-room")


def back_up(settings: Settings, actor: str = SYSTEM) -> making.Manifest:
    """Make a backup, prove it, and remove what need not stay; written down, and in the log. Raises what went wrong."""
    name = making.new_name()
    with alone(settings.backup_url):
        with transaction():
            for killed in records.give_up("backup"):
                records.tell(killed, actor, "backup", records.KILLED)
            run_id = records.begin("backup", name)
        try:
            found = means(settings)
            _sweep(found.place, alone=True)
            write_journal(found)
            manifest = making.make(found.place, found.key, found.url, name)
        except TROUBLE as error:
            _failed(run_id, actor, error)
            raise
    with transaction():
        records.finish(run_id, actor, records.GOOD, manifest.bytes, manifest.count)
        daily, weekly = kept.whole("backups.daily"), kept.whole("backups.weekly")
    log.info("backup made", extra={"run": run_id, "bytes": manifest.bytes})
    _prune(found.place, actor, daily, weekly)
    return manifest


def _prune(place: Store, actor: str, daily: int, weekly: int) -> None:
    """Remove what need not stay. That it could not be removed is written down by itself: the backup is good all the same."""
    try:
        gone = records.prune(place, daily, weekly)
    except TROUBLE as error:
        with transaction():
            run_id = records.begin("pruning")
        _failed(run_id, actor, error)
        raise
    log.info("backups removed", extra={"count": len(gone)})
    _sweep(place)


def _sweep(place: Store, *, alone: bool = False) -> None:
    """Remove what killed runs have left; a storage that does not list it loses nothing but room."""
    try:
        place.sweep(alone=alone)
    except NoPlace as error:
        log.warning("leftovers not removed", extra={"code": error.code})


def write_journal(found: Means) -> None:
    """Write the next part of the journal."""
    with transaction():
        since = journal.position()
    reached = journal.write(found.place, found.key, found.url, since)
    with transaction():
        journal.moved(reached)


def _failed(run_id: int, actor: str, error: Exception) -> None:
    log.error("backup failed", extra={"run": run_id, "error": type(error).__name__, "code": code_of(error)})
    with transaction():
        records.finish(run_id, actor, code_of(error))


def daily() -> None:
    """What the schedule runs: a backup begins, where it is due. It may take hours, so that it has a process of its own."""
    settings: Settings = current_app.extensions["settings"]
    if not is_set_up(settings):
        return
    with transaction():
        due = records.is_due(records.last_good("backup"), kept.whole("backups.hour"), datetime.now(UTC))
    if due:
        subprocess.Popen(
            [sys.executable, "-m", "workers.backing_up"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )


def monthly() -> None:
    """What the schedule of drills runs: one begins, where the last good one is a month old. It has a process of its own, too."""
    settings: Settings = current_app.extensions["settings"]
    if gone := scratch.sweep(settings.data_dir):
        log.warning("drills were killed", extra={"count": gone})
    if not is_set_up(settings):
        return
    with transaction():
        last, made = records.last_good("drill"), records.last_good("backup")
    if made is not None and (last is None or datetime.now(UTC) - last > MONTH):
        subprocess.Popen(
            [sys.executable, "-m", "webmail.cli", "restore", "--drill"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )


def main() -> int:
    """The process of one backup; the exit code."""
    from workers.context import core

    logs.write_to(*config.log_file())
    logs.configure()
    with core().app_context():
        settings: Settings = current_app.extensions["settings"]
        try:
            back_up(settings)
        except TROUBLE as error:
            return 0 if code_of(error) == BUSY else 1
    return 0


def often() -> None:
    """What the schedule of the journal runs. A part that failed is written down. Raises what went wrong."""
    settings: Settings = current_app.extensions["settings"]
    if not is_set_up(settings):
        return
    try:
        write_journal(means(settings))
    except TROUBLE as error:
        with transaction():
            run_id = records.begin("journal")
        _failed(run_id, SYSTEM, error)
        raise


if __name__ == "__main__":
    sys.exit(main())
