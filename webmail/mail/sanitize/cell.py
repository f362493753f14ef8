"""The warm process behind `jail`: waits for jobs and forks one child for each. Run as a script, by path.

It stubs the two packages above this one, so that their start-up (a whole web application) is not loaded here.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import sys
import types
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def light_imports() -> dict[str, Any]:
    """Import the sanitiser alone. Returns its functions by name, and the way to plain data."""
    for name, folder in (
        ("webmail", HERE.parents[1]),
        ("webmail.mail", HERE.parent),
        ("webmail.mail.sanitize", HERE),
    ):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from webmail.mail.sanitize import layout, model, structure

    return {"reading": structure.reading, "formatted": layout.formatted, "to_plain": model.to_plain}


def confine(limits: dict[str, Any]) -> None:
    """Let the kernel end this process: CPU, address space, files, wall clock."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, float(limits["wall"]))
    cpu, memory = int(limits["cpu"]), int(limits["memory"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def received(job: socket.socket) -> dict[str, Any]:
    parts: list[bytes] = []
    while part := job.recv(1 << 18):
        parts.append(part)
    request: dict[str, Any] = json.loads(b"".join(parts))
    return request


def work(job: socket.socket, functions: dict[str, Any]) -> None:
    """One job, in a child of its own."""
    signal.alarm(30)
    request = received(job)
    confine(request["limits"])
    try:
        result = functions["to_plain"](functions[request["name"]](request["html"], **request["options"]))
    except MemoryError:
        result = {"kind": "Refusal", "code": "memory"}
    except RecursionError:
        result = {"kind": "Refusal", "code": "deep"}
    except Exception:  # whatever it was, the reader gets the text part, and no detail of the mail gets out
        result = {"kind": "Refusal", "code": "error"}
    job.sendall(json.dumps(result).encode())


def main(line: socket.socket) -> None:
    """Fork a child for each job until the last holder of the line has gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    functions = light_imports()
    functions["reading"]("<p>warm</p>")
    functions["formatted"]("<style>p{color:red}</style><p style='color:#fff'>warm</p>")
    gc.freeze()  # keeps the pages of what is loaded shared with the children
    while True:
        message, handles, _, _ = socket.recv_fds(line, 1, 1)
        if not message:
            return
        for handle in handles:
            job = socket.socket(fileno=handle)
            if os.fork() == 0:
                code = 1
                try:
                    line.close()
                    work(job, functions)
                    code = 0
                finally:
                    os._exit(code)
            job.close()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
