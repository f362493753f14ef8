"""`python -m webmail.embedded.clerk --port N --data-dir DIR --origin URL`: the local Clerk in the foreground.

Reads MTUMAIL_ENV (must be development or test) and CLERK_SECRET_KEY (must be a local one, if set). When it answers it
prints one line, `ready <port> <its address>`. Exit code 0 after SIGINT or SIGTERM, 2 when it refuses to start.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from webmail import config, errors
from webmail.embedded.clerk.guards import NotAllowed
from webmail.embedded.clerk.names import DEVELOPMENT, MODES
from webmail.embedded.clerk.server import LocalClerk, Options

REFUSED = 2


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps(
            {
                "time": when,
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
            }
        )


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m webmail.embedded.clerk", description="A local stand-in for Clerk."
    )
    parser.add_argument("--port", type=int, required=True, help="on loopback; 0 takes a free one")
    parser.add_argument("--data-dir", type=Path, required=True, help="where clerk.json is kept")
    parser.add_argument("--origin", required=True, help="of the app, such as http://mail.localhost:8000")
    parser.add_argument("--mode", choices=MODES, default=DEVELOPMENT, help="which kind of instance to be")
    parser.add_argument("--webhook-url", default="", help="where events are posted to; none without it")
    parser.add_argument("--address", default="127.0.0.1", help="a loopback address to listen on")
    parser.add_argument("--empty", action="store_true", help="without the demo people")
    return parser.parse_args(given)


def _options(arguments: argparse.Namespace) -> Options:
    settings = config.read()
    return Options(
        data_dir=arguments.data_dir,
        origin=arguments.origin,
        port=arguments.port,
        mode=arguments.mode,
        address=arguments.address,
        webhook_url=arguments.webhook_url,
        environment=settings.environment,
        given_secret=settings.clerk.get("CLERK_SECRET_KEY", ""),
        demo=not arguments.empty,
    )


def main(given: list[str] | None = None) -> int:
    arguments = _arguments(given)
    try:
        clerk = LocalClerk(_options(arguments))
    except (NotAllowed, ValueError, OSError, OverflowError, errors.SettingError) as error:
        sys.stderr.write(f"local clerk: {error}\n")
        return REFUSED
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    with clerk:
        sys.stdout.write(f"ready {clerk.port} {clerk.instance.url}\n")
        sys.stdout.flush()
        asked_to_stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
