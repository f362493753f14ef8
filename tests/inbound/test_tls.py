"""STARTTLS: offered, clean of what came before it, modern, and renewed without a restart."""

import socket
import ssl
import warnings

import pytest

BODY = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def secure_client(serve, certificate):
    return serve(certificate).client()


def test_P13_mail_over_tls(serve, certificate):
    server = serve(certificate)
    client = server.client()
    assert "STARTTLS" in client.say("EHLO peer.test")
    client.secure()
    assert "STARTTLS" not in client.say("EHLO peer.test")
    assert client.mail(BODY).startswith("250")
    (delivery,) = server.deliveries
    assert delivery.tls
    assert b"with ESMTPS id" in delivery.raw
    assert b"(TLSv1.3 TLS_" in delivery.raw


def test_state_from_before_tls_is_forgotten(secure_client):
    secure_client.say("EHLO peer.test", "MAIL FROM:<b@p.test>", "RCPT TO:<ann@mtumail.test>")
    secure_client.secure()
    assert secure_client.say("RCPT TO:<ann@mtumail.test>").startswith("503")
    assert secure_client.say("MAIL FROM:<b@p.test>").startswith("503")
    secure_client.say("EHLO peer.test")
    assert secure_client.say("RCPT TO:<ann@mtumail.test>").startswith("503")


@pytest.mark.parametrize(
    "injected",
    [
        b"MAIL FROM:<a@evil.test>\r\n",
        b"EHLO evil\r\nMAIL FROM:<a@evil.test>\r\n",
        b"X" * 200_000 + b"\r\n",
        b"RS",
    ],
)
def test_plaintext_behind_starttls_is_dropped(serve, certificate, injected):
    server = serve(certificate)
    client = server.client()
    client.say("EHLO peer.test")
    # One packet where it fits; the large one arrives before the handshake all the same.
    client.send(b"STARTTLS\r\n" + injected[:30_000])
    assert client.read().startswith("220")
    client.wrap()
    assert client.say("NOOP").startswith("250")
    assert client.say("RCPT TO:<ann@mtumail.test>").startswith("503")
    assert client.mail(BODY).startswith("250")
    assert [one.envelope_from for one in server.deliveries] == ["bob@peer.test"]


def test_pipelined_commands_after_tls_are_kept(secure_client):
    secure_client.say("EHLO peer.test")
    secure_client.secure()
    secure_client.send(b"EHLO a\r\nNOOP\r\nNOOP\r\n")
    assert [secure_client.read()[:3] for _ in range(3)] == ["250", "250", "250"]


def test_a_large_message_over_tls_is_whole(serve, certificate):
    server = serve(certificate)
    client = server.client()
    client.say("EHLO peer.test")
    client.secure()
    content = BODY + b"0123456789abcdef" * 64 + b"\r\n"
    content += b"".join(b"%08d\r\n" % number for number in range(300_000))
    assert client.mail(content).startswith("250")
    assert server.deliveries[0].raw.endswith(b"\r\n" + content)


def test_P13_old_tls_is_refused(serve, certificate):
    server = serve(certificate)
    client = server.client()
    client.say("EHLO peer.test", "STARTTLS")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(client.socket)
    assert server.client().mail(BODY).startswith("250")


def test_a_broken_handshake_frees_its_place(serve, certificate, wait_until):
    server = serve(certificate, connections=1)
    client = server.client()
    client.say("EHLO peer.test", "STARTTLS")
    client.send(b"this is not a handshake at all, not at all\r\n")
    wait_until(lambda: server.server.sessions == 0)
    assert server.client().mail(BODY).startswith("250")


def test_a_handshake_that_never_comes_is_given_up(serve, certificate, wait_until):
    server = serve(certificate, tls_handshake=0.2)
    client = server.client()
    client.say("EHLO peer.test", "STARTTLS")
    wait_until(lambda: server.server.sessions == 0)
    assert client.socket.recv(1) == b""


def test_tls_twice_and_with_an_argument(secure_client):
    secure_client.say("EHLO peer.test")
    assert secure_client.say("STARTTLS now").startswith("501")
    secure_client.secure()
    secure_client.say("EHLO peer.test")
    assert secure_client.say("STARTTLS").startswith("503")


def test_hanging_up_in_the_middle_over_tls_stores_nothing(serve, certificate, wait_until):
    server = serve(certificate)
    client = server.client()
    client.say("EHLO peer.test")
    client.secure()
    client.start()
    client.send(BODY)
    client.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: server.server.sessions == 0)
    assert server.deliveries == []


def served_certificate(server):
    client = server.client()
    client.say("EHLO peer.test")
    client.secure()
    return client.socket.getpeercert(binary_form=True)


def test_a_new_certificate_is_taken_and_a_broken_one_is_not(serve, certificate, new_certificate):
    server = serve(certificate)
    first = served_certificate(server)
    chain, _ = new_certificate()
    server.server.reload_certificate()
    second = served_certificate(server)
    assert first != second
    chain.write_text("not a certificate")
    server.server.reload_certificate()
    assert served_certificate(server) == second
