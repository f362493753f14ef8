"""Backups in a bucket. An object appears there whole, or not at all; and what is removed is removed with every version of it."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import BinaryIO, cast
from xml.etree import ElementTree

from webmail.privacy.backup.s3.client import Away, Client, Refused
from webmail.privacy.backup.s3.download import Download
from webmail.privacy.backup.s3.signing import Pairs
from webmail.privacy.backup.s3.upload import Upload, part_size, text_of
from webmail.privacy.backup.storing import ABANDONED, DUMP, KEYS, NoPlace, file_name, kind_and_name

_BUFFER = 1 << 20


class KeepsVersions(NoPlace):
    """The bucket keeps what is replaced or removed, and does not let us change that: nothing would ever be gone."""

    code = "bucket-keeps"


class Bucket:
    """What `storing.Folder` is, in a storage that speaks S3."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @contextmanager
    def writing(self, kind: str, name: str = "", expected: int = 0) -> Iterator[BinaryIO]:
        """A file to write, of about `expected` bytes; it takes its place at the end. An error leaves nothing.

        Raises KeepsVersions where the one that it replaces stays readable.
        """
        key = self._key(kind, name)
        upload = Upload(self.client, key, part_size(expected), replaces=kind == KEYS)
        try:
            yield cast("BinaryIO", upload)
            version = upload.finish()
        except BaseException:
            upload.abandon()
            raise
        if kind == KEYS and version:
            self._remove_versions(key, but=version)

    def open(self, kind: str, name: str = "") -> BinaryIO:
        """A file to read. Raises NoPlace where there is none."""
        return cast("BinaryIO", io.BufferedReader(Download(self.client, self._key(kind, name)), _BUFFER))

    def has(self, kind: str, name: str = "") -> bool:
        """Whether there is such a file."""
        try:
            self.client.ask("HEAD", self._key(kind, name))
        except Refused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    def names(self, kind: str) -> list[str]:
        """The names of the files of one kind, oldest first."""
        prefix = self.client.target.prefix
        query = [("list-type", "2"), ("prefix", prefix)]
        found = []
        for page in self._pages(query, {"continuation-token": "NextContinuationToken"}):
            for item in page.iterfind("{*}Contents"):
                key = text_of(item, "Key")
                match = kind_and_name(key.removeprefix(prefix)) if key.startswith(prefix) else None
                if match and match[0] == kind:
                    found.append(match[1])
        return sorted(found)

    def remove(self, kind: str, name: str) -> None:
        """Remove a file with all of its versions; none is as good."""
        key = self._key(kind, name)
        try:
            answer = self.client.ask("DELETE", key)
        except Refused as refused:
            if refused.status == 404:
                return
            raise
        if answer.headers.get("x-amz-delete-marker") == "true" or "x-amz-version-id" in answer.headers:
            self._remove_versions(key)

    def sweep(self, *, alone: bool = False) -> None:
        """Have the storage forget what a run that was killed has begun: dumps where no other run can be (`alone`), else what is a
        day old."""
        prefix, now = self.client.target.prefix, datetime.now(UTC)
        marks = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
        for page in self._pages([("uploads", ""), ("prefix", prefix)], marks):
            for item in page.iterfind("{*}Upload"):
                key, begun = text_of(item, "Key"), text_of(item, "Initiated")
                match = kind_and_name(key.removeprefix(prefix)) if key.startswith(prefix) else None
                if match and ((alone and match[0] == DUMP) or _is_older(begun, now - ABANDONED)):
                    self._forget(key, text_of(item, "UploadId"))

    def probe(self) -> bool:
        """Write an object, read it back, list it and remove it; whether the bucket keeps versions. Raises NoPlace."""
        key, value = f"{self.client.target.prefix}doctor-{secrets.token_hex(8)}", secrets.token_bytes(32)
        version = self.client.ask("PUT", key, body=value).headers.get("x-amz-version-id", "")
        try:
            listed = self.client.ask("GET", query=[("list-type", "2"), ("prefix", key)]).xml()
            if self.client.ask("GET", key).body != value or listed.find("{*}Contents") is None:
                raise Away("the storage of backups does not give back what it was given")
        finally:
            self.client.ask("DELETE", key)
        if version in ("", "null"):
            return False
        self._remove_versions(key)
        return True

    def _forget(self, key: str, upload_id: str) -> None:
        try:
            self.client.ask("DELETE", key, [("uploadId", upload_id)])
        except Refused as refused:
            if refused.status != 404:
                raise

    def _remove_versions(self, key: str, but: str = "") -> None:
        marks = {"key-marker": "NextKeyMarker", "version-id-marker": "NextVersionIdMarker"}
        try:
            for page in self._pages([("versions", ""), ("prefix", key)], marks):
                for item in (*page.iterfind("{*}Version"), *page.iterfind("{*}DeleteMarker")):
                    version = text_of(item, "VersionId")
                    if text_of(item, "Key") == key and version != but:
                        self.client.ask("DELETE", key, [("versionId", version)])
        except Refused as refused:
            raise KeepsVersions(
                f"the bucket keeps versions, and we may not remove them ({refused.status})"
            ) from None

    def _pages(self, query: Pairs, marks: dict[str, str]) -> Iterator[ElementTree.Element]:
        """The pages of a listing. `marks`: what asks for the next page, and where the one before tells it."""
        more: list[tuple[str, str]] = []
        while True:
            page = self.client.ask("GET", query=[*query, *more]).xml()
            yield page
            if text_of(page, "IsTruncated") != "true":
                return
            following = [(name, text_of(page, told)) for name, told in marks.items()]
            if not following[0][1] or following == more:
                raise NoPlace("the storage of backups lists the same page again")
            more = [(name, value) for name, value in following if value]

    def _key(self, kind: str, name: str) -> str:
        return self.client.target.prefix + file_name(kind, name)


def _is_older(stamp: str, than: datetime) -> bool:
    try:
        begun = datetime.fromisoformat(stamp)
    except ValueError:
        return False
    return begun.replace(tzinfo=begun.tzinfo or UTC) < than
