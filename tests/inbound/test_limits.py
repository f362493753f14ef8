"""Every limit, at it and just over it, on a real server."""

import time
from ipaddress import ip_network

import pytest

from inbound.limits import Budget, Gate, Limits, contains, data_deadline, parse_networks

BODY = b"Subject: x\r\n\r\nbody\r\n"


def test_message_bytes(serve):
    server = serve(message_bytes=70_000)
    lines = b"\r\n" + (b"x" * 998 + b"\r\n") * 69
    at = lines + b"y" * (70_000 - len(lines) - 2) + b"\r\n"
    client = server.client()
    assert client.mail(at).startswith("250")
    assert client.mail(at[:-2] + b"z\r\n").startswith("552 5.3.4")
    assert client.start(parameters=" SIZE=70000").startswith("354")
    client.send(at * 20 + b".\r\n")  # a declared size that was a lie
    assert client.read().startswith("552 5.3.4 Message larger than 70000 bytes")
    assert client.say("MAIL FROM:<b@p.test> SIZE=70001").startswith("552")
    assert client.mail(BODY).startswith("250")
    assert len(server.deliveries) == 2
    assert server.server.bytes_in_flight == 0


def test_body_lines(serve):
    server = serve(body_line_bytes=5_000)
    client = server.client()
    assert client.mail(BODY + b"x" * 4_998 + b"\r\n").startswith("250")
    assert client.mail(BODY + b"x" * 4_999 + b"\r\n").startswith("554 5.6.0")
    assert len(server.deliveries) == 1


def test_a_line_of_a_mebibyte_is_ordinary(server, client):
    assert client.mail(BODY + b"x" * ((1 << 20) - 2) + b"\r\n").startswith("250")
    assert client.mail(BODY + b"x" * ((1 << 20) - 1) + b"\r\n").startswith("554")


def test_command_lines(client):
    assert client.say("NOOP " + "x" * (512 - 7)).startswith("250")
    assert client.say("NOOP " + "x" * (513 - 7)).startswith("500 5.5.2")
    assert client.say("NOOP " + "x" * 8_000).startswith("500 5.5.2")
    client.say("EHLO p")
    padding = " " * (565 - len("MAIL FROM:<b@p.test> SIZE=1\r\n"))
    assert client.say(f"MAIL FROM:<b@p.test>{padding} SIZE=1").startswith("250")
    client.say("RSET")
    assert client.say(f"MAIL FROM:<b@p.test>{padding}  SIZE=1").startswith("500")


def test_a_command_line_without_end_is_cut(server, client):
    client.send(b"x" * 40_000)
    assert client.read().startswith("421")
    assert client.read() == ""


def test_recipients_of_one_message(serve):
    server = serve(recipients=3, recipient_overshoot=2)
    client = server.client()
    client.say("EHLO p", "MAIL FROM:<b@p.test>")
    codes = [client.say(f"RCPT TO:<many{number}@mtumail.test>")[:3] for number in range(5)]
    assert codes == ["250", "250", "250", "452", "452"]
    assert client.say("DATA").startswith("354")
    client.send(BODY + b".\r\n")
    assert client.read().startswith("250")
    assert len(server.deliveries[0].recipients) == 3
    client.say("MAIL FROM:<b@p.test>")
    for number in range(3):
        client.say(f"RCPT TO:<many{number}@mtumail.test>")
    assert client.say("RCPT TO:<many9@mtumail.test>").startswith("421")


def test_declared_size_times_recipients(serve):
    client = serve(fan_out_bytes=3_000).client()
    client.say("EHLO p", "MAIL FROM:<b@p.test> SIZE=1000")
    codes = [client.say(f"RCPT TO:<many{number}@mtumail.test>")[:3] for number in range(4)]
    assert codes == ["250", "250", "250", "452"]


def test_bad_commands(serve):
    client = serve(bad_commands=3, error_pause=0.5).client()
    began = time.monotonic()
    assert [client.say("WIBBLE")[:3] for _ in range(3)] == ["500"] * 3
    assert time.monotonic() - began < 0.5
    assert client.say("WIBBLE").startswith("421 4.7.0")
    assert time.monotonic() - began >= 0.5
    assert client.read() == ""


def test_the_good_bye_is_heard_above_what_was_pipelined(serve):
    client = serve(bad_commands=3).client()
    client.send(b"WIBBLE\r\n" * 5_000)
    assert [client.read()[:3] for _ in range(5)] == ["500", "500", "500", "421", ""]


def test_recipient_errors(serve):
    client = serve(recipient_errors=3).client()
    client.say("EHLO p", "MAIL FROM:<b@p.test>")
    assert [client.say(f"RCPT TO:<no{number}@mtumail.test>")[:3] for number in range(3)] == ["550"] * 3
    assert client.say("RCPT TO:<ann@mtumail.test>").startswith("250")
    assert client.say("RCPT TO:<no@mtumail.test>").startswith("421 4.7.0")


def test_full_mailboxes_are_no_recipient_errors(serve):
    client = serve(recipient_errors=1).client()
    client.say("EHLO p", "MAIL FROM:<b@p.test>")
    assert {client.say("RCPT TO:<stuffed@mtumail.test>")[:3] for _ in range(5)} == {"452"}


@pytest.mark.parametrize("command", ["NOOP", "RSET", "VRFY x", "HELP", "EHLO p"])
def test_junk_commands(serve, command):
    client = serve(junk_commands=5).client()
    assert all(client.say(command).startswith("2") for _ in range(5))
    assert client.say(command).startswith("421 4.7.0")


def test_mail_makes_up_for_junk(serve):
    client = serve(junk_commands=5).client()
    for _ in range(5):
        assert client.say("NOOP", "NOOP", "RSET").startswith("250")
        assert client.mail(BODY).startswith("250")


