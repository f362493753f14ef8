"""Name servers that answer, refuse, and say nothing."""

import socket
import threading
import time
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from webmail.remote import look_up
from webmail.remote.model import Stop


@pytest.fixture
def name_server(monkeypatch):
    """A name server on loopback for `table`: name -> (type -> texts), an rcode, or None for silence."""
    table, asked = {}, []
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                data, peer = sock.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            asked.append(question.name.to_text())
            answer = table.get(question.name.to_text(), dns.rcode.NXDOMAIN)
            if answer is None:
                continue
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.RA
            if isinstance(answer, dns.rcode.Rcode):
                reply.set_rcode(answer)
            else:
                texts = answer.get(dns.rdatatype.to_text(question.rdtype), [])
                if texts:
                    reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *texts))
            sock.sendto(reply.to_wire(), peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def resolver():
        made = Resolver(configure=False)
        made.nameservers, made.port = ["127.0.0.1"], sock.getsockname()[1]
        return made

    Resolver = dns.resolver.Resolver
    monkeypatch.setattr(dns.resolver, "Resolver", resolver)
    yield table, asked
    sock.close()


def test_both_kinds_of_addresses_come_in_one_answer_ipv4_first(name_server):
    table, asked = name_server
    table["pictures.example."] = {"A": ["1.2.3.4", "10.0.0.1"], "AAAA": ["2606:4700::1"]}
    found = look_up("pictures.example", 5)
    assert sorted(map(str, found)) == ["1.2.3.4", "10.0.0.1", "2606:4700::1"]
    assert found[-1] == ip_address("2606:4700::1")
    assert set(asked) == {"pictures.example."}


def test_a_name_without_addresses_is_no_name(name_server):
    table, _ = name_server
    table["empty.example."] = {}
    for host in ("empty.example", "absent.example", "a" * 64 + ".example"):
        with pytest.raises(Stop) as stop:
            look_up(host, 5)
        assert (stop.value.failed.code, stop.value.failed.temporary) == ("name", False)


def test_trouble_of_name_servers_may_pass(name_server):
    table, _ = name_server
    table["broken.example."] = dns.rcode.SERVFAIL
    with pytest.raises(Stop) as stop:
        look_up("broken.example", 1)
    assert (stop.value.failed.code, stop.value.failed.temporary) == ("dns", True)


def test_silence_ends_in_time(name_server):
    table, _ = name_server
    table["silent.example."] = None
    began = time.monotonic()
    with pytest.raises(Stop) as stop:
        look_up("silent.example", 0.4)
    assert stop.value.failed.code == "dns"
    assert time.monotonic() - began < 1.5
