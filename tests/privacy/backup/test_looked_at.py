"""The doctor looks at where backups go: each thing is broken once, and told with the way to mend it."""

from dataclasses import replace

import pytest

from webmail.checkup import backups
from webmail.config import Settings


def only(found):
    [one] = list(found)
    return one.state, one.words, one.mend


def test_who_makes_no_backups_is_not_asked():
    assert list(backups.folder(Settings())) == list(backups.storage(Settings())) == []


def test_a_folder_and_its_key(means_of, tmp_path):
    told = {one.what: one for one in backups.folder(means_of)}
    assert told["backup key"].state == "ok"
    assert told["backup folder"].state in ("ok", "warn")
    here = replace(means_of, data_dir=tmp_path)
    assert {one.what: one.state for one in backups.folder(here)}["backup folder"] == "warn"
    gone = replace(means_of, backup_to=tmp_path / "gone")
    assert {one.what: one.state for one in backups.folder(gone)}["backup folder"] == "bad"
    assert only(backups.folder(replace(means_of, backup_key_file=None)))[0] == "bad"
    assert "MTUMAIL_BACKUP_URL" in only(backups.folder(replace(means_of, backup_url="")))[1]
    means_of.backup_key_file.chmod(0o644)
    assert {one.what: one.state for one in backups.folder(means_of)}["backup key"] == "bad"
    means_of.backup_key_file.chmod(0o600)
    beside = replace(means_of, backup_to=tmp_path)
    assert {one.what: one.state for one in backups.folder(beside)}["backup key"] == "bad"


def test_a_storage_that_works_is_left_as_it_was(means_in_bucket, storage):
    assert only(backups.storage(means_in_bucket))[0] == "ok"
    assert storage.objects == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backup_s3_secret": "wrong"}, "403 SignatureDoesNotMatch"),
        ({"backup_s3_region": "elsewhere"}, "403"),
        ({"backup_s3_bucket": "another"}, "404 NoSuchBucket"),
        ({"backup_s3_secret": ""}, "MTUMAIL_BACKUP_S3_SECRET"),
        ({"backup_s3_endpoint": "http://127.0.0.1:9"}, "is away"),
    ],
)
def test_what_is_wrong_with_a_storage_is_told_without_its_secret(means_in_bucket, storage, change, words):
    state, told, mend = only(backups.storage(replace(means_in_bucket, **change)))
    assert (state, words in told) == ("bad", True), told
    assert means_in_bucket.backup_s3_secret not in told + mend
    storage.refusals.clear()


def test_versions_are_told(means_in_bucket, storage):
    storage.keeps_versions, storage.page = True, 100
    assert only(backups.storage(means_in_bucket))[0] == "warn"
    assert [versions for versions in storage.objects.values() if versions] == []
    storage.plan("removing a version", "403", 9)
    assert only(backups.storage(means_in_bucket))[0] == "bad"


def test_what_goes_without_tls_over_a_network_is_told(means_in_bucket):
    far = replace(means_in_bucket, backup_s3_endpoint="http://storage.invalid")
    assert [one.state for one in backups.storage(far)] == ["warn", "bad"]
