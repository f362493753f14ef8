"""Several relays, their rests, and the test mail: against peers over sockets."""

import contextlib
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from webmail import config
from webmail.commands.relay import relay as command
from webmail.errors import SettingError
from webmail.mail.addresses import AddressError
from webmail.sending.relay import Forgetful, Relays, RelaySettings, Rest, refuse_unclean, several, trial
from webmail.sending.relay.outcomes import MAX_REPLY
from webmail.sending.relay.settings import MOST_RELAYS, PRESETS

ANN, BEN, EVE = "ann@mtumail.test", "ben@example.org", "eve@example.net"
RAW = b"From: ann@mtumail.test\r\nSubject: hello\r\n\r\nOne line.\r\n"


class Peer:
    """An SMTP server that answers a verb, or an address, as `says` orders; "CLOSE" hangs up. It counts what it took."""

    def __init__(self, offers: str = "PIPELINING", **says: str) -> None:
        self.offers, self.says = offers, says
        self.verbs: list[str] = []
        self.mails: list[tuple[tuple[str, ...], bytes]] = []
        self.sessions = 0
        self._server = socket.create_server(("127.0.0.1", 0), backlog=20)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def settings(self, name: str, **more: object) -> RelaySettings:
        return replace(RelaySettings.parse(f"smtp://127.0.0.1:{self.port}?timeout=5&name={name}"), **more)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                talk, _ = self._server.accept()
                talk.settimeout(10)
                threading.Thread(target=self._serve, args=[talk], daemon=True).start()

    def _serve(self, talk: socket.socket) -> None:
        self.sessions += 1
        with contextlib.suppress(OSError), talk, talk.makefile("rb") as lines:
            talk.sendall(self.says.get("greeting", "220 hi").encode() + b"\r\n")
            sender: str | None = None
            recipients: list[str] = []
            for line in lines:
                command = line.decode().rstrip("\r\n")
                verb = command.partition(" ")[0].upper()
                self.verbs.append(verb)
                path = command.split("<")[1].split(">")[0] if "<" in command else ""
                reply = self.says.get(path.partition("@")[0] if verb == "RCPT" else verb, "250 2.0.0 ok")
                if verb == "EHLO" and reply.startswith("250"):
                    reply = (
                        "250-peer\r\n" + "".join(f"250-{one}\r\n" for one in self.offers.split()) + "250 HELP"
                    )
                elif verb == "MAIL":
                    sender, recipients = (path if reply.startswith("2") else None), []
                elif verb == "RCPT":
                    reply = "503 5.5.1 MAIL first" if sender is None else reply
                    recipients += [path] if reply.startswith("2") else []
                elif verb == "DATA" and reply.startswith("2"):
                    reply = "354 go" if recipients else "503 5.5.1 no recipients"
                elif verb == "QUIT":
                    reply = "221 bye"
                if reply == "CLOSE":
                    return
                talk.sendall(reply.encode() + b"\r\n")
                if verb == "QUIT":
                    return
                if verb == "DATA" and reply.startswith("354"):
                    raw = b""
                    while (piece := lines.readline()) not in (b".\r\n", b""):
                        raw += piece.removeprefix(b".")
                    answer = self.says.get("DOT", "250 2.0.0 kept")
                    if piece and not answer.startswith(("4", "5")):
                        self.mails.append((tuple(recipients), raw))
                    if not piece or answer == "CLOSE":
                        return
                    talk.sendall(answer.encode() + b"\r\n")


@pytest.fixture
def peers() -> Iterator[object]:
    made: list[Peer] = []

    def make(**says: str) -> Peer:
        made.append(Peer(**says))
        return made[-1]

    yield make
    for peer in made:
        peer.stop()


