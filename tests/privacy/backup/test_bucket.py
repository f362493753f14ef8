"""A storage that speaks S3: files appear whole or not at all, are read on where a line broke, and what is removed is gone."""

import logging
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from webmail import config
from webmail.db import new_id, transaction
from webmail.errors import SettingError
from webmail.privacy.backup import container, making, records, restoring
from webmail.privacy.backup.places import place_of
from webmail.privacy.backup.s3 import upload
from webmail.privacy.backup.s3.bucket import Bucket, KeepsVersions
from webmail.privacy.backup.s3.client import Answer, Away, Refused, Target
from webmail.privacy.backup.s3.upload import MOST_PARTS, PART, part_size
from webmail.privacy.backup.storing import DUMP, JOURNAL, KEYS, MANIFEST
from workers import backing_up

KEY = "mail/mtumail-20261120t030000000000z.dump.mtb"
NAME = "mtumail-20261120t030000000000z"
SMALL = 5 << 20


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(upload, "PART", SMALL)


def put(bucket, value, kind=DUMP, name=NAME):
    with bucket.writing(kind, name) as file:
        for start in range(0, len(value), 1 << 20):
            file.write(value[start : start + (1 << 20)])


def get(bucket, kind=DUMP, name=NAME):
    with bucket.open(kind, name) as file:
        return file.read()


LARGE = bytes(range(256)) * 4096 * 12 + b"the end"  # 12 MiB and a little


def test_a_short_file_goes_in_one_request(bucket, storage):
    put(bucket, b"short")
    assert storage.asked == [f"PUT /backups/{KEY}"]
    assert get(bucket) == b"short"


@pytest.mark.parametrize("size", [0, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL, len(LARGE)])
def test_what_is_written_is_read(bucket, storage, small_parts, size):
    put(bucket, LARGE[:size])
    assert get(bucket) == LARGE[:size]
    assert storage.uploads == {}


@pytest.mark.parametrize(
    ("request_", "how"),
    [
        ("POST .*uploads=", "500"),
        ("PUT .*partNumber=2", "503"),
        ("PUT .*partNumber=2", "drop"),
        ("PUT .*partNumber=1", "lost"),
        ("PUT .*partNumber=3", "slow"),
        ("POST .*uploadId", "error200"),
        ("POST .*uploadId", "lost"),
    ],
)
def test_what_fails_is_sent_again(bucket, storage, small_parts, request_, how):
    storage.plan(request_, how, 2 if how in ("500", "503", "drop") else 1)
    put(bucket, LARGE)
    assert get(bucket) == LARGE
    assert storage.faults[0].times == 0


def test_a_storage_that_stays_away_is_told_after_some_tries(bucket, storage, small_parts):
    storage.plan("PUT .*partNumber=2", "drop", 99)
    with pytest.raises(Away):
        put(bucket, LARGE)
    assert storage.uploads == {}
    assert not bucket.has(DUMP, NAME)
    assert len([one for one in storage.asked if "partNumber=2" in one]) == 4


def test_an_error_of_the_writer_leaves_nothing(bucket, storage, small_parts):
    with pytest.raises(ZeroDivisionError), bucket.writing(DUMP, NAME) as file:
        file.write(LARGE + b"%d" % (file.write(LARGE) // 0))
    assert storage.uploads == {} == storage.objects


def test_a_lost_answer_is_not_taken_for_the_new_file_of_keys(bucket, storage, small_parts):
    """The file before it may be as long."""
    put(bucket, LARGE, KEYS, "")
    storage.plan("POST .*uploadId", "lost")
    with pytest.raises(Refused, match="NoSuchUpload"):
        put(bucket, LARGE, KEYS, "")


@pytest.mark.parametrize("how", ["cut", "500", "drop", "slow"])
def test_reading_goes_on_where_the_line_broke(bucket, storage, small_parts, how):
    put(bucket, LARGE)
    storage.plan("GET .*dump", how, 3)
    assert get(bucket) == LARGE
    assert storage.faults[0].times == 0


def test_reading_that_makes_progress_is_not_given_up(bucket, storage, small_parts):
    """Each connection brings half of what is left: more failures than tries, one after the other."""
    put(bucket, LARGE)
    storage.plan("GET .*dump", "cut", 15)
    assert get(bucket) == LARGE


def test_a_file_that_changes_while_it_is_read_is_not_mixed(bucket, storage, small_parts):
    put(bucket, LARGE)
    storage.plan("GET .*dump", "cut")
    with bucket.open(DUMP, NAME) as file:
        file.read(10)
        storage.put(KEY, LARGE[::-1])
        with pytest.raises(Refused, match="412"):
            file.read()


def test_what_is_not_there_is_told(bucket, storage):
    assert not bucket.has(DUMP, NAME)
    with pytest.raises(Refused) as caught:
        bucket.open(DUMP, NAME)
    assert caught.value.status == 404
    bucket.remove(DUMP, NAME)


def test_a_storage_that_nobody_vouches_for_is_told_nothing(bucket_at, tls_storage, tmp_path, monkeypatch):
    bucket = bucket_at(tls_storage.url)
    with pytest.raises(Away, match="SSLCertVerificationError"):
        put(bucket, b"short")
    assert tls_storage.asked == []
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "vouched.pem"))
    put(bucket, b"short")
    assert get(bucket) == b"short"


