"""What journeys share: mtumail whole, as `dev` runs it; people who come with an HTTP client alone; mail from outside."""

import json
import os
import re
import signal
import smtplib
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from webmail.embedded.clerk.testing import Answer, Browser, send
from webmail.embedded.people import DEMO_PASSWORD

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(
    r"^ready (http://mail\.localhost:\d+) smtp://127\.0\.0\.1:(\d+) "
    r"clerk (http://clerk\.localhost:\d+) relay smtp://127\.0\.0\.1:(\d+)$"
)
START_SECONDS, STOP_SECONDS = 90, 60


@pytest.fixture(autouse=True)
def _quiet_bell() -> None:
    """Journeys ring the bell of the service itself; the suite's own Valkey need not start."""


def eventually(look: Callable[[], object], seconds: float, what: str) -> object:
    """Look again until the answer is true. What was not seen within `seconds` fails the test."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= deadline:
            pytest.fail(f"not within {seconds} s: {what}", pytrace=False)
        time.sleep(0.05)


@pytest.fixture(name="eventually", scope="session")
def _eventually() -> Callable[[Callable[[], object], float, str], object]:
    return eventually


# --- the service ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """A line of the process table."""

    pid: int
    parent: int
    started: int
    command: str


@dataclass
class Service:
    """mtumail as `dev` runs it, in a folder of its own."""

    data: Path
    mark: str
    process: "subprocess.Popen[bytes]"
    origin: str = ""
    clerk: str = ""
    smtp_port: int = 0
    relay_port: int = 0

    def processes(self) -> list[Process]:
        """Every live process that was started for this service: the children's children of `dev`, and who bears its mark.

        The mark is in the environment, which cannot be read of a process that changed its user.
        """
        table = {one.pid: one for one in _process_table()}
        found = {pid for pid in table if _environment_holds(pid, self.mark)} | {self.process.pid}
        while more := {one.pid for one in table.values() if one.parent in found} - found:
            found |= more
        return [one for one in table.values() if one.pid in found]

    def part(self, ending: str) -> Process | None:
        """The process that `dev` itself started whose command holds `ending`."""
        mine = self.parts(ending)
        assert len(mine) <= 1, mine
        return mine[0] if mine else None

    def parts(self, ending: str) -> list[Process]:
        """As `part`; several while children whose parent was killed outright are on their way out."""
        return [p for p in self.processes() if p.parent == self.process.pid and ending in p.command]

    def children(self, pid: int) -> list[Process]:
        """What the process `pid` started."""
        return [process for process in self.processes() if process.parent == pid]

    def kept(self) -> list[Path]:
        """The envelopes that the relay sink holds, oldest first."""
        return sorted((self.data / "relay").glob("[0-9]*.json"))


def _process_table() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            state = (folder / "stat").read_text().rpartition(") ")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if state[0] not in "ZX":
                yield Process(int(folder.name), int(state[1]), int(state[19]), command)


def _environment_holds(pid: int, mark: str) -> bool:
    with suppress(OSError):
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def _await_ready(service: Service, out: Path, err: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for line in out.read_text().splitlines():
            if found := READY.match(line):
                service.origin, service.clerk = found[1], found[3]
                service.smtp_port, service.relay_port = int(found[2]), int(found[4])
                return
        if service.process.poll() is not None:
            break
        time.sleep(0.1)
    service.process.kill()
    service.process.wait()
    pytest.fail(f"dev was not ready within {START_SECONDS} s:\n{err.read_text()}", pytrace=False)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`dev` with its demo mail on free ports. Stopped by SIGTERM, it must end well and leave nothing behind."""
    folder = tmp_path_factory.mktemp("journeys")
    mark = f"journey-{uuid.uuid4().hex}"
    ports = [word for name in ("http", "smtp", "clerk", "relay") for word in (f"--{name}-port", "0")]
    command = [sys.executable, "-m", "webmail.cli", "dev", "--data-dir", str(folder / "data"), *ports]
    out, err = folder / "out", folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "MTUMAIL_JOURNEY": mark}, stdout=stdout, stderr=stderr,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    service = Service(folder / "data", mark, process)
    _await_ready(service, out, err)
    try:
        yield service
    finally:
        before = {(one.pid, one.started) for one in service.processes()}
        assert len(before) > 10, "the parts are seen"
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pytest.fail(f"dev did not stop within {STOP_SECONDS} s of SIGTERM", pytrace=False)
        left = [
            one
            for one in _process_table()
            if (one.pid, one.started) in before or _environment_holds(one.pid, mark)
        ]
        for one in left:
            with suppress(OSError):
                os.kill(one.pid, signal.SIGKILL)
        assert not left
        assert code == 0, err.read_text()


