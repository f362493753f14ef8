"""A Valkey server of our own, on a Unix socket alone. What it holds only wakes workers, yet it survives being killed: an
append-only file, written out every second."""

import os
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from webmail.embedded.process import (
    EmbeddedError,
    Identity,
    lock,
    private_folder,
    remove_socket_folder,
    socket_folder,
)
from webmail.embedded.programs import valkey_program
from webmail.embedded.server import EmbeddedServer

_SOCKET = "valkey.sock"
_LOCK_SECONDS = 5.0  # a killed supervisor's server takes a moment to end


class ValkeyServer(EmbeddedServer):
    """One server over the folder `data_dir`."""

    name = "valkey"

    def __init__(self, data_dir: Path, *, program: Path | None = None, log_path: Path | None = None) -> None:
        super().__init__(data_dir, log_path)
        self._program = program
        self._sockets: Path | None = None

    @property
    def socket_path(self) -> Path:
        """The socket; known once prepared."""
        assert self._sockets is not None, "prepare() comes first"
        return self._sockets / _SOCKET

    @property
    def url(self) -> str:
        """The address for redis-py and RQ."""
        return f"unix://{quote(str(self.socket_path), safe='/')}"

    def prepare(self) -> tuple[int, ...]:
        private_folder(self.data_dir)
        held = lock(self.data_dir / "server.lock", wait=_LOCK_SECONDS)
        if held is None:
            raise EmbeddedError(f"the Valkey in {self.data_dir} is already being run by another process")
        try:
            self._program = self._program or valkey_program()
            self._sockets = socket_folder(self.data_dir, _SOCKET)
        except BaseException:
            os.close(held)
            raise
        return (held,)

    def command(self) -> list[str]:
        assert self._program is not None, "prepare() comes first"
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "notice",
            "logfile": "",
            "always-show-logo": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return Identity().launch([str(self._program), *words], signal.SIGTERM)

    def ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(2)
                probe.connect(str(self.socket_path))
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def release(self) -> None:
        remove_socket_folder(self._sockets, self.data_dir)