def test_a_list_of_many_pages_is_read_whole(bucket, storage):
    names = sorted(
        making.new_name(datetime(2026, 11, 20, tzinfo=UTC) - timedelta(days=one)) for one in range(7)
    )
    for name in names:
        put(bucket, b"x", DUMP, name)
        put(bucket, b"x", JOURNAL, name)
    put(bucket, b"x", KEYS, "")
    storage.put("mail/notes.txt", b"another's")
    storage.put(f"elsewhere/{NAME}.dump.mtb", b"another's")
    assert bucket.names(DUMP) == bucket.names(JOURNAL) == names
    assert bucket.names(MANIFEST) == []
    assert len(storage.asked) > 20


def test_what_a_killed_run_has_begun_is_forgotten(bucket, storage):
    now, old = datetime.now(UTC).isoformat(), (datetime.now(UTC) - timedelta(days=2)).isoformat()
    other = NAME.replace("2026", "2025")
    for number, (key, at) in enumerate([
        (KEY, now), (f"mail/{other}.journal.mtb", now), (f"mail/{other}.journal.mtb", old),
        ("elsewhere/film", old), ("mail/film", old),
    ]):  # fmt: skip
        storage.uploads[f"u{number}"] = (key, at, {})
    bucket.sweep()
    assert set(storage.uploads) == {"u0", "u1", "u3", "u4"}
    bucket.sweep(alone=True)
    assert set(storage.uploads) == {"u1", "u3", "u4"}


def test_P26_a_bucket_that_keeps_versions_keeps_none_of_the_keys(bucket, storage):
    storage.keeps_versions = True
    for value in (b"one", b"two", b"three"):
        put(bucket, value, KEYS, "")
        assert [one.body for one in storage.objects["mail/keys.mtb"]] == [value]


def test_P26_a_bucket_that_kept_versions_once_keeps_none_of_the_keys(bucket, storage):
    storage.keeps_versions = True
    put(bucket, b"one", KEYS, "")
    storage.keeps_versions, storage.has_kept = False, True  # suspended: what there is stays beside what comes
    put(bucket, b"two", KEYS, "")
    assert [one.body for one in storage.objects["mail/keys.mtb"]] == [b"two"]


def test_P26_what_is_removed_from_a_bucket_that_keeps_versions_is_gone(bucket, storage):
    storage.keeps_versions = True
    put(bucket, b"a dump")
    storage.put(KEY, b"another version")
    bucket.remove(DUMP, NAME)
    assert storage.objects[KEY] == []


def test_P26_a_bucket_that_lets_nothing_go_is_told(bucket, storage):
    storage.keeps_versions = True
    put(bucket, b"one", KEYS, "")
    storage.plan("removing a version", "403", 9)
    with pytest.raises(KeepsVersions):
        put(bucket, b"two", KEYS, "")


def test_a_wrong_secret_is_told_without_it(bucket, storage, caplog):
    wrong = Bucket(
        type(bucket.client)(
            bucket.client.target, replace(bucket.client._who, secret="wrong"), bucket.client.patience
        )
    )
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused) as caught:
        wrong.names(DUMP)
    assert (caught.value.status, caught.value.code) == (403, "bucket-refused")
    assert "wrong" not in str(caught.value) + caplog.text
    assert len(storage.asked) == 1
    storage.refusals.clear()


@pytest.mark.parametrize("answer", [b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"no xml", b""])
def test_what_is_not_s3_is_told(bucket, monkeypatch, answer):
    monkeypatch.setattr(bucket.client, "ask", lambda *_, **__: Answer({}, answer))
    with pytest.raises(Away, match="not S3"):
        bucket.names(DUMP)


def test_a_bucket_stands_in_the_path_or_before_the_host():
    path = Target("https://s3.example:9000", "backups", "mail/")
    assert (path.host, path.path("mail/a"), path.path("")) == (
        "s3.example:9000",
        "/backups/mail/a",
        "/backups/",
    )
    host = replace(path, is_path_style=False)
    assert (host.host, host.path("mail/a"), host.path("")) == ("backups.s3.example:9000", "/mail/a", "/")


