"""An object that is read from front to back, and gone on with where the connection broke off."""

from __future__ import annotations

from io import RawIOBase
from typing import Any

from webmail.privacy.backup.s3.client import TROUBLE, Away, Client, Refused, Stream


class Download(RawIOBase):
    """The bytes of an object as they are now: should another take its place while it is read, reading fails.

    Raises Refused (`status` 404 where there is none), Away.
    """

    def __init__(self, client: Client, key: str) -> None:
        self._client, self._key = client, key
        self._position, self._failed = 0, 0
        self._etag = ""
        self._stream: Stream | None = None
        self._stream = self._open()
        self._length = self._stream.length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some; 0 at the end alone."""
        view = memoryview(buffer)
        while self._position < self._length:
            try:
                if self._stream is None:
                    self._stream = self._open()
                count = self._stream.response.readinto(view)
            except TROUBLE as error:
                self._broken(error)
                continue
            if count:
                self._position, self._failed = self._position + count, 0
                return count
            self._broken(ConnectionError("cut short"))
        return 0

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        super().close()

    def _open(self) -> Stream:
        """From here on. What was told once, its ETag and length, must stay so."""
        headers = {"range": f"bytes={self._position}-", "if-match": self._etag} if self._position else {}
        while True:
            try:
                stream = self._client.stream(self._key, headers)
            except Refused as refused:
                if refused.status < 500 and refused.status not in (408, 429):
                    raise
                self._broken(refused)
                continue
            except TROUBLE as error:
                self._broken(error)
                continue
            if stream.length < 0 or bool(self._position) != (stream.response.status == 206):
                stream.close()
                raise Away(
                    "the storage of backups does not say how long a file is, or sends another part of it"
                )
            self._etag = self._etag or stream.headers.get("etag", "")
            return stream

    def _broken(self, error: Exception) -> None:
        """Count a failure, and wait. Progress begins the count anew, so that a long file on a bad line comes to its end."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._failed += 1
        if self._failed >= self._client.patience.tries:
            raise Away(f"the storage of backups breaks off ({type(error).__name__})") from None
        self._client.patience.wait(self._failed)
