"""The PROXY protocol: from the hosts it is configured for, and from nobody else."""

import pytest

from inbound.limits import parse_networks

BODY = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def proxied(serve):
    return serve(proxy_networks=parse_networks("127.0.0.7/32"), trusted_networks=(), connections_per_ip=2)


def through_proxy(server, header):
    client = server.client(source="127.0.0.7", greet=False)
    client.send(header)
    client.greeting = client.read()
    return client


def test_the_peer_behind_the_proxy_is_who_counts(proxied):
    clients = [through_proxy(proxied, b"PROXY TCP4 192.0.2.1 10.0.0.1 4000 25\r\n") for _ in range(3)]
    assert [one.greeting[:3] for one in clients] == ["220", "220", "421"]
    assert clients[0].mail(BODY).startswith("250")
    assert proxied.deliveries[0].peer_ip == "192.0.2.1"
    assert b"([192.0.2.1])" in proxied.deliveries[0].raw
    other = through_proxy(proxied, b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 25\r\n")
    assert other.mail(BODY).startswith("250")
    assert b"([IPv6:2001:db8::1])" in proxied.deliveries[1].raw


def test_a_proxy_that_does_not_say_is_cut(proxied):
    assert through_proxy(proxied, b"EHLO peer.test\r\n").greeting == ""


def test_others_cannot_speak_it(proxied):
    client = proxied.client(source="127.0.0.8")
    assert client.say("PROXY TCP4 192.0.2.1 10.0.0.1 4000 25").startswith("500")
    assert client.mail(BODY).startswith("250")
    assert proxied.deliveries[0].peer_ip == "127.0.0.8"
