"""The warm process of the jail: waits for jobs and forks one child for each. Run as a script, by path."""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STUBS = ("webmail", "webmail.jail")
MAX_CHILDREN = max(2, min(8, 2 * (os.cpu_count() or 1)))
"""More would only make each other slow, and each may take 640 MB."""
MAX_LIFE_SECONDS = 60.0

Functions = Mapping[str, Callable[..., bytes]]


def stub(*names: str) -> None:
    """Stand in for packages, so that their modules can be imported without their start-up."""
    for name in names:
        if name not in sys.modules:
            package = types.ModuleType(name)
            package.__path__ = [str(ROOT.joinpath(*name.split(".")))]
            sys.modules[name] = package


def load(table: Mapping[str, tuple[str, str]]) -> Functions:
    """Import and warm everything that can be asked for."""
    modules = {name: importlib.import_module(name) for name in dict.fromkeys(m for m, _ in table.values())}
    for module in modules.values():
        module.warm()
    return {name: getattr(modules[module], function) for name, (module, function) in table.items()}


def _received(job: socket.socket) -> tuple[dict[str, Any], bytes]:
    parts: list[bytes] = []
    while part := job.recv(1 << 20):
        parts.append(part)
    head, _, payload = b"".join(parts).partition(b"\n")
    return json.loads(head), payload


def _work(job: socket.socket, functions: Functions) -> None:
    """One job, in a child of its own."""
    from webmail.jail import contract, walls

    signal.alarm(30)
    job.sendall(contract.STARTED)
    request, payload = _received(job)
    walls.confine(request["limits"])
    try:
        reply = contract.DONE + functions[request["name"]](payload, **request["options"])
    except contract.Refuse as refusal:
        reply = contract.REFUSED + refusal.code.encode("ascii")
    except MemoryError:
        reply = contract.REFUSED + b"memory"
    except RecursionError:
        reply = contract.REFUSED + b"deep"
    except Exception:  # whatever it was, no detail of the mail gets out
        reply = contract.REFUSED + b"error"
    job.sendall(reply)


def _make_room(children: dict[int, float]) -> None:
    """Forget the children that ended; wait until one more may live. One that outlived every limit is killed."""
    while children:
        pid, _status = os.waitpid(-1, os.WNOHANG)
        if pid:
            children.pop(pid, None)
        elif len(children) < MAX_CHILDREN:
            return
        else:
            oldest = min(children, key=children.__getitem__)
            if time.monotonic() - children[oldest] > MAX_LIFE_SECONDS:
                os.kill(oldest, signal.SIGKILL)
            time.sleep(0.002)


def _child(line: socket.socket, job: socket.socket, functions: Functions) -> None:
    code = 1
    try:
        line.close()
        _work(job, functions)
        code = 0
    finally:
        os._exit(code)


def serve(line: socket.socket, functions: Functions) -> None:
    """Fork a child for each job until the last holder of the line has gone."""
    children: dict[int, float] = {}
    while True:
        message, handles, _, _ = socket.recv_fds(line, 1, 1)
        if not message:
            return
        for handle in handles:
            with socket.socket(fileno=handle) as job:
                _make_room(children)
                try:
                    pid = os.fork()
                except OSError:
                    continue  # the system is out of processes: this job is refused, the next may do
                if pid == 0:
                    _child(line, job, functions)
                children[pid] = time.monotonic()


def main(line: socket.socket, table: Mapping[str, tuple[str, str]] | None = None) -> None:
    """Warm up, wall the process in, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stub(*STUBS)
    from webmail.jail import contract, walls

    stub(*contract.STUBS)
    functions = load(table or contract.FUNCTIONS)
    walls.leave_the_world()
    gc.collect()
    gc.freeze()  # keeps the pages of what is loaded shared with the children
    serve(line, functions)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
