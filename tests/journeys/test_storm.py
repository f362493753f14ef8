"""Mail in a crowd while processes are killed: what was acknowledged is there, each message once."""

import os
import re
import signal
import smtplib
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from redis import Redis

from webmail.embedded.clerk.testing import send

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("MTUMAIL_STORM", "300"))
CONNECTIONS = 20


def numbered(batch: str, number: int) -> bytes:
    return (
        f"From: Storm <storm@example.org>\r\nTo: ann@mtumail.test\r\nSubject: storm {batch} {number:05d}\r\n"
        f"Message-ID: <{batch}.{number}@example.org>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\r\n"
        f"Message number {number} of {batch}.\r\n{'filler ' * 120}\r\n"
    ).encode()


@dataclass
class Poured:
    """Numbers that got their 250, and those whose fate the sender did not learn at the first try."""

    taken: set[int] = field(default_factory=set)
    unsure: set[int] = field(default_factory=set)


def pour(port: int, batch: str, numbers: range, patience: float = 0.0) -> Poured:
    """Send these numbers over one connection; what was not taken is tried again for `patience` seconds, as an MTA would."""
    poured = Poured()
    server: smtplib.SMTP | None = None
    for number in numbers:
        deadline = time.monotonic() + patience
        while number not in poured.taken:
            try:
                server = server or smtplib.SMTP("127.0.0.1", port, timeout=30)
                server.sendmail("storm@example.org", ["ann@mtumail.test"], numbered(batch, number))
                poured.taken.add(number)
            except (OSError, smtplib.SMTPException):
                poured.unsure.add(number)
                if server is not None:
                    server.close()
                server = None
                if time.monotonic() >= deadline:
                    break
                time.sleep(0.2)
    if server is not None:
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
    return poured


def storm(
    port: int,
    batch: str,
    count: int,
    connections: int,
    trouble: Callable[[Callable[[], int]], None],
    patience: float = 0.0,
) -> Poured:
    """Pour `count` messages over `connections` at once while `trouble` runs; it may ask how many are acknowledged by now."""
    done: list[int] = []
    step = max(1, count // (connections * 5))
    together = Poured()

    def lane(start: int) -> list[Poured]:
        parts = []
        for first in range(start * step, count, connections * step):
            parts.append(pour(port, batch, range(first, min(first + step, count)), patience))
            done.append(len(parts[-1].taken))
        return parts

    with ThreadPoolExecutor(connections) as pool:
        lanes = [pool.submit(lane, start) for start in range(connections)]
        trouble(lambda: sum(done))
        for part in (part for item in lanes for part in item.result()):
            together.taken |= part.taken
            together.unsure |= part.unsure
    return together


@pytest.fixture
def stored(ann_client) -> Callable[[str], Counter[int]]:
    """How often each number of a batch lies in ann's inbox, page by page as she would look."""

    def count(batch: str) -> Counter[int]:
        found: Counter[int] = Counter()
        page = ann_client.get("/mail/inbox")
        for _ in range(200):
            assert page.status == 200
            numbers = [re.fullmatch(rf"storm {batch} (\d+)", subject) for *_, subject in page.rows()]
            found.update(int(number[1]) for number in numbers if number)
            older = re.search(r'href="([^"]+)" rel="next"', page.text)
            if older is None or not any(numbers):
                return found
            page = ann_client.get(older[1].replace("&amp;", "&"))
        raise AssertionError("the inbox has no end")

    return count


def kill(pid: int) -> None:
    """End a process of ours at once, wherever it stands."""
    os.kill(pid, signal.SIGKILL)


def kill_worker(service, eventually) -> None:
    worker = the_worker(service, eventually)
    kill(worker.pid)
    eventually(lambda: the_worker(service, eventually).pid != worker.pid, 20, "another worker")


def the_worker(service, eventually):
    """The one worker, once the children of one that was killed are gone."""
    [worker] = eventually(
        lambda: len(found := service.parts("webmail.cli worker")) == 1 and found, 30, "one worker"
    )
    return worker


def test_nothing_is_lost_or_doubled_while_workers_die_and_valkey_forgets(service, stored, eventually):
    batch = uuid.uuid4().hex[:8]

    def trouble(acknowledged: Callable[[], int]) -> None:
        eventually(lambda: acknowledged() >= COUNT // 10, 60, "the first messages")
        kill_worker(service, eventually)
        eventually(lambda: acknowledged() >= COUNT // 3, 120, "a third of the messages")
        with Redis.from_url(f"unix://{service.data}/valkey/valkey.sock") as valkey:
            valkey.flushall()
        worker = the_worker(service, eventually)
        children = eventually(lambda: len(c := service.children(worker.pid)) >= 3 and c, 20, "its children")
        for child in children:
            with suppress(ProcessLookupError):
                kill(child.pid)
        eventually(lambda: acknowledged() >= COUNT // 2, 120, "half of the messages")
        kill_worker(service, eventually)

    began = time.monotonic()
    taken = storm(service.smtp_port, batch, COUNT, CONNECTIONS, trouble).taken
    poured = time.monotonic() - began
    assert taken == set(range(COUNT)), "inbound itself was never in trouble"
    # What a killed worker held waits for its lease to end, and for the sweep after it.
    eventually(lambda: len(stored(batch)) == COUNT, 60, f"all {COUNT} messages in the inbox")
    sys.stdout.write(
        f"\n{COUNT} accepted in {poured:.1f} s, all filed {time.monotonic() - began - poured:.1f} s later\n"
    )
    time.sleep(2)  # a second filing of the same message would show now
    assert stored(batch) == Counter(range(COUNT))


def test_what_was_acknowledged_survives_the_death_of_postgres(service, stored, eventually):
    batch = uuid.uuid4().hex[:8]
    before = service.part("postgres -D")

    def trouble(acknowledged: Callable[[], int]) -> None:
        eventually(lambda: acknowledged() >= 10, 60, "the first messages")
        kill(before.pid)

    poured = storm(service.smtp_port, batch, 50, 5, trouble, patience=60)
    after = service.part("postgres -D")
    assert after is not None
    assert after.pid != before.pid
    assert poured.taken == set(range(50)), "mail flows again by itself"
    assert poured.unsure, "somebody met the trouble"
    eventually(lambda: b"ready" in readyz(service), 60, "the web process with its database")
    eventually(lambda: poured.taken <= set(stored(batch)), 60, "every acknowledged message")
    found = stored(batch)
    # Only one whose 250 was cut off may have been sent again; every other message is there once.
    assert {number for number, times in found.items() if times > 1} <= poured.unsure
    sys.stdout.write(f"\n{len(poured.unsure)} of 50 met the trouble, {sum(found.values()) - 50} came twice\n")


def readyz(service) -> bytes:
    with suppress(OSError):
        port = int(service.origin.rpartition(":")[2])
        return send(port, "GET", f"{service.origin}/readyz", {}).body
    return b""


def test_dev_says_in_its_log_what_it_restarted(service):
    log = (service.data / "logs" / "dev.log").read_text()
    for part in ("worker", "postgres"):
        assert part in log
