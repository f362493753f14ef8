"""Looks at DNS: asked for once, made by a worker over real sockets, kept, and what they change."""

import socketserver
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from sqlalchemy import text

from webmail import schedules
from webmail.db import transaction
from webmail.errors import NotFound
from webmail.remote import Failed
from webmail.settings import dkim_keys, domain_health, domain_records, domains, kept
from workers import domains as looking
from workers import keeping
from workers import schedules as clock

ACTOR = "system:tests"


class Zone(socketserver.ThreadingUDPServer):
    """A name server on loopback that knows `records` ((name, kind) to texts), and is silent about `mute`."""

    daemon_threads = True

    def __init__(self):
        self.records, self.mute, self.asked = {}, set(), []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.server.asked.append((name, kind))
        if name in self.server.mute:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        texts = self.server.records.get((name, kind), [])
        if texts:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
        elif not any(known == name for known, _kind in self.server.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        sock.sendto(answer.to_wire(), self.client_address)


@pytest.fixture
def zone(worker, monkeypatch):
    """The name server that the worker asks."""
    with Zone() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        asked = looking.DnsResolver([server.server_address])
        monkeypatch.setattr(looking, "DnsResolver", lambda _servers: asked.__class__([server.server_address]))
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def as_staff(empty, web_app):
    def run(call):
        with web_app.app_context(), transaction(staff=True):
            return call()

    return run


@pytest.fixture
def domain_id(as_staff):
    return as_staff(lambda: domains.add("example.org", actor=ACTOR))


@pytest.fixture
def publish(as_staff, web_app, zone, domain_id):
    """Put every record of the domain into the zone."""

    def put():
        settings = web_app.extensions["settings"]
        for record in as_staff(lambda: domain_health.records(domains.one(domain_id), settings)):
            quoted = (
                f'"{record.value[:200]}" "{record.value[200:]}"' if record.kind == "TXT" else record.value
            )
            zone.records.setdefault((record.owner, record.kind), []).append(quoted)

    return put


@pytest.fixture
def look(as_staff, zone, domain_id, superuser):
    """Ask, have the worker look, and tell what it found: state by code."""

    def run():
        superuser.execute(
            text(
                "UPDATE domain_check SET finished_at = finished_at - interval '1 hour', asked_at = asked_at - interval '1 hour'"
            )
        )
        assert as_staff(lambda: domain_health.ask(domain_id))
        assert looking.drain() == 1
        return {one.code: one.state for one in as_staff(lambda: domain_health.last(domain_id)).findings}

    return run


def test_a_look_is_asked_for_made_by_a_worker_and_kept(as_staff, zone, domain_id, look):
    assert as_staff(lambda: domain_health.last(domain_id)) is None
    assert look() == {
        "ownership": "missing",
        "mx": "missing",
        "spf": "missing",
        "dmarc": "missing",
        "tls": "missing",
    }
    assert ("_mtumail.example.org", "TXT") in zone.asked
    assert not as_staff(lambda: domain_health.is_under_way(domain_id))


def test_a_domain_that_shows_its_token_is_verified_by_the_look(as_staff, publish, look, domain_id, superuser):
    assert as_staff(lambda: domains.one(domain_id)).stage == "waiting"
    publish()
    assert set(look().values()) == {"good"}
    assert as_staff(lambda: domains.one(domain_id)).stage == "active"
    told = (
        superuser.execute(text("SELECT actor FROM audit_event WHERE kind = 'domain.verified'"))
        .scalars()
        .all()
    )
    assert told == ["system:dns"]
    assert set(look().values()) == {"good"}
    assert (
        superuser.execute(text("SELECT count(*) FROM audit_event WHERE kind = 'domain.verified'")).scalar()
        == 1
    )


def test_another_value_is_told_and_a_verified_domain_stays_so_when_its_token_goes(
    as_staff, publish, look, zone, domain_id
):
    publish()
    look()
    del zone.records["_mtumail.example.org", "TXT"]
    zone.records["example.org", "MX"] = ["10 mx.elsewhere.example."]
    found = look()
    assert (found["ownership"], found["mx"], found["spf"]) == ("missing", "wrong", "good")
    assert "mx.elsewhere.example" in as_staff(lambda: domain_health.last(domain_id)).of("mx").found
    assert as_staff(lambda: domains.one(domain_id)).stage == "active"


def test_silence_is_said_to_be_silence_and_takes_its_time_alone(publish, look, zone, monkeypatch):
    monkeypatch.setattr(looking, "SECONDS", 1.0)
    publish()
    zone.mute = {"_mtumail.example.org"}
    assert look()["ownership"] == "unknown"


def test_asking_twice_is_asking_once_and_not_again_right_after(as_staff, zone, domain_id):
    assert as_staff(lambda: domain_health.ask(domain_id)) is True
    assert as_staff(lambda: domain_health.ask(domain_id)) is False
    assert as_staff(lambda: domain_health.is_under_way(domain_id))
    assert looking.drain() == 1
    assert as_staff(lambda: domain_health.ask(domain_id)) is False
    with pytest.raises(NotFound):
        as_staff(lambda: domain_health.ask(5))


def test_a_look_whose_worker_died_is_made_again_and_written_once(
    as_staff, zone, worker, domain_id, superuser
):
    as_staff(lambda: domain_health.ask(domain_id))
    with worker.app_context(), transaction():
        assert domain_health.claim() is not None
    assert looking.drain() == 0
    superuser.execute(text("UPDATE domain_check SET started_at = now() - interval '6 minutes'"))
    assert "domains" in keeping.sweep()
    assert looking.drain() == 1
    assert len(as_staff(lambda: domain_health.history(domain_id))) == 1


def test_every_domain_is_looked_at_by_the_clock(as_staff, zone, worker, monkeypatch, domain_id, superuser):
    monkeypatch.setattr(clock, "core", lambda: worker)
    other = as_staff(lambda: domains.add("example.net", actor=ACTOR))
    superuser.execute(text("UPDATE schedule SET next_at = now() WHERE code = 'domains'"))
    assert clock.run_due() == [schedules.DOMAINS]
    assert set(as_staff(domain_health.latest)) == {domain_id, other}
    assert superuser.execute(text("SELECT outcome FROM schedule WHERE code = 'domains'")).scalar() == "done"


def test_a_domain_that_went_meanwhile_is_not_asked_about(as_staff, zone, domain_id):
    as_staff(lambda: domain_health.ask(domain_id))
    as_staff(lambda: domains.remove(domain_id, actor=ACTOR))
    assert looking.drain() == 1
    assert zone.asked == []


def test_keys_that_wait_are_published_once_dns_has_the_very_ones(
    as_staff, master, publish, look, zone, domain_id
):
    with pytest.raises(NotFound):
        as_staff(lambda: domain_health.is_published(domain_id))
    selector = as_staff(lambda: dkim_keys.create(master, domain_id, "rsa", ACTOR))
    assert not as_staff(lambda: domain_health.is_published(domain_id))
    publish()
    assert look()[f"dkim:{selector}"] == "good"
    assert as_staff(lambda: domain_health.is_published(domain_id))
    zone.records[f"{selector}._domainkey.example.org", "TXT"] = ['"v=DKIM1; k=rsa; p=AAAA"']
    assert look()[f"dkim:{selector}"] == "wrong"
    assert not as_staff(lambda: domain_health.is_published(domain_id))


def test_the_records_follow_the_settings(as_staff, web_app, domain_id):
    def spf():
        settings = web_app.extensions["settings"]
        return {one.code: one.value for one in domain_health.records(domains.one(domain_id), settings)}["spf"]

    assert as_staff(spf) == "v=spf1 mx ~all"
    as_staff(lambda: kept.change("service.spf", "include:spf.relay.example", actor=ACTOR))
    assert as_staff(spf) == "v=spf1 include:spf.relay.example ~all"


def test_the_policy_is_fetched_as_others_do(
    as_staff, web_app, publish, look, zone, worker, monkeypatch, domain_id
):
    asked = []

    class Client:
        answer = None

        def get_text(self, url, limits):
            asked.append((url, limits.whole))
            return self.answer

    monkeypatch.setattr(looking, "Client", Client)
    as_staff(lambda: domains.set_sts(domain_id, "testing", actor=ACTOR))
    publish()
    zone.records["mta-sts.example.org", "A"] = ["192.0.2.1"]
    Client.answer = domain_records.sts_policy(web_app.extensions["settings"].host_name, "testing")
    assert look()["sts-host"] == "good"
    assert asked == [("https://mta-sts.example.org/.well-known/mta-sts.txt", looking.FETCH_SECONDS)]
    Client.answer = Failed("tls")
    assert look()["sts-host"] == "wrong"
    assert as_staff(lambda: domain_health.last(domain_id)).of("sts-host").found == "tls"
    Client.answer = Failed("slow")
    assert look()["sts-host"] == "unknown"