def test_connections_from_one_address(serve, wait_until):
    server = serve(connections_per_ip=3, trusted_networks=())
    clients = [server.client(source="127.0.0.2") for _ in range(3)]
    refused = server.client(source="127.0.0.2")
    assert refused.greeting.startswith("421 4.7.0")
    assert refused.read() == ""
    assert server.client(source="127.0.0.3").greeting.startswith("220")
    clients[0].close()
    wait_until(lambda: server.server.sessions == 3)
    assert server.client(source="127.0.0.2").greeting.startswith("220")


def test_new_connections_from_one_address(serve):
    server = serve(new_per_ip_per_minute=3, trusted_networks=parse_networks("127.0.0.9/32"))
    for number in range(3):
        client = server.client(source="127.0.0.2")
        assert client.greeting.startswith("220"), number
        client.say("QUIT")
    assert server.client(source="127.0.0.2").greeting.startswith("421")
    assert {server.client(source="127.0.0.9").greeting[:3] for _ in range(10)} == {"220"}


def test_all_connections(serve):
    server = serve(connections=5)
    assert {server.client().greeting[:3] for _ in range(5)} == {"220"}
    assert server.client().greeting.startswith("421 4.3.2")


def test_a_full_house_makes_room_at_the_cost_of_the_slowest(serve):
    server = serve(connections=5, evict_after=0.2)
    idle = [server.client() for _ in range(4)]
    busy = server.client()
    busy.start()
    busy.send(b"x" * 50_000)
    time.sleep(0.3)
    assert server.client().mail(BODY).startswith("250")
    assert idle[0].read().startswith("421 4.3.2")
    assert all(one.say("NOOP").startswith("250") for one in idle[1:])
    busy.send(b"\r\n.\r\n")
    assert busy.read().startswith("250")


def test_many_idle_connections_do_not_keep_mail_out(serve):
    server = serve(connections=300, evict_after=0.1)
    idle = [server.client() for _ in range(300)]
    time.sleep(0.2)
    began = time.monotonic()
    assert server.client(source="127.0.0.5").mail(BODY).startswith("250")
    assert time.monotonic() - began < 5
    assert len(idle) == 300


def test_idle(serve):
    client = serve(idle=0.2).client()
    assert client.read().startswith("421 4.4.2 Idle")


def test_dripping_a_command_is_idling(serve):
    client = serve(idle=0.3).client()
    for _ in range(3):
        client.send(b"N")
        time.sleep(0.1)
    assert client.read().startswith("421 4.4.2")


def test_session(serve):
    client = serve(session=0.3).client()
    while (answer := client.say("NOOP")).startswith("250"):
        time.sleep(0.05)
    assert answer.startswith("421 4.4.2 Session")


def test_slow_content(serve):
    server = serve(data_grace=0.3, data_rate=10_000)
    slow, fast = server.client(), server.client()
    fast.start()
    fast.send(b"x" * 50_000)
    slow.start()
    slow.send(b"x" * 100)
    assert slow.read().startswith("421 4.4.2 Data")
    fast.send(b"\r\n.\r\n")
    assert fast.read().startswith("250")
    assert server.server.bytes_in_flight == 0


def test_idle_in_content(serve):
    client = serve(idle=0.2).client()
    client.start()
    assert client.read().startswith("421 4.4.2 Idle")


def test_bytes_in_flight(serve):
    server = serve(in_flight_bytes=100_000)
    first, second = server.client(), server.client()
    first.start()
    first.send(b"x" * 90_000)
    time.sleep(0.2)
    assert server.server.bytes_in_flight == 90_000
    assert second.mail(b"y" * 50_000 + b"\r\n").startswith("452 4.3.1")
    assert second.say("MAIL FROM:<b@p.test> SIZE=50000").startswith("452 4.3.1")
    first.send(b"\r\n.\r\n")
    assert first.read().startswith("250")
    assert second.mail(b"y" * 50_000 + b"\r\n").startswith("250")


# --- the counters alone


def test_gate_counts_an_ipv6_network_as_one_peer():
    gate = Gate(Limits(connections_per_ip=2))
    assert gate.enter("2001:db8::1") is None
    assert gate.enter("2001:db8::2") is None
    assert gate.enter("2001:db8::3") == "too_many_from_you"
    assert gate.enter("2001:db8:0:1::1") is None
    gate.leave("2001:db8::2")
    assert gate.enter("2001:db8::4") is None
    assert gate.total == 3


def test_gate_forgets_who_has_left():
    gate = Gate(Limits())
    for number in range(200):
        assert gate.enter(f"192.0.2.{number}") is None
        gate.leave(f"192.0.2.{number}")
    assert gate.total == 0
    assert gate._per_ip == {}


def test_networks():
    networks = parse_networks("10.0.0.0/8, 2001:db8::/32")
    assert networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert contains(networks, "::ffff:10.1.2.3")
    assert not contains(networks, "11.0.0.1")
    assert not contains(networks, "")
    with pytest.raises(ValueError, match="does not appear"):
        parse_networks("10.0.0.0/8, everywhere")


def test_budget():
    budget = Budget(10)
    assert budget.take(10)
    assert not budget.take(1)
    budget.give(4)
    assert budget.take(4)


def test_data_deadline_moves_with_the_bytes():
    limits = Limits(data_grace=30, data_rate=500, idle=300, session=600)
    assert data_deadline(limits, 1000, 1000, 0) == (1030, "too_slow")
    assert data_deadline(limits, 1000, 1030, 20_000) == (1040, "too_slow")
    assert data_deadline(limits, 1000, 1001, 10**6) == (1301, "idle")
    assert data_deadline(limits, 1000, 1500, 10**6) == (1600, "session_over")
