"""A file that is sent while it is written: in parts, of which one at a time is in memory."""

from __future__ import annotations

from contextlib import suppress
from io import RawIOBase
from typing import Any
from xml.etree import ElementTree

from webmail.privacy.backup.s3.client import Away, Client, Refused
from webmail.privacy.backup.storing import NoPlace

PART = 16 << 20
"""Bytes of a part; the smallest that S3 takes is 5 MiB. All of one file are of one size, as some storages want it."""
MOST_PARTS = 10_000


def part_size(expected: int) -> int:
    """Bytes of a part for a file of so many bytes, or half as many again."""
    megabytes = -(-(expected + expected // 2) // (MOST_PARTS << 20))
    return max(PART, megabytes << 20)


class Upload(RawIOBase):
    """Takes what is written. It is an object of the bucket once `finish` has returned, and nothing at all after `abandon`.

    Short files go in one request. Raises Refused, Away.
    """

    def __init__(self, client: Client, key: str, size: int, *, replaces: bool) -> None:
        self._client, self._key, self._size, self._replaces = client, key, size, replaces
        self._waiting = bytearray()
        self._upload_id = ""
        self._etags: list[str] = []
        self._sent = 0

    def writable(self) -> bool:
        return True

    def write(self, value: Any) -> int:
        """Take more; a part that is full is sent."""
        self._waiting += value
        while len(self._waiting) >= self._size:
            part = self._waiting[: self._size]
            del self._waiting[: self._size]
            self._send(part)
        return len(value)

    def finish(self) -> str:
        """Send the rest; the version's name where the bucket keeps versions, else ""."""
        if not self._upload_id:
            answer = self._client.ask("PUT", self._key, body=self._waiting)
            return answer.headers.get("x-amz-version-id", "")
        if self._waiting:
            self._send(self._waiting)
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{_escaped(etag)}</ETag></Part>"
            for number, etag in enumerate(self._etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        try:
            answer = self._client.ask("POST", self._key, [("uploadId", self._upload_id)], body)
        except Refused as refused:
            if refused.told != "NoSuchUpload" or not self._is_whole():
                raise
            return ""
        return answer.headers.get("x-amz-version-id", "")

    def abandon(self) -> None:
        """Have the storage forget what it was sent. What it does not hear is swept later."""
        self._waiting.clear()
        if self._upload_id:
            with suppress(NoPlace):
                self._client.ask("DELETE", self._key, [("uploadId", self._upload_id)])

    def _send(self, part: bytearray) -> None:
        if not self._upload_id:
            found = self._client.ask("POST", self._key, [("uploads", "")]).xml()
            self._upload_id = text_of(found, "UploadId")
            if not self._upload_id:
                raise Away("the storage of backups answers with what is not S3")
        if len(self._etags) == MOST_PARTS:
            raise Away("a file is larger than the storage of backups takes")
        query = [("partNumber", str(len(self._etags) + 1)), ("uploadId", self._upload_id)]
        answer = self._client.ask("PUT", self._key, query, part)
        self._etags.append(answer.headers.get("etag", ""))
        self._sent += len(part)

    def _is_whole(self) -> bool:
        """Whether it is there, though the answer to that was lost. One that replaces another could be the older one."""
        if self._replaces:
            return False
        answer = self._client.ask("HEAD", self._key)
        return answer.headers.get("content-length") == str(self._sent)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def text_of(element: ElementTree.Element, name: str) -> str:
    """The text of a child, in whatever namespace; "" where there is none."""
    found = element.find(f"{{*}}{name}")
    return (found.text or "") if found is not None else ""