# --- people with an HTTP client alone ------------------------------------------------------------------------------------


@dataclass
class Form:
    """A form of a page: where it goes, what it holds, and its buttons as (name, value, words)."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    id: str = ""

    def value(self, name: str) -> str:
        """The value of the field `name`."""
        return next(value for known, value in self.fields if known == name)


class _Reader(HTMLParser):
    """Collects forms as a browser would send them: boxes that are not ticked stay out."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.form: Form | None = None
        self.area: list[str] | None = None
        self.name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = Form(given.get("action", ""), given.get("method", "get"), id=given.get("id", ""))
            self.forms.append(self.form)
        if self.form is None or tag not in ("input", "textarea", "button", "option", "select"):
            return
        name, kind = given.get("name", ""), given.get("type", "")
        if tag == "select":
            self.name = name
        elif tag == "textarea" or tag == "button":
            self.area, self.name = [], name
            if tag == "button":
                self.form.buttons.append((name, given.get("value", ""), ""))
        elif tag == "option":
            if "selected" in given:
                self.form.fields.append((self.name, given.get("value", "")))
        elif name:
            self.form.names.add(name)
            if kind != "file" and (kind not in ("checkbox", "radio") or "checked" in given):
                self.form.fields.append((name, given.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            self.area.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.form = None
        elif self.form is not None and self.area is not None and tag in ("textarea", "button"):
            text, self.area = "".join(self.area), None
            if tag == "textarea":
                self.form.names.add(self.name)
                self.form.fields.append((self.name, text.removeprefix("\n")))
            else:
                name, value, _ = self.form.buttons.pop()
                self.form.buttons.append((name, value, " ".join(text.split())))


def forms_of(page: str) -> list[Form]:
    """The forms of a page."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.forms


@pytest.fixture(name="forms", scope="session")
def _forms() -> Callable[[str], list[Form]]:
    return forms_of


@dataclass
class Page:
    """What an address answered, after redirects."""

    url: str
    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def text(self) -> str:
        return self.answer.text

    @property
    def forms(self) -> list[Form]:
        return forms_of(self.text)

    def form(self, *, id: str = "", action: str = "") -> Form:
        """The first form with this id, or whose address ends so."""
        return next(
            form
            for form in self.forms
            if (id and form.id == id) or (action and form.action.partition("?")[0].endswith(action))
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """The list's rows as (id, address, subject)."""
        found = re.findall(
            r'<tr data-id="([^"]+)".*?<a class="subject" href="([^"]+)">(.*?)</a>', self.text, re.DOTALL
        )
        return [(number, href, unescape(subject)) for number, href, subject in found]

    def link(self, words: str) -> str:
        """The address of the first link that says `words`."""
        for href, inner in re.findall(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', self.text, re.DOTALL):
            if words in unescape(re.sub(r"<[^>]+>", "", inner)):
                return urljoin(self.url, unescape(href))
        raise AssertionError(f"no link {words!r} on {self.url}")


@dataclass
class Client(Browser):
    """An HTTP client with a memory for cookies, and nothing else: no script, no Sec-Fetch headers."""

    origin: str = ""
    clerk_url: str = ""
    met: set[str] = field(default_factory=set)
    headers: dict[str, str] = field(default_factory=dict)
    latency: float = 0.0
    """Seconds that each request takes longer."""

    def get(self, url: str) -> Page:
        """A page, redirects followed."""
        return self._go("GET", urljoin(self.origin, url))

    def post(self, url: str, fields: list[tuple[str, str]]) -> Page:
        """Send a small form."""
        return self._go(
            "POST", urljoin(self.origin, url), urlencode(fields).encode(), "application/x-www-form-urlencoded"
        )

    def press(
        self, page: Page, form: Form, words: str = "", files: dict[str, bytes] | None = None, **values: str
    ) -> Page:
        """Fill in a form and press the button that says `words` (the first, if it says nothing)."""
        unknown = set(values) - form.names - {name for name, _ in form.fields}
        assert not unknown, unknown
        fields = [(name, values.pop(name, value)) for name, value in form.fields]
        fields += list(values.items())
        said = [item for item in form.buttons if words in item[2]]
        button = next((item for item in said if item[2].strip() == words), said[0])
        if button[0]:
            fields.append((button[0], button[1]))
        target = urljoin(page.url, form.action)
        if form.method == "get":
            return self._go("GET", f"{target}?{urlencode(fields)}")
        if files is None:
            return self.post(target, fields)
        return self._go("POST", target, *_multipart(fields, files))

    def _go(self, method: str, url: str, body: bytes | None = None, kind: str = "") -> Page:
        for _ in range(12):
            host = urlsplit(url).hostname or ""
            self.met.add(host)
            cookies = "; ".join(f"{name}={value}" for name, value in self.cookies(host).items())
            headers = {"Accept": "text/html", "Cookie": cookies} | ({"Content-Type": kind} if body else {})
            headers |= self.headers
            time.sleep(self.latency)
            answer = send(urlsplit(url).port or 80, method, url, headers, body)
            self.take(host, answer.headers.get_all("Set-Cookie") or [])
            if answer.status not in (301, 302, 303, 307):
                return Page(url, answer)
            url = urljoin(url, answer.location)
            if answer.status != 307:
                method, body = "GET", None
        raise AssertionError(f"redirected for ever: {url}")


def _multipart(fields: list[tuple[str, str]], files: dict[str, bytes]) -> tuple[bytes, str]:
    edge = uuid.uuid4().hex
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    for name, content in files.items():
        head = f'--{edge}\r\nContent-Disposition: form-data; name="attachment"; filename="{name}"\r\n'
        parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n")
    return b"".join([*parts, f"--{edge}--\r\n".encode()]), f"multipart/form-data; boundary={edge}"


@pytest.fixture(scope="session")
def sign_in(service: Service) -> Callable[..., Client]:
    """Sign in through the local Clerk's form, as one of the demo people."""

    def come(who: str) -> Client:
        client = Client(clerk=None, origin=service.origin, clerk_url=service.clerk)  # type: ignore[arg-type]
        shown = client.get("/")
        assert shown.url.startswith(f"{service.clerk}/sign-in"), shown.url
        page = client.press(shown, shown.forms[0], identifier=f"{who}@mtumail.test", password=DEMO_PASSWORD)
        assert page.url.startswith(service.origin), page.url
        assert page.status == 200
        return client

    return come


@pytest.fixture(scope="session")
def new_client() -> type[Client]:
    """A client that has not been anywhere."""
    return Client


@pytest.fixture(scope="session")
def ann_client(sign_in: Callable[[str], Client]) -> Client:
    return sign_in("ann")


@pytest.fixture(scope="session")
def ben_client(sign_in: Callable[[str], Client]) -> Client:
    return sign_in("ben")


# --- mail ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mail_from_outside(service: Service) -> Callable[..., EmailMessage]:
    """Hand a message to inbound SMTP; the message."""

    def post(
        subject: str, body: str = "Are you there?\n", to: str = "ann@mtumail.test", **more: object
    ) -> EmailMessage:
        message = EmailMessage()
        message["From"] = str(more.get("sender", "Zoë Ñandú <zoe@example.org>"))
        message["To"] = to
        message["Subject"] = subject
        message["Message-ID"] = f"<{uuid.uuid4().hex}@example.org>"
        message["Date"] = "Mon, 02 Nov 2026 10:00:00 +0000"
        message.set_content(body)
        for name, content in dict(more.get("files", {})).items():  # type: ignore[call-overload]
            message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
        with smtplib.SMTP("127.0.0.1", service.smtp_port, timeout=20) as server:
            server.send_message(message, "zoe@example.org", [to])
        return message

    return post


@dataclass(frozen=True)
class Kept:
    """What the relay sink took: the bytes as on the wire, and the envelope."""

    raw: bytes
    sender: str
    recipients: tuple[str, ...]


@pytest.fixture(scope="session")
def relayed(service: Service) -> Callable[[str], Kept]:
    """Wait for the message with this subject in the relay sink."""

    def find(subject: str) -> Kept | None:
        for path in service.kept():
            raw = path.with_suffix(".eml").read_bytes()
            if f"Subject: {subject}\r\n".encode() in raw:
                told = json.loads(path.read_text())
                assert told["size"] == len(raw)
                return Kept(raw, told["mail_from"], tuple(told["rcpt_to"]))
        return None

    def wait(subject: str) -> Kept:
        found = eventually(lambda: find(subject), 15, f"{subject!r} in the relay sink")
        assert isinstance(found, Kept)
        return found

    return wait