def test_parts_are_of_one_size_that_holds_the_largest_file():
    assert part_size(0) == part_size(10**10) == PART
    for size in (10**11, 10**12, 3 * 10**12):
        assert part_size(size) * MOST_PARTS >= size * 1.5
        assert part_size(size) % (1 << 20) == 0


def test_memory_holds_one_part(bucket, storage, monkeypatch):
    """What is sent is forgotten: the stand-in keeps it, so that its copy is taken off."""
    size, block = upload.PART, b"x" * (1 << 20)
    sent = []
    monkeypatch.setattr(
        bucket.client,
        "ask",
        lambda method, key="", query=(), body=b"", headers=None: sent.append(len(body)) or _answer(),
    )
    tracemalloc.start()
    with bucket.writing(DUMP, NAME) as file:
        for _ in range(200):
            file.write(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(sent) > 200 << 20
    assert peak < 3 * size


def _answer():
    return Answer({"etag": "e"}, b"<R><UploadId>u</UploadId></R>")


# --- the whole way --------------------------------------------------------------------------------------------------------


@pytest.fixture
def scratch(database):
    """An empty database on the same server."""
    name = f"mtumail_restored_{new_id():x}"
    admin = database.admin_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER mtumail_owner".encode())
        yield admin.replace("/mtumail?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_P26_a_backup_in_a_bucket_is_made_proved_pruned_and_restored(
    means_in_bucket, storage, deliver, ann, letter, owner_app, superuser, scratch, monkeypatch
):
    storage.page = 100
    deliver(ann, letter())
    with owner_app.app_context():
        monkeypatch.setattr(making, "new_name", lambda now=None: NAME.replace("2026", "2025"))
        old = backing_up.back_up(means_in_bucket)
        monkeypatch.undo()
        monkeypatch.setattr(backing_up.kept, "whole", lambda name: 1)
        manifest = backing_up.back_up(means_in_bucket)
        superuser.exec_driver_sql("DELETE FROM message")
        backing_up.write_journal(backing_up.means(means_in_bucket))
        with transaction():
            assert [run.outcome for run in records.past("backup")] == ["done", "done"]
    place, key = place_of(means_in_bucket), container.read_key(means_in_bucket.backup_key_file)
    assert place.names(MANIFEST) == [manifest.name]
    assert old.name != manifest.name
    assert storage.uploads == {}
    done = restoring.restore(place, key, manifest.name, scratch, "cli:test")
    assert (done.deleted, done.mailboxes) == (1, 1)
    for versions in storage.objects.values():
        assert means_in_bucket.backup_s3_secret.encode() not in versions[-1].body


def test_a_storage_that_refuses_is_written_down(means_in_bucket, empty, owner_app, storage):
    gone = replace(means_in_bucket, backup_s3_key_id="somebody-else")
    with owner_app.app_context():
        with pytest.raises(Refused):
            backing_up.back_up(gone)
        with transaction():
            assert [run.outcome for run in records.past("backup")] == ["bucket-refused"]
    storage.refusals.clear()


def test_P26_older_backups_that_cannot_be_removed_are_loud(means_in_bucket, empty, owner_app, storage):
    """The new one is good all the same, and is not made again every half hour."""
    storage.page, storage.keeps_versions = 100, True
    storage.plan("removing a version of .*manifest", "403", 99)
    with owner_app.app_context():
        place, key = place_of(means_in_bucket), container.read_key(means_in_bucket.backup_key_file)
        for number in range(60):
            name = making.new_name(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number))
            with place.writing(MANIFEST, name) as file:
                file.write(container.seal_bytes(b"{}", key, MANIFEST, name))
        with pytest.raises(KeepsVersions):
            backing_up.back_up(means_in_bucket)
        with transaction():
            assert [run.outcome for run in records.past("backup")] == ["done"]
            assert [run.outcome for run in records.past("pruning")] == ["bucket-keeps"]


def test_a_folder_and_a_bucket_at_once_are_refused():
    with pytest.raises(SettingError, match="keep one"):
        config.Settings.from_environment({"MTUMAIL_BACKUP_TO": "/a", "MTUMAIL_BACKUP_S3_BUCKET": "abc"})
    with pytest.raises(SettingError, match="MTUMAIL_BACKUP_S3_ENDPOINT"):
        place_of(config.Settings.from_environment({"MTUMAIL_BACKUP_S3_BUCKET": "abc"}))
