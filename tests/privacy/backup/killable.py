"""A process whose children are killed: for each line that it reads, it forks, lets the child work, and ends it with SIGKILL.

A line is `what seconds arguments...`; the answer is a line too: `killed`, `ended`, or `failed` and the type of the error. It is run by
`test_killed.py`, with an installation's environment, and holds no connection when it forks.
"""

import os
import sys
import time

from webmail import config
from webmail.db import db
from webmail.privacy.backup import restoring
from webmail.privacy.erasure import doing
from workers import backing_up, erasing
from workers.context import core

LETTERS = os.environ["KILLABLE_LETTERS"]
doing.BATCH = 1


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def leave(to: str, raw: bytes) -> bool:
    with open(LETTERS, "ab", buffering=0) as file:
        file.write(next(line for line in raw.splitlines() if line.lower().startswith(b"message-id:")) + b"\n")
    return True


erasing._leave = leave


def erase() -> None:
    erasing.erase(lambda: None)


def back_up() -> None:
    backing_up.back_up(config.read())


def restore(name: str, url: str) -> None:
    means = backing_up.means(config.read())
    restoring.restore(means.place, means.key, name, url, "cli:test")


WORK = {"erase": erase, "back_up": back_up, "restore": restore}


def child(what: str, arguments: list[str]) -> None:
    code = 1
    try:
        with core().app_context():
            db.engine.dispose(close=False)
            WORK[what](*arguments)
        code = 0
    except BaseException as error:
        say(f"failed {type(error).__name__} {error}"[:200].replace("\n", " "))
    finally:
        os._exit(code)


def main() -> None:
    core()
    say("ready")
    for line in sys.stdin:
        what, seconds, *arguments = line.split()
        pid = os.fork()
        if not pid:
            child(what, arguments)
        ends = time.monotonic() + float(seconds)
        while (
            time.monotonic() < ends and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        ):
            time.sleep(0.001)
        os.kill(pid, 9)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            say("killed")
        elif os.WEXITSTATUS(status) == 0:
            say("ended")


if __name__ == "__main__":
    main()
