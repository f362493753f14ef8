"""The resolver against a DNS server of the test's own on loopback: answers, silence, outages, and the cache."""

import contextlib
import socket
import threading
import time

import dns.message
import dns.rcode
import dns.rrset
import pytest

from inbound.authentication import limits
from inbound.authentication.dns import NXDOMAIN, TEMPORARY, Answer, Asker, Status
from inbound.authentication.resolver import Cache, DnsResolver, is_special
from inbound.limits import Limits


class Server:
    """Answers over UDP from `zone`; names in `mute`, or all of them when `dead`, get no answer."""

    def __init__(self):
        self.zone, self.mute, self.dead, self.asked = {}, set(), False, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            data, peer = self.socket.recvfrom(4096)
            if data == b"end":
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
            self.asked.append((name, kind))
            if self.dead or name in self.mute:
                continue
            reply = dns.message.make_response(query)
            if name == "servfail.example.org":
                reply.set_rcode(dns.rcode.SERVFAIL)
            elif name not in ("", ".") and not any(one == name for one, _ in self.zone):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            elif (name, kind) in self.zone:
                reply.answer.append(dns.rrset.from_text(f"{name}.", 300, "IN", kind, *self.zone[name, kind]))
            with contextlib.suppress(OSError):
                self.socket.sendto(reply.to_wire(), peer)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"end", self.address)
        self.thread.join(5)
        self.socket.close()


@pytest.fixture
def server():
    one = Server()
    yield one
    one.close()


@pytest.fixture
def resolver(server):
    return DnsResolver([server.address])


def test_records_of_each_kind(server, resolver):
    server.zone = {
        ("a.example.org", "TXT"): ['"v=spf1 " "-all"', '"caf\\233"'],
        ("a.example.org", "MX"): ["20 Second.example.org.", "10 first.example.org."],
        ("a.example.org", "A"): ["192.0.2.1"],
        ("a.example.org", "AAAA"): ["2001:db8::1"],
        ("1.2.0.192.in-addr.arpa", "PTR"): ["a.example.org."],
    }
    assert set(resolver("a.example.org", "TXT", 2).records) == {"v=spf1 -all", "caf\xe9"}
    assert resolver("a.example.org", "MX", 2).records == ("first.example.org", "second.example.org")
    assert resolver("a.example.org", "A", 2).records == ("192.0.2.1",)
    assert resolver("a.example.org", "AAAA", 2).records == ("2001:db8::1",)
    assert resolver("1.2.0.192.in-addr.arpa", "PTR", 2).records == ("a.example.org",)


def test_what_is_not_there(server, resolver):
    server.zone = {("a.example.org", "A"): ["192.0.2.1"]}
    assert resolver("a.example.org", "TXT", 2) == Answer(Status.FOUND, (), limits.TTL_NONE)
    assert resolver("b.example.org", "TXT", 2).status is Status.NXDOMAIN
    assert resolver("servfail.example.org", "TXT", 2) is TEMPORARY


def test_an_answer_is_asked_for_once(server, resolver):
    server.zone = {("a.example.org", "A"): ["192.0.2.1"]}
    for _ in range(3):
        assert resolver("a.example.org", "A", 2).records == ("192.0.2.1",)
        assert resolver("b.example.org", "A", 2).status is Status.NXDOMAIN
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "name", ["localhost", "mtumail.test", "_dmarc.printer.local", "x.onion", "single", "db.internal"]
)
def test_names_of_inside_are_never_asked_for(server, resolver, name):
    assert is_special(name)
    assert resolver(name, "A", 2) == NXDOMAIN
    assert server.asked == []


@pytest.mark.parametrize("name", ["a..b.org", f"{'x' * 64}.org", ".".join(["x" * 60] * 5), "a\\.b.org"])
def test_names_that_cannot_be(resolver, name):
    assert resolver(name, "A", 2).status is Status.NXDOMAIN


