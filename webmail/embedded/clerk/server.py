"""The local Clerk as a server on loopback: in a process of its own (`__main__`) or in a thread, for tests."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from webmail.embedded.clerk import guards
from webmail.embedded.clerk.app import create
from webmail.embedded.clerk.controls import Controls
from webmail.embedded.clerk.credentials import local_environment, webhook_signing_secret
from webmail.embedded.clerk.names import DEVELOPMENT, Instance, describe
from webmail.embedded.clerk.seed import seed
from webmail.embedded.clerk.service import Local
from webmail.embedded.clerk.store import Store
from webmail.embedded.clerk.webhooks import Sender

log = logging.getLogger(__name__)
LOCK_NAME = "clerk.lock"
INSTANCE_ID = "ins_local"


@dataclass(frozen=True, slots=True)
class Options:
    """`environment` is MTUMAIL_ENV, `given_secret` a CLERK_SECRET_KEY to take instead of the one in the store."""

    data_dir: Path
    origin: str
    port: int = 0
    mode: str = DEVELOPMENT
    address: str = "127.0.0.1"
    webhook_url: str = ""
    environment: str = ""
    given_secret: str = ""
    demo: bool = True


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Method, path and status. The query may hold tokens and stays out."""
        log.info("%s %s %s", self.command, self.path.partition("?")[0], int(code) if code != "-" else 0)

    def log(self, type: str, message: str, *args: Any) -> None:
        log.warning("a request was not understood")


class LocalClerk:
    """One running instance. Use as a context manager, or `start` and `close`; `port` is known once it exists."""

    def __init__(self, options: Options) -> None:
        """Check the guards, open the store, bind the port.

        Raises guards.NotAllowed, ValueError (origin, mode or store unusable), OSError (port or folder taken).
        """
        guards.check(
            options.environment, options.address, options.mode, options.given_secret, options.webhook_url
        )
        describe(options.mode, options.origin, options.port)
        self.options = options
        store = Store(options.data_dir)
        self._lock = _hold(options.data_dir / LOCK_NAME)
        if options.demo:
            seed(store)
        try:
            self._server = _bind(options)
        except OSError:
            self._lock.close()
            raise
        self.port: int = self._server.port
        self.instance: Instance = describe(options.mode, options.origin, self.port)
        self.local = _instance(options, self.instance, store)
        self._server.app = create(self.local)
        self._thread: threading.Thread | None = None

    def environment(self) -> dict[str, str]:
        """The CLERK_* settings for the app that this instance serves."""
        settings = local_environment(self.port, self.options.origin, self.options.data_dir, self.options.mode)
        return {**settings, "CLERK_SECRET_KEY": self.local.secret}

    def start(self) -> Self:
        self._thread = threading.Thread(target=self.serve, name="local-clerk", daemon=True)
        self._thread.start()
        return self

    def serve(self) -> None:
        """Serve until `stop`. Each request has a thread; they do not keep the process alive."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """End `serve`, from another thread, and free the requests that are held on purpose."""
        self.local.closing.set()
        self.local.sender.close()
        self._server.shutdown()

    def close(self) -> None:
        if self._thread is not None:
            self.stop()
            self._thread.join(5)
        self._server.server_close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def _instance(options: Options, instance: Instance, store: Store) -> Local:
    controls = Controls()
    with store.reading() as data:
        secret = webhook_signing_secret(data.keys)
    sender = Sender(options.webhook_url, secret, INSTANCE_ID, controls.now)
    return Local(instance, store, sender, controls, options.given_secret)


def _bind(options: Options) -> BaseWSGIServer:
    server = make_server(options.address, options.port, _not_yet, threaded=True, request_handler=_Handler)
    # server_close() would otherwise wait for threads that are held on purpose or by an idle browser.
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.block_on_close = False  # type: ignore[attr-defined]
    return server


def _not_yet(_: Any, start_response: Any) -> list[bytes]:
    start_response("503 Service Unavailable", [("Content-Length", "0")])
    return []


def _hold(path: Path) -> IO[str]:
    """A lock for as long as the file is open: two instances on one folder would overwrite each other's state."""
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        with contextlib.suppress(OSError):
            file.close()
        raise OSError("another local Clerk already runs on this data folder") from error
    return file
