"""Requests to a storage that speaks S3: signed, bounded in time and size, and tried again where that can help."""

from __future__ import annotations

import http.client
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlsplit
from xml.etree import ElementTree

from webmail.privacy.backup.s3.signing import (
    NOTHING,
    Credentials,
    Pairs,
    authorization,
    date_text,
    encoded,
    query_text,
)
from webmail.privacy.backup.storing import NoPlace

LARGEST_ANSWER = 16 << 20
_SLICE = 256 << 10
_ANSWER_SECONDS = 300.0
"""For a whole answer that is not streamed: a storage that drips bytes is as good as none."""
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_AGAIN_CODES = frozenset({"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable"})
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")


class Refused(NoPlace):
    """The storage answered, and not with what was asked for. `status` is HTTP's, `told` the storage's own code."""

    def __init__(self, status: int, told: str) -> None:
        self.status, self.told = status, told
        super().__init__(f"the storage of backups answered {status} {told}".rstrip())
        self.code = {403: "bucket-refused", 404: "bucket-lacks"}.get(status, "bucket-failed")


class Away(NoPlace):
    """Nobody answers, not in time, or not to the end; also after several tries."""

    code = "bucket-away"


@dataclass(frozen=True, slots=True)
class Target:
    """A bucket: where it is, and how it is addressed. `prefix` is "" or ends with a slash."""

    endpoint: str
    bucket: str
    prefix: str = ""
    is_path_style: bool = True

    @property
    def host(self) -> str:
        """Host and port as they stand in `Host`."""
        netloc = urlsplit(self.endpoint).netloc
        return netloc if self.is_path_style else f"{self.bucket}.{netloc}"

    def path(self, key: str) -> str:
        """The path of an object, or with "" of the bucket."""
        return f"/{self.bucket}/{key}" if self.is_path_style else f"/{key}"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to connect and of silence, tries in all, and how a pause is made."""

    connect: float = 10.0
    silence: float = 60.0
    tries: int = 6
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)

    def wait(self, failed: int) -> None:
        """Pause after the `failed`th failure: a second, two, four and so on, each made uneven."""
        self.pause(min(30.0, 2.0 ** (failed - 1)) * (0.5 + random.random()))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in small letters."""

    headers: Mapping[str, str]
    body: bytes

    def xml(self) -> ElementTree.Element:
        """The body read. Raises Away where it is not what S3 says."""
        # No answer of S3 declares entities; whoever does so wants to fill our memory.
        if b"<!DOCTYPE" in self.body or b"<!ENTITY" in self.body:
            raise Away("the storage of backups answers with what is not S3")
        try:
            return ElementTree.fromstring(self.body)  # noqa: S314
        except ElementTree.ParseError:
            raise Away("the storage of backups answers with what is not S3") from None


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body is still to be read. `length`: its bytes, -1 where not told."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    headers: Mapping[str, str]
    length: int

    def close(self) -> None:
        self.response.close()
        self.connection.close()


TROUBLE = (OSError, http.client.HTTPException)
"""What a connection raises when the other side is away, slow, or breaks off."""


class Client:
    """Sends requests, one connection each: parts are large, and connections kept open age badly."""

    def __init__(self, target: Target, who: Credentials, patience: Patience | None = None) -> None:
        self.target, self.patience = target, patience or Patience()
        self._who = who

    def ask(
        self, method: str, key: str = "", query: Pairs = (), body: bytes | bytearray = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """A request and its whole answer, tried again while that may help. What is asked must be right to do twice.

        Raises Refused, Away.
        """
        for failed in range(1, self.patience.tries + 1):
            try:
                return self._whole(method, key, query, body, headers or {})
            except Refused as refused:
                if not _may_help(refused) or failed == self.patience.tries:
                    raise
            except TROUBLE as error:
                if isinstance(error, ssl.SSLCertVerificationError) or failed == self.patience.tries:
                    raise Away(f"the storage of backups is away ({type(error).__name__})") from None
            self.patience.wait(failed)
        raise AssertionError("the last try returns or raises")

    def stream(self, key: str, headers: Mapping[str, str]) -> Stream:
        """Begin to read an object, once. Raises Refused, and what is in TROUBLE."""
        connection, response = self._send("GET", key, (), b"", headers)
        try:
            told = _headers(response)
            if response.status not in (200, 206):
                raise _refused(response.status, b"".join(_limited(response)))
            length = int(told.get("content-length", "-1"))
            return Stream(connection, response, told, length)
        except BaseException:
            connection.close()
            raise

    def _whole(
        self, method: str, key: str, query: Pairs, body: bytes | bytearray, headers: Mapping[str, str]
    ) -> Answer:
        connection, response = self._send(method, key, query, body, headers)
        try:
            told = b"".join(_limited(response))
        finally:
            connection.close()
        # A request that takes long is answered with 200 before it is done; how it ended is said in the body.
        if response.status >= 300 or b"<Error>" in told[:500]:
            raise _refused(response.status, told)
        return Answer(_headers(response), told)

    def _send(
        self, method: str, key: str, query: Pairs, body: bytes | bytearray, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        path = self.target.path(key)
        body_hash = sha256(body).hexdigest() if body else NOTHING
        signed = dict(headers) | {
            "host": self.target.host,
            "x-amz-content-sha256": body_hash,
            "x-amz-date": date_text(datetime.now(UTC)),
        }
        signed["authorization"] = authorization(self._who, method, path, query, signed, body_hash)
        signed["content-length"] = str(len(body))
        address = encoded(path, slashes=True) + (f"?{query_text(query)}" if query else "")
        connection = self._connect()
        try:
            # A timeout of a socket is for one call of `send`: in slices, a slow line has the time that it needs.
            connection.request(method, address, body=_slices(body), headers=signed)
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(f"{urlsplit(self.target.endpoint).scheme}://{self.target.host}")
        host, patience = parts.hostname or "", self.patience
        connection = (
            http.client.HTTPSConnection(host, parts.port, timeout=patience.connect, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=patience.connect)
        )  # fmt: skip
        connection.connect()
        connection.sock.settimeout(patience.silence)
        return connection


def _slices(body: bytes | bytearray) -> Iterator[memoryview]:
    view = memoryview(body)
    for start in range(0, len(view), _SLICE):
        yield view[start : start + _SLICE]


def _limited(response: http.client.HTTPResponse) -> Iterator[bytes]:
    size, ends = 0, time.monotonic() + _ANSWER_SECONDS
    while part := response.read1(64 << 10):
        size += len(part)
        if size > LARGEST_ANSWER or time.monotonic() > ends:
            raise http.client.HTTPException("an answer without end")
        yield part
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _refused(status: int, body: bytes) -> Refused:
    found = re.search(rb"<Code>([^<]*)</Code>", body)
    told = found[1].decode("ascii", "replace") if found else ""
    return Refused(status, told if _CODE.fullmatch(told) else "")


def _may_help(refused: Refused) -> bool:
    return refused.status in _AGAIN or refused.told in _AGAIN_CODES