def test_a_strangers_dead_server_is_his_trouble(server, resolver):
    """One name without an answer: `temporary` within its time, remembered, and other names go on being answered."""
    server.zone = {("good.example.org", "A"): ["192.0.2.1"]}
    server.mute = {"slow.example.net"}
    began = time.monotonic()
    assert resolver("slow.example.net", "A", 0.3) is TEMPORARY
    assert resolver("slow.example.net", "A", 0.3) is TEMPORARY
    assert time.monotonic() - began < 2
    assert resolver("good.example.org", "A", 2).records == ("192.0.2.1",)
    assert [name for name, _ in server.asked].count("slow.example.net") <= 2


def test_a_dead_resolver_is_left_alone_for_a_while(server, resolver, monkeypatch):
    monkeypatch.setattr("inbound.authentication.resolver._PROBE", 0.1)
    server.dead = True
    assert resolver("a.example.org", "A", 0.2) is TEMPORARY
    began = time.monotonic()
    for number in range(1_000):
        assert resolver(f"n{number}.example.org", "A", 5) is TEMPORARY
    assert time.monotonic() - began < 3


def test_it_is_asked_again_after_the_rest(server, resolver, monkeypatch):
    monkeypatch.setattr("inbound.authentication.resolver._PROBE", 0.1)
    monkeypatch.setattr("inbound.authentication.resolver.REST", 0.1)
    server.zone = {("b.example.org", "A"): ["192.0.2.1"]}
    server.dead = True
    assert resolver("a.example.org", "A", 0.2) is TEMPORARY
    server.dead = False
    time.sleep(0.15)
    assert resolver("b.example.org", "A", 2).records == ("192.0.2.1",)


def test_only_some_wait_for_slow_names(server, resolver):
    """However many messages come with names that never answer: the rest is told so at once."""
    count = limits.WAITING + 8
    server.mute = {f"slow{number}.example.net" for number in range(count)}
    times = []

    def ask(number):
        began = time.monotonic()
        assert resolver(f"slow{number}.example.net", "A", 2.0) is TEMPORARY
        times.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(times) == count
    assert sum(one > 1.5 for one in times) == limits.WAITING


def test_one_peers_slow_names_leave_room_for_the_names_of_others(server, resolver, wait_until):
    """As many messages as a single peer may have under way, each at a name that never answers."""
    count = Limits().connections_per_ip
    names = [f"slow{number}.example.net" for number in range(count)]
    server.zone = {("good.example.org", "A"): ["192.0.2.1"]}
    server.mute = set(names)
    threads = [threading.Thread(target=resolver, args=(name, "A", 1.5)) for name in names]
    for thread in threads:
        thread.start()
    wait_until(lambda: set(names) <= {name for name, _ in server.asked}, 1.0)
    assert resolver("good.example.org", "A", 1).records == ("192.0.2.1",)
    assert all(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join(10)


def test_no_resolver_at_all():
    assert DnsResolver([("not an address", 53)])("a.example.org", "A", 0.2) is TEMPORARY


def test_the_cache_is_bounded_and_forgets(monkeypatch):
    cache = Cache(size=2)
    answer = Answer(Status.FOUND, ("192.0.2.1",), 300)
    cache.put(("a", "A"), answer)
    cache.put(("b", "A"), answer)
    assert cache.get(("a", "A")) == answer
    cache.put(("c", "A"), answer)
    assert cache.get(("b", "A")) is None
    assert cache.get(("a", "A")) == answer
    later = time.monotonic() + 301
    monkeypatch.setattr("inbound.authentication.resolver.monotonic", lambda: later)
    assert cache.get(("a", "A")) is None


def test_a_message_has_so_many_questions_and_so_much_time():
    asked = []

    def answer(name, kind, seconds):
        asked.append(seconds)
        return NXDOMAIN

    ask = Asker(answer, seconds=5, queries=3)
    assert [ask(f"{number}.example.org", "A") for number in range(5)] == [NXDOMAIN] * 3 + [TEMPORARY] * 2
    assert ask("0.Example.org.", "A") == NXDOMAIN  # known, so it costs nothing
    assert len(asked) == 3
    assert all(0 < seconds <= 5 for seconds in asked)
    assert Asker(answer, seconds=0)("a.example.org", "A") is TEMPORARY
