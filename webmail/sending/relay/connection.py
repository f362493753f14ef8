"""One SMTP session with a relay: connect, TLS, sign-in, commands and replies. Knows nothing of messages.

Not smtplib: it sends the final dot together with the content, so a caller cannot commit before it; it has no pipelining, no
limit on the time of a whole reply, and hands out unchecked bytes.
"""

import base64
import ipaddress
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Final

from webmail.sending.relay.outcomes import Reply, Trouble, read_reply
from webmail.sending.relay.settings import RelaySettings

Transcript = Callable[[str, str], None]
"""Called with who speaks ("C", "S", or "-" for a remark) and a line, secrets already hidden."""

_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]?)(.*)", re.DOTALL)
_MAX_LINE: Final = 4096
_MAX_LINES: Final = 200


HIDDEN: Final = "********"


class SessionError(Exception):
    """The session is over. `reply` says why, in the relay's words where it used any."""

    def __init__(self, why: str, reply: Reply | None = None, *, trouble: Trouble = "session") -> None:
        super().__init__(why)
        self.reply = reply or Reply(0, "", why)
        self.trouble = trouble


class Connection:
    """An open, greeted, secured and signed-in session. Raises SessionError from everything but `close`."""

    def __init__(self, settings: RelaySettings, transcript: Transcript | None = None) -> None:
        self._settings = settings
        self._transcript = transcript
        self._pending = b""
        self._secrets = _spellings(settings.username, settings.password)
        self.capabilities: dict[str, str] = {}
        self.messages = 0
        self.used_at = time.monotonic()
        self._socket = self._connect()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    # --- opening ---------------------------------------------------------------------------------------------------

    @property
    def tls(self) -> str:
        """The version of TLS, as Python calls it (TLSv1.3); "" where the connection is not encrypted."""
        return (self._socket.version() or "") if isinstance(self._socket, ssl.SSLSocket) else ""

    def _connect(self) -> socket.socket:
        settings = self._settings
        self._remark(f"connecting to {settings.label}")
        try:
            plain = socket.create_connection((settings.host, settings.port), settings.connect_timeout)
        except TimeoutError:
            raise SessionError("the relay did not answer in time", trouble="connect") from None
        except OSError as error:
            raise SessionError(f"could not connect to the relay ({_why(error)})", trouble="connect") from None
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = plain.getpeername()[0]
            if settings.must_be_loopback and not ipaddress.ip_address(peer.partition("%")[0]).is_loopback:
                raise SessionError(
                    "the relay is not on this host and the connection would not be encrypted", trouble="tls"
                )
            return self._secured(plain) if settings.security == "tls" else plain
        except OSError as error:
            plain.close()
            raise SessionError(f"could not connect to the relay ({_why(error)})", trouble="connect") from None
        except BaseException:
            plain.close()
            raise

    def _secured(self, plain: socket.socket) -> socket.socket:
        plain.settimeout(self._settings.connect_timeout)
        try:
            context = self._settings.tls_context()
            secured = context.wrap_socket(plain, server_hostname=self._settings.host)
        except ssl.SSLCertVerificationError as error:
            why = f"the relay's certificate is not valid ({error.verify_message})"
            raise SessionError(why, trouble="tls") from None
        except (OSError, ValueError) as error:
            raise SessionError(f"no secure connection to the relay ({_why(error)})", trouble="tls") from None
        self._remark(f"encrypted with {secured.version()}")
        return secured

    def _open(self) -> None:
        greeting = self.reply("the greeting")
        if greeting.code != 220:
            raise SessionError("the relay refused the connection", greeting)
        self._hello()
        if self._settings.security == "starttls":
            self._start_tls()
            self._hello()
        if self._settings.username:
            self._sign_in()

    def _hello(self) -> None:
        reply = self.ask(f"EHLO {self._name()}")
        self.capabilities = {}
        if reply.code in (500, 502) and self._settings.security == "none":
            reply = self.ask(f"HELO {self._name()}")
            if reply.code == 250:
                return
        if reply.code != 250:
            raise SessionError("the relay refused our greeting", reply)
        for line in reply.lines[1:]:
            keyword, _, parameters = line.partition(" ")
            if keyword.upper().startswith("AUTH="):  # before RFC 2554, and still about
                keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
            keyword = keyword.upper()
            known = self.capabilities.get(keyword, "")
            self.capabilities[keyword] = f"{known} {parameters}".strip()

    def _name(self) -> str:
        if self._settings.helo:
            return self._settings.helo
        own = self._socket.getsockname()[0].partition("%")[0]
        return f"[IPv6:{own}]" if ":" in own else f"[{own}]"

    def _start_tls(self) -> None:
        if "STARTTLS" not in self.capabilities:
            raise SessionError("the relay offers no STARTTLS", trouble="tls")
        reply = self.ask("STARTTLS")
        if reply.code != 220:
            raise SessionError("the relay refused STARTTLS", reply, trouble="tls")
        if self._pending:
            # What came in clear may be anybody's, and would be taken for words that were said under TLS.
            raise SessionError("the relay sent more than its answer to STARTTLS in clear", trouble="tls")
        self._socket = self._secured(self._socket)

    def _sign_in(self) -> None:
        if not isinstance(self._socket, ssl.SSLSocket):
            raise SessionError("the connection is not encrypted, so the password was not sent", trouble="tls")
        offered = self.capabilities.get("AUTH", "").upper().split()
        user, password = (self._settings.username.encode(), self._settings.password.encode())
        if "PLAIN" in offered:
            token = base64.b64encode(b"\0" + user + b"\0" + password).decode()
            if len(token) <= 480:
                reply = self.ask(f"AUTH PLAIN {token}", shown=f"AUTH PLAIN {HIDDEN}")
            else:
                reply = self.ask("AUTH PLAIN")
                reply = self.ask(token, shown=HIDDEN) if reply.code == 334 else reply
        elif "LOGIN" in offered:
            reply = self.ask("AUTH LOGIN")
            for secret in (user, password):
                if reply.code == 334:
                    reply = self.ask(base64.b64encode(secret).decode(), shown=HIDDEN)
        else:
            raise SessionError("the relay offers neither AUTH PLAIN nor AUTH LOGIN", trouble="sign-in")
        if reply.code != 235:
            # 4xx is its trouble, for now; anything else is a sign-in that will not be right the next time either.
            later = 400 <= reply.code < 500
            raise SessionError(
                "the relay refused our sign-in", reply, trouble="session" if later else "sign-in"
            )

    # --- speaking --------------------------------------------------------------------------------------------------

    def ask(self, command: str, shown: str = "") -> Reply:
        """Send one command line (no line end) and read its reply; `shown` stands for it in the transcript."""
        self.say([command], shown)
        return self.reply("AUTH" if shown else command.partition(" ")[0])

    def say(self, commands: Iterable[str], shown: str = "") -> None:
        """Send command lines in one go."""
        lines = list(commands)
        if any("\r" in line or "\n" in line or "\0" in line for line in lines):
            raise ValueError("a command has a line end in it")
        for line in lines:
            self._note("C", shown or line)
        self.send("".join(f"{line}\r\n" for line in lines).encode("utf-8"), self._settings.command_timeout)

    def send(self, data: bytes, timeout: float) -> None:
        """Send octets as they are. `ConnectionError` as the cause means that none of them were taken."""
        self.used_at = time.monotonic()
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(data)
        except TimeoutError as error:
            raise SessionError("the relay took no data in time") from error
        except OSError as error:
            raise SessionError(f"the connection to the relay was lost ({_why(error)})") from error

    def reply(self, to: str, timeout: float | None = None) -> Reply:
        """Read one reply, all its lines within `timeout` seconds (default: the time for a command)."""
        deadline = time.monotonic() + (self._settings.command_timeout if timeout is None else timeout)
        code, texts = 0, []
        while True:
            line = self._line(deadline, to)
            found = _LINE.fullmatch(line)
            if not found or (code and int(found[1]) != code) or (not found[2] and found[3]):
                raise SessionError(f"the relay's answer to {to} makes no sense")
            code = int(found[1])
            texts.append(self._without_secrets(found[3]))
            self._note("S", read_reply(code, [line[: -len(found[3]) or None] + texts[-1]]).text)
            if found[2] != b"-":
                self.used_at = time.monotonic()
                return read_reply(code, texts)
            if len(texts) >= _MAX_LINES:
                raise SessionError(f"the relay's answer to {to} does not end")

    def _line(self, deadline: float, to: str) -> bytes:
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0:
                raise SessionError(f"the relay did not answer {to} in time")
            if len(self._pending) > _MAX_LINE:
                raise SessionError(f"the relay's answer to {to} is too long")
            try:
                self._socket.settimeout(left)
                got = self._socket.recv(16384)
            except TimeoutError:
                raise SessionError(f"the relay did not answer {to} in time") from None
            except OSError as error:
                raise SessionError(f"the connection to the relay was lost at {to} ({_why(error)})") from None
            if not got:
                raise SessionError(f"the relay closed the connection at {to}")
            self._pending += got
        line, _, self._pending = self._pending.partition(b"\n")
        return line.removesuffix(b"\r")

    def _without_secrets(self, said: bytes) -> bytes:
        """Some relays repeat what they refuse, and what a relay says is kept and shown."""
        for secret in self._secrets:
            said = said.replace(secret, HIDDEN.encode())
        return said

    def is_quiet(self) -> bool:
        """Whether the relay has neither spoken nor hung up since its last reply. Takes no time."""
        if self._pending or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def quit(self) -> None:
        """Say goodbye without waiting long, and close."""
        try:
            self.say(["QUIT"])
            self.reply("QUIT", min(2.0, self._settings.command_timeout))
        except SessionError:
            pass
        self.close()

    def close(self) -> None:
        self._socket.close()

    def _note(self, who: str, line: str) -> None:
        if self._transcript:
            self._transcript(who, line)

    def _remark(self, line: str) -> None:
        self._note("-", line)


def _spellings(user: str, password: str) -> tuple[bytes, ...]:
    """A password in all the forms in which a sign-in holds it, longest first; one of three letters would hide plain words."""
    if len(password) < 4:
        return ()
    name, secret = user.encode(), password.encode()
    plain = base64.b64encode(b"\0" + name + b"\0" + secret)
    return (plain, base64.b64encode(secret), secret)


def _why(error: Exception) -> str:
    """What went wrong in a few words: never a path, never an address."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS").replace("_", " ").lower()
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return (
        (error.strerror or type(error).__name__).lower() if isinstance(error, OSError) else "bad TLS settings"
    )
