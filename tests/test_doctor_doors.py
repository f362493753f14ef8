"""The doctor at our own doors: health pages, the web app through its proxy, the MX name; and the keys in DNS."""

import base64
import http.server
import socket
import ssl
import threading
from datetime import timedelta

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from sqlalchemy import text

from webmail import provision
from webmail.checkup import doors, outside
from webmail.config import Settings

TRUSTING = ssl.create_default_context


def _url(role):
    return f"postgresql+psycopg://{role}@db/mtumail"


@pytest.fixture
def page():
    """An HTTP server that answers every path with (status, words); where it is."""
    started = []

    def start(status, words, context=None):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(words)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        started.append(server)
        return server.server_address

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()


def test_health_pages_say_how_it_is(page, closed):
    def told(status, words):
        settings = Settings(worker_health_listen=page(status, words), database_url=_url(provision.WORKER))
        [one] = doors.pages(settings)
        return one.what, one.state, one.words

    assert told(200, b"ready\n") == ("worker", "ok", "ready")
    assert told(503, b"not ready: redis\n") == ("worker", "bad", "not ready: redis")
    [one] = doors.pages(Settings(smtp_health_listen=closed, database_url=_url(provision.INBOUND)))
    assert (one.what, one.state) == ("inbound", "warn")
    assert list(doors.pages(Settings(smtp_health_listen=closed, database_url=_url(provision.WEB)))) == []
    assert list(doors.pages(Settings())) == []


@pytest.fixture
def origin(page, self_signed, tmp_path, monkeypatch):
    """The web app behind TLS at an address of its own, whose authority this machine knows; its settings."""

    def start(status=200, words=b"ready\n", name="127.0.0.1", trusted=True):
        whole, key = self_signed("mail.example.com", name)
        (tmp_path / "mail.pem").write_bytes(whole + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "mail.pem")
        _, port = page(status, words, context)
        known = TRUSTING(cadata=whole.decode() if trusted else None)
        monkeypatch.setattr(doors.ssl, "create_default_context", lambda: known)
        return Settings(origin=f"https://127.0.0.1:{port}", database_url=_url(provision.WEB))

    return start


def _states(found):
    return [(one.what, one.state) for one in found]


def test_the_web_app_is_reached_through_its_proxy(origin, closed):
    assert _states(doors.front(origin())) == [("origin", "ok"), ("origin", "ok")]
    found = list(doors.front(origin(502, b"Bad Gateway")))
    assert _states(found) == [("origin", "ok"), ("origin", "warn")]
    assert "mtumail web" in found[1].mend
    away = Settings(origin=f"https://127.0.0.1:{closed[1]}", database_url=_url(provision.WEB))
    assert _states(doors.front(away)) == [("origin", "warn")]
    assert list(doors.front(Settings(origin="http://mail.localhost:8000"))) == []


def test_a_certificate_that_browsers_do_not_believe_or_that_ends_is_told(origin, monkeypatch):
    for settings in (origin(trusted=False), origin(name="127.0.0.2")):
        [one] = doors.front(settings)
        assert (one.state, "not believed" in one.words) == ("bad", True)
    monkeypatch.setattr(doors, "ENDS_SOON", timedelta(days=40))
    assert _states(doors.front(origin()))[0] == ("origin", "warn")
    monkeypatch.setattr(doors, "ENDS_NOW", timedelta(days=35))
    assert _states(doors.front(origin()))[0] == ("origin", "bad")


def test_the_mx_name_leads_to_our_greeting(monkeypatch):
    def looked(greeting):
        server = socket.create_server(("127.0.0.1", 0))

        def say():
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting)

        threading.Thread(target=say, daemon=True).start()
        create = socket.create_connection
        monkeypatch.setattr(
            doors.socket, "create_connection", lambda _to, wait: create(server.getsockname(), wait)
        )
        settings = Settings(
            host_name="mx.example.com", smtp_listen=(("0.0.0.0", 25),), database_url=_url(provision.INBOUND)
        )
        try:
            [one] = doors.exchanger(settings)
            return one.state
        finally:
            monkeypatch.undo()
            server.close()

    assert looked(b"220 mx.example.com ESMTP\r\n") == "ok"
    assert looked(b"220 other.example ESMTP\r\n") == "bad"
    elsewhere = Settings(
        host_name="mx.example.com", smtp_listen=(("0.0.0.0", 2525),), database_url=_url(provision.INBOUND)
    )
    assert _states(doors.exchanger(elsewhere)) == [("mx", "warn")]
    assert list(doors.exchanger(Settings(host_name="mx.example.com"))) == []


# --- keys in DNS ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def signing(empty, superuser, settings):
    superuser.execute(text("INSERT INTO domain (domain_id, name) VALUES (7, 'example.com')"))
    superuser.execute(
        text(
            "INSERT INTO dkim_key (domain_id, selector, algorithm, public_key, wrapped, state, activated_at)"
            " VALUES (7, 'm202611a', 'ed25519', '\\x" + "07" * 32 + "', '\\x00', 'active', now())"
        )
    )
    return settings


@pytest.fixture
def resolver():
    """A name server with one TXT record for each name."""
    sockets = []

    def start(records):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        sockets.append(server)

        def serve():
            while True:
                try:
                    asked, who = server.recvfrom(4096)
                except OSError:
                    return
                if not asked:
                    return
                query = dns.message.from_wire(asked)
                answer = dns.message.make_response(query)
                name = query.question[0].name.to_text().lower()
                if name in records and query.question[0].rdtype == dns.rdatatype.TXT:
                    answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", records[name]))
                else:
                    answer.set_rcode(dns.rcode.NXDOMAIN)
                server.sendto(answer.to_wire(), who)

        threading.Thread(target=serve, daemon=True).start()
        return server.getsockname()

    yield start
    for server in sockets:
        server.close()


OWNER = "m202611a._domainkey.example.com."
PUBLIC = base64.b64encode(b"\x07" * 32).decode()


@pytest.mark.parametrize("role", ["web", "worker", "inbound", "owner"])
@pytest.mark.parametrize(
    ("record", "state"),
    [
        (f'"v=DKIM1; k=ed25519; t=s; p={PUBLIC}"', "ok"),
        (f'"v=DKIM1;k=ed25519; p={PUBLIC[:20]} " "{PUBLIC[20:]}"', "ok"),
        ('"v=DKIM1; k=ed25519; p="', "bad"),
        (f'"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(32)).decode()}"', "bad"),
        (None, "bad"),
    ],
)
def test_the_keys_that_sign_are_those_in_dns(signing, resolver, role, record, state):
    records = {} if record is None else {OWNER: record}
    told = Settings(
        host_name="mx.example.com", database_url=signing(role).database_url, dns_servers=(resolver(records),)
    )
    [one] = [one for one in outside.names(told) if one.what == "dkim"]
    assert one.state == state
    if state == "bad":
        assert "keys dkim list example.com" in one.mend
