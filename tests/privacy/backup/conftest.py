"""A strict stand-in for a storage that speaks S3, and an installation that makes backups."""

import hashlib
import hmac
import re
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from webmail.keys import create_master_key
from webmail.privacy.backup.s3.bucket import Bucket
from webmail.privacy.backup.s3.client import Client, Patience, Target
from webmail.privacy.backup.s3.signing import Credentials

KEY_ID, SECRET, REGION, BUCKET = (
    "AKIDSTANDIN",
    "a secret that is not to be seen anywhere",
    "eu-test-1",
    "backups",
)


@dataclass
class Version:
    name: str
    body: bytes | None  # None: a mark that it is deleted

    @property
    def etag(self):
        return f'"{hashlib.md5(self.body or b"").hexdigest()}"'


@dataclass
class Fault:
    """What goes wrong, `times` times, with requests whose method and address match."""

    match: str
    how: str
    times: int = 1


@dataclass
class Storage:
    """The storage as a test sees it."""

    url: str = ""
    objects: dict[str, list[Version]] = field(default_factory=dict)
    uploads: dict[str, tuple[str, str, dict[int, bytes]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    keeps_versions: bool = False
    has_kept: bool = False  # versions were kept once, and no more are: suspended
    page: int = 2
    refusals: list[str] = field(default_factory=list)
    count: int = 0

    def now(self, key):
        versions = self.objects.get(key, [])
        return versions[-1] if versions and versions[-1].body is not None else None

    def put(self, key, body):
        self.count += 1
        version = Version(f"v{self.count}" if self.keeps_versions else "null", body)
        older = self.objects.get(key, [])
        stay = (
            older if self.keeps_versions else [one for one in older if self.has_kept and one.name != "null"]
        )
        self.objects[key] = [*stay, version]
        return version

    def plan(self, match, how, times=1):
        self.faults.append(Fault(match, how, times))

    def fault(self, request):
        for one in self.faults:
            if one.times and re.search(one.match, request):
                one.times -= 1
                return one.how
        return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    storage: Storage

    def log_message(self, *_):
        pass

    def handle(self):
        with suppress(ssl.SSLError, ConnectionError):
            super().handle()

    def _any(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.close_connection = True
        self.storage.asked.append(f"{self.command} {self.path}")
        how = self.storage.fault(f"{self.command} {self.path}")
        if how == "drop":
            return None
        if how == "slow":
            time.sleep(1.5)
            return None
        if how.isdigit():
            return self._say(int(how), b"<Error><Code>SlowDown</Code></Error>")
        problem = self._signed(body)
        if problem:
            self.storage.refusals.append(f"{self.command} {self.path}: {problem}")
            return self._say(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        self._how = how
        if how == "error200":
            return self._say(200, b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>")
        status, told, headers = self._do(body)
        if how == "lost":
            return None
        return self._say(status, told, headers)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any

    def _signed(self, body):
        """Amazon's rules, written down a second time."""
        given = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
            self.headers.get("authorization", ""),
        )
        if not given:
            return "no authorization"
        who, day, region, names, signature = given.groups()
        stamp = self.headers.get("x-amz-date", "")
        sent = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if (who, region) != (KEY_ID, REGION) or not stamp.startswith(day):
            return "wrong scope"
        if abs((datetime.now(UTC) - sent).total_seconds()) > 900:
            return "clock"
        signed = names.split(";")
        if "host" not in signed or any(
            name.lower().startswith("x-amz-") and name.lower() not in signed for name in self.headers
        ):
            return "headers not signed"
        if self.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return "another body"
        path, _, query = self.path.partition("?")
        lines = [
            self.command,
            path,
            "&".join("=".join(pair) for pair in sorted(tuple(one.split("=")) for one in query.split("&"))),
        ]
        lines += [f"{name}:{self.headers[name].strip()}" for name in signed]
        lines += ["", names, self.headers["x-amz-content-sha256"]]
        text = "\n".join(
            ["AWS4-HMAC-SHA256", stamp, f"{day}/{region}/s3/aws4_request", hashlib.sha256("\n".join(lines).encode()).hexdigest()]
        )  # fmt: skip
        key = ("AWS4" + SECRET).encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        right = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return "" if hmac.compare_digest(right, signature) else "wrong signature"

    def _do(self, body):
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            return 404, b"<Error><Code>NoSuchBucket</Code></Error>", {}
        if not key:
            return self._bucket(query)
        if "uploads" in query or "uploadId" in query:
            return self._multipart(key, query, body)
        if self.command == "PUT":
            version = self.storage.put(key, body)
            return 200, b"", {"etag": version.etag} | self._version(version)
        if self.command == "DELETE":
            return self._delete(key, query)
        return self._read(key)

    def _version(self, version):
        kept = self.storage.keeps_versions or self.storage.has_kept
        return {"x-amz-version-id": version.name} if kept else {}

    def _delete(self, key, query):
        if wanted := query.get("versionId"):
            if self.storage.fault(f"removing a version of {key}"):
                return 403, b"<Error><Code>AccessDenied</Code></Error>", {}
            left = [one for one in self.storage.objects.get(key, []) if one.name != wanted]
            self.storage.objects[key] = left
            return 204, b"", {}
        if self.storage.keeps_versions:
            return 204, b"", {"x-amz-delete-marker": "true"} | self._version(self.storage.put(key, None))
        self.storage.objects.pop(key, None)
        return 204, b"", {}

    def _read(self, key):
        found = self.storage.now(key)
        if found is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        if self.headers.get("if-match", found.etag) != found.etag:
            return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
        start = int(wanted[1]) if wanted else 0
        return 206 if wanted else 200, found.body[start:], {"etag": found.etag}

    def _multipart(self, key, query, body):
        uploads = self.storage.uploads
        if "uploads" in query:
            self.storage.count += 1
            upload_id = f"up/load+{self.storage.count}"
            uploads[upload_id] = (key, datetime.now(UTC).isoformat().replace("+00:00", "Z"), {})
            return (
                200,
                f"<R xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><UploadId>{upload_id}</UploadId></R>".encode(),
                {},
            )
        if query["uploadId"] not in uploads:
            return 404, b"<Error><Code>NoSuchUpload</Code></Error>", {}
        parts = uploads[query["uploadId"]][2]
        if self.command == "PUT":
            parts[int(query["partNumber"])] = body
            return 200, b"", {"etag": f'"{hashlib.md5(body).hexdigest()}"'}
        if self.command == "DELETE":
            del uploads[query["uploadId"]]
            return 204, b"", {}
        told = re.findall(
            r"<PartNumber>(\d+)</PartNumber><ETag>&quot;([0-9a-f]+)&quot;</ETag>", body.decode()
        )
        held = [(str(number), hashlib.md5(part).hexdigest()) for number, part in sorted(parts.items())]
        sizes = [len(parts[number]) for number in sorted(parts)]
        if told != held or any(size < 5 << 20 or size != sizes[0] for size in sizes[:-1]):
            return 400, b"<Error><Code>InvalidPart</Code></Error>", {}
        del uploads[query["uploadId"]]
        version = self.storage.put(key, b"".join(parts[number] for number in sorted(parts)))
        return 200, b"<R/>", self._version(version)

    def _bucket(self, query):
        if "versioning" in query:
            inside = "<Status>Enabled</Status>" if self.storage.keeps_versions else ""
            return 200, f"<V xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{inside}</V>".encode(), {}
        if "uploads" in query:
            items = [(key, upload, f"<Upload><Key>{key}</Key><UploadId>{upload}</UploadId><Initiated>{at}</Initiated></Upload>")
                     for upload, (key, at, _) in sorted(self.storage.uploads.items())]  # fmt: skip
            return self._page(
                items, query, ("key-marker", "NextKeyMarker"), ("upload-id-marker", "NextUploadIdMarker")
            )
        if "versions" in query:
            items = [(key, one.name, f"<{tag}><Key>{key}</Key><VersionId>{one.name}</VersionId></{tag}>")
                     for key, versions in sorted(self.storage.objects.items()) for one in versions
                     for tag in ["Version" if one.body is not None else "DeleteMarker"]]  # fmt: skip
            return self._page(
                items, query, ("key-marker", "NextKeyMarker"), ("version-id-marker", "NextVersionIdMarker")
            )
        assert query["list-type"] == "2"
        items = [
            (key, key, f"<Contents><Key>{key}</Key></Contents>")
            for key in sorted(self.storage.objects)
            if self.storage.now(key)
        ]
        return self._page(items, query, ("continuation-token", "NextContinuationToken"))

    def _page(self, items, query, *marks):
        items = [item for item in items if item[0].startswith(query.get("prefix", ""))]
        after = query.get(marks[-1][0], "")
        names = [item[1] for item in items]
        start = names.index(after) + 1 if after in names else 0
        shown, more = items[start : start + self.storage.page], len(items) > start + self.storage.page
        told = "".join(item[2] for item in shown)
        if more:
            told += "".join(
                f"<{tag}>{shown[-1][len(marks) > 1 and number]}</{tag}>"
                for number, (_, tag) in enumerate(marks)
            )
        text = f"<L xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><IsTruncated>{str(more).lower()}</IsTruncated>{told}</L>"
        return 200, text.encode(), {}

    def _say(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            how = getattr(self, "_how", "")
            self.wfile.write(body[: len(body) // 2] if how == "cut" else body)


@contextmanager
def serving(context=None):
    """A storage on loopback, empty; over TLS with a `context`."""
    held = Storage()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"storage": held}))
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    held.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def storage():
    with serving() as held:
        yield held
    assert held.refusals == []


@pytest.fixture
def tls_storage(self_signed, tmp_path):
    """One whose certificate is in the file `vouched.pem`, and known to nobody else."""
    certificate, key = self_signed("localhost", "127.0.0.1")
    (tmp_path / "vouched.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "vouched.pem", tmp_path / "key.pem")
    with serving(context) as held:
        yield held


@pytest.fixture
def bucket_at():
    """The bucket as mtumail uses it, at an address, and never waiting for long."""
    patience = Patience(connect=2.0, silence=0.7, tries=4, pause=lambda _: None)
    return lambda url: Bucket(
        Client(Target(url, BUCKET, "mail/"), Credentials(KEY_ID, SECRET, REGION), patience)
    )


@pytest.fixture
def bucket(bucket_at, storage):
    return bucket_at(storage.url)


@pytest.fixture
def means_of(tmp_path, database, settings):
    """Settings of an installation that makes backups, into a folder."""
    create_master_key(tmp_path / "backup.key")
    (tmp_path / "backups").mkdir()
    return replace(
        settings("worker"),
        backup_to=tmp_path / "backups",
        backup_key_file=tmp_path / "backup.key",
        backup_url=database.urls["backup"],
    )


@pytest.fixture
def means_in_bucket(means_of, storage):
    """The same, into the storage."""
    return replace(
        means_of,
        backup_to=None,
        backup_s3_endpoint=storage.url,
        backup_s3_bucket=BUCKET,
        backup_s3_prefix="mail",
        backup_s3_region=REGION,
        backup_s3_key_id=KEY_ID,
        backup_s3_secret=SECRET,
    )