@pytest.fixture
def away() -> RelaySettings:
    """A relay on a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    return RelaySettings.parse(f"smtp://127.0.0.1:{port}?timeout=1&name=away&weight=1000")


def second(peer: Peer, name: str = "second", **more: object) -> RelaySettings:
    """The one that is asked when the first will not do."""
    return peer.settings(name, weight=0, **more)


# --- choice --------------------------------------------------------------------------------------------------------------


def test_relays_are_drawn_by_weight(monkeypatch):
    monkeypatch.setattr(several, "random", random.Random(7))
    heavy, light, never = (
        RelaySettings("h.example", 465, "tls", name=name, weight=weight)
        for name, weight in (("heavy", 3), ("light", 1), ("never", 0))
    )
    firsts = Counter(several.drawn([never, light, heavy])[0].name for _ in range(2000))
    assert firsts["never"] == 0
    assert 1400 < firsts["heavy"] < 1600, "three of four"
    assert {one.name for one in several.drawn([never, light, heavy])} == {"heavy", "light", "never"}


def test_a_batch_keeps_to_one_relay_and_one_connection(peers):
    one, two = peers(), peers()
    with Relays([one.settings("one"), second(two)], Forgetful()) as relays:
        for _ in range(5):
            assert relays.send(ANN, [BEN], RAW).recipients[0].reply == "250 2.0.0 kept (one)"
    assert (one.sessions, len(one.mails), two.sessions) == (1, 5, 0)


def test_a_single_relay_is_not_named(peers):
    peer = peers()
    with Relays([peer.settings("one")], Forgetful()) as relays:
        outcome = relays.send(ANN, [BEN], RAW)
    assert (outcome.recipients[0].reply, outcome.relay) == ("250 2.0.0 kept", "one")


def test_a_long_reply_keeps_the_name(peers):
    one, two = peers(DOT="250 " + "x" * 2000), peers()
    with Relays([one.settings("one"), second(two)], Forgetful()) as relays:
        reply = relays.send(ANN, [BEN], RAW).recipients[0].reply
    assert len(reply) == MAX_REPLY
    assert reply.endswith(" (one)")


# --- fail over -----------------------------------------------------------------------------------------------------------

NOTHING_TAKEN = {
    "greeting": {"greeting": "421 busy"},
    "ehlo": {"EHLO": "CLOSE"},
    "mail for now": {"MAIL": "451 4.3.0 no room"},
    "mail 421": {"MAIL": "421 4.3.2 going"},
    "mail lost": {"MAIL": "CLOSE"},
    "every recipient for now": {"ben": "450 4.2.1 later", "eve": "452 4.2.2 later"},
    "data for now": {"DATA": "451 4.3.0 no"},
    "sign in first": {"MAIL": "530 5.7.0 sign in"},
}


@pytest.mark.parametrize("says", NOTHING_TAKEN.values(), ids=NOTHING_TAKEN)
def test_what_nobody_took_goes_to_the_next_relay(peers, says):
    first, other = peers(**says), peers()
    dots = []
    with Relays([first.settings("first"), second(other)], Forgetful()) as relays:
        outcome = relays.send(ANN, [BEN, EVE], RAW, before_dot=lambda: dots.append(relays.accepted))
    assert outcome.is_sent
    assert outcome.relay == "second"
    assert dots == [(BEN, EVE)]
    assert (len(first.mails), other.mails) == (0, [((BEN, EVE), RAW)])


def test_a_relay_that_is_away_is_passed_over(peers, away):
    other = peers()
    with Relays([away, second(other)], Forgetful()) as relays:
        assert relays.send(ANN, [BEN], RAW).is_sent
    assert len(other.mails) == 1


SOMETHING_TAKEN = {
    "one recipient": ({"eve": "450 4.2.1 later"}, {BEN: "sent", EVE: "deferred"}),
    "refused for good": ({"ben": "550 5.1.1 no", "eve": "450 4.2.1 later"}, {BEN: "failed", EVE: "deferred"}),
    "refused after the dot": ({"DOT": "451 4.3.0 later"}, {BEN: "deferred", EVE: "deferred"}),
    "no answer to the dot": ({"DOT": "CLOSE"}, {BEN: "unknown", EVE: "unknown"}),
    "mail for good": ({"MAIL": "550 5.7.1 not you"}, {BEN: "failed", EVE: "failed"}),
}


@pytest.mark.parametrize(("says", "kinds"), SOMETHING_TAKEN.values(), ids=SOMETHING_TAKEN)
def test_what_one_relay_took_or_refused_is_never_given_to_another(peers, says, kinds):
    first, other = peers(**says), peers()
    with Relays([first.settings("first"), second(other)], Forgetful()) as relays:
        outcome = relays.send(ANN, [BEN, EVE], RAW)
    assert {one.address: one.kind for one in outcome.recipients} == kinds
    assert (other.sessions, outcome.relay) == (0, "first")


def test_when_the_dot_is_not_allowed_no_other_relay_gets_the_message(peers):
    first, other = peers(), peers()

    def lost() -> None:
        raise LookupError

    with Relays([first.settings("first"), second(other)], Forgetful()) as relays:
        with pytest.raises(LookupError):
            relays.send(ANN, [BEN], RAW, before_dot=lost)
        assert relays.accepted == ()
    assert (first.mails, other.sessions) == ([], 0)


def test_what_is_beyond_one_relay_another_may_do(peers):
    plain, able = peers(), peers(offers="SMTPUTF8 8BITMIME")
    with Relays([plain.settings("plain"), second(able)], Forgetful()) as relays:
        assert relays.send(ANN, ["bén@example.org"], RAW).is_sent
    assert "MAIL" not in plain.verbs


def test_what_is_beyond_every_relay_has_failed_and_what_one_put_off_has_not(peers):
    plain, small = peers(), peers(offers="SMTPUTF8 8BITMIME", MAIL="451 4.3.0 later")
    for wanted, settings in (
        ("failed", [plain.settings("plain"), second(peers())]),
        ("deferred", [small.settings("small"), second(plain)]),
    ):
        with Relays(settings, Forgetful()) as relays:
            outcome = relays.send(ANN, ["bén@example.org"], RAW)
        assert outcome.recipients[0].kind == wanted
        assert outcome.recipients[0].enhanced == ("5.6.7" if wanted == "failed" else "4.3.0")


# --- rests ---------------------------------------------------------------------------------------------------------------


def test_rests_grow_from_a_minute_to_fifteen_and_a_sign_in_rests_at_once():
    waits = [several.rest_after(failures, "connect") for failures in range(1, 8)]
    assert waits == [60, 120, 240, 480, 900, 900, 900]
    assert several.rest_after(1, "sign-in") == 900
    assert several.rest_after(10_000, "tls") == 900


def test_a_resting_relay_is_left_alone_until_its_time(peers, away, monkeypatch):
    told: list[tuple[str, Rest]] = []
    rests, now = Forgetful(), [1_000_000.0]
    monkeypatch.setattr(several.time, "time", lambda: now[0])
    with Relays([away], rests, on_rest=lambda *args: told.append(args)) as relays:
        assert not relays.resting
        assert relays.send(ANN, [BEN], RAW).of("deferred") == (BEN,)
        assert relays.resting
        assert told == [("away", Rest(1, now[0] + 60, "connect"))]
        now[0] += 60
        assert not relays.resting, "one message may try it again"
        relays.send(ANN, [BEN], RAW)
        assert relays.resting
        assert told[-1][1] == Rest(2, now[0] + 120, "connect")
        now[0] += 120
    peer = peers()
    with Relays([peer.settings("away")], rests) as relays:
        assert relays.send(ANN, [BEN], RAW).is_sent
    assert rests.read("away") is None, "all is forgiven"


def test_while_one_rests_the_other_is_asked(peers, away):
    other, rests = peers(), Forgetful()
    with Relays([away, second(other)], rests) as relays:
        assert relays.send(ANN, [BEN], RAW).is_sent
        assert not relays.resting
        assert rests.read("away").failures == 1
        relays.send(ANN, [BEN], RAW)
    assert rests.read("away").failures == 1, "it was not asked again"
    assert len(other.mails) == 2


def test_three_messages_refused_for_now_are_a_relay_in_trouble_and_one_is_not(peers):
    peer, rests = peers(MAIL="450 4.7.1 too many"), Forgetful()
    with Relays([peer.settings("one")], rests) as relays:
        for _ in range(2):
            relays.send(ANN, [BEN], RAW)
        assert not relays.resting
        del peer.says["MAIL"]
        relays.send(ANN, [BEN], RAW)
        peer.says["MAIL"] = "450 4.7.1 too many"
        for number in range(3):
            assert not relays.resting, number
            relays.send(ANN, [BEN], RAW)
        assert relays.resting
        assert rests.read("one").trouble == "refusing"


def test_a_recipient_that_is_put_off_is_not_the_relay_s_trouble(peers):
    peer, rests = peers(ben="450 4.2.1 greylisted"), Forgetful()
    with Relays([peer.settings("one")], rests) as relays:
        for _ in range(10):
            assert relays.send(ANN, [BEN], RAW).of("deferred") == (BEN,)
        assert not relays.resting


# --- settings ------------------------------------------------------------------------------------------------------------


def test_several_urls_with_names_and_weights():
    one, two, three = RelaySettings.parse_all(
        "smtps://u:a%2Cb@one.example?name=first&weight=3 , smtp+starttls://u:a,b@two.example,smtp://127.0.0.1:2526,"
    )
    assert [(item.name, item.weight, item.port) for item in (one, two, three)] == [
        ("first", 3, 465),
        ("two.example:587", 1, 587),
        ("127.0.0.1:2526", 1, 2526),
    ]
    assert (one.password, two.password) == ("a,b", "a,b"), "only a comma before a scheme begins the next"
    named = RelaySettings.for_host("smtp://127.0.0.1:1?helo=a.example,smtp://127.0.0.1:2", "mx.example")
    assert [item.helo for item in named] == ["a.example", "mx.example"]


@pytest.mark.parametrize(
    "urls",
    [
        "smtps://u:sesame@a.example,smtps://u:sesame@a.example",
        "smtps://u:sesame@a.example?name=x,smtps://u:sesame@b.example?name=x",
        "smtps://u:sesame@a.example?name=",
        "smtps://u:sesame@a.example?name=a%20b",
        "smtps://u:sesame@a.example?weight=-1",
        "smtps://u:sesame@a.example?weight=1001",
        "smtps://u:sesame@a.example,frog://u:sesame@b.example",
        "smtps://u:sesame@a.example,sesame",
        ",".join(f"smtps://u:sesame@h{number}.example" for number in range(MOST_RELAYS + 1)),
        "",
    ],
)
def test_urls_that_are_refused_and_not_repeated(urls):
    with pytest.raises(ValueError) as caught:
        RelaySettings.parse_all(urls)
    assert "sesame" not in str(caught.value)


def test_the_second_of_two_is_named():
    with pytest.raises(ValueError, match="number 2 must begin with"):
        RelaySettings.parse_all("smtps://u:p@a.example,frog://b.example")


def test_the_preset_knows_ports_and_wants_a_sign_in():
    plain = RelaySettings.parse("mailcheap://ann%40example.com:pw@mail.example.com")
    assert (plain.port, plain.security, plain.username) == (587, "starttls", "ann@example.com")
    assert plain.label == "smtp+starttls://mail.example.com:587"
    assert RelaySettings.parse("mailcheap://ann:pw@mail.example.com:465").security == "tls"
    for bad in ("mailcheap://mail.example.com", "mailcheap://ann:pw@mail.example.com:25"):
        with pytest.raises(ValueError):
            RelaySettings.parse(bad)
    with pytest.raises(ValueError):
        RelaySettings.parse("mailcheap://ann:pw@mail.example.com?tls=none")
    assert all(preset.documented_at.startswith("https://") for preset in PRESETS.values())


# --- the test mail -------------------------------------------------------------------------------------------------------


def test_a_test_mail_is_automatic_and_fit_to_leave():
    raw = trial.build_mail(ANN, BEN, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    refuse_unclean(raw)
    head = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert b"Auto-Submitted: auto-generated" in head
    assert any(line.startswith(b"Date: Fri, 02 Jan 2026 03:04:05 ") for line in head)
    assert raw.isascii()
    with pytest.raises(AddressError):
        trial.build_mail(ANN, "ben@example.org>\r\nRCPT TO:<eve@example.net", datetime.now(UTC))


def test_the_conversation_is_written_down_without_the_message(peers):
    peer = peers()
    raw = trial.build_mail(ANN, BEN, datetime.now(UTC))
    tried = trial.try_relay(peer.settings("one"), ANN, BEN, raw)
    assert tried.outcome.is_sent
    said = [(line.who, line.text) for line in tried.lines]
    assert ("C", f"MAIL FROM:<{ANN}>") in said
    assert ("S", "250 2.0.0 kept") in said
    assert ("-", f"the message, {len(raw)} octets") in said
    assert not any("administrator" in text or "Auto-Submitted" in text for _, text in said)
    assert peer.mails == [((BEN,), raw)]


def test_trouble_is_the_last_line(away):
    tried = trial.try_relay(away, ANN, BEN, RAW)
    assert tried.lines[-1].text == "could not connect to the relay (connection refused)"
    assert not tried.outcome.is_sent


def test_a_conversation_without_end_is_cut():
    recorder = trial.Recorder()
    for number in range(trial.MOST_LINES + 7):
        recorder("S", "x" * 5000 if number == 3 else "y")
    assert len(recorder.lines) == trial.MOST_LINES + 1
    assert recorder.lines[-1].text == "7 more lines"
    assert len(recorder.lines[3].text) == trial.LONGEST_LINE + 1


@pytest.fixture
def run(monkeypatch):
    def call(urls: str, *arguments: str):
        monkeypatch.setenv("MTUMAIL_RELAY_URL", urls)
        monkeypatch.setenv("MTUMAIL_HOSTNAME", "mx.example")
        return CliRunner().invoke(command, list(arguments))

    return call


def test_the_command_shows_each_conversation_and_says_whether_all_took_it(run, peers):
    good, bad = peers(), peers(ben="550 5.1.1 nobody")
    urls = f"smtp://127.0.0.1:{good.port}?name=good,smtp://127.0.0.1:{bad.port}?name=bad"
    told = run(urls, "test", BEN)
    assert told.exit_code == 1
    assert "C MAIL FROM:<postmaster@mx.example>" in told.output
    assert "= sent: 250 2.0.0 kept" in told.output
    assert "= failed: 550 5.1.1 nobody" in told.output
    told = run(urls, "test", BEN, "--relay", "good", "--from", ANN)
    assert (told.exit_code, f"MAIL FROM:<{ANN}>" in told.output) == (0, True)
    assert run(urls, "test", BEN, "--relay", "frog").exit_code == 2
    assert len(good.mails) == 2


def test_the_command_lists_without_secrets(run):
    told = run("smtps://ann:sesame@a.example?name=one&weight=3,smtp://127.0.0.1:2526", "list")
    assert told.exit_code == 0
    assert told.output.splitlines() == [
        "one smtps://a.example:465 weight 3",
        "127.0.0.1:2526 smtp://127.0.0.1:2526 weight 1, no sign-in",
    ]
    assert "sesame" not in told.output


def test_a_bad_url_is_a_bad_setting(run):
    told = run("smtps://ann:sesame@a.example?frog=1", "list")
    assert isinstance(told.exception, SettingError)
    assert told.exception.__class__ is SettingError
    assert "sesame" not in str(told.exception)
    assert config.read().relay_url
