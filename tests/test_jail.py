"""What is opened in the jail can do nothing but answer: each wall is tried from inside, by functions put there for it."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from webmail import jail
from webmail.jail import contract
from webmail.jail.line import CELL, Line

PRISONER = '''
import ctypes, os, resource, signal, socket, sys, threading, time
from webmail.jail.contract import Refuse

OPENED = []

def warm():
    OPENED.append("warm")

def attempt(payload, **options):
    """Does what the options name, and says what came of it."""
    name = options["name"]
    try:
        return repr(ACTS[name](payload)).encode()
    except RecursionError:
        raise
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        return f"refused {type(error).__name__}".encode()

def fork(_payload):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid

def spawn(_payload):
    return os.posix_spawn("/bin/true", ["true"], {})

def thread(_payload):
    worker = threading.Thread(target=lambda: None)
    worker.start()
    worker.join()
    return "ran"

def flood(_payload):
    held = []
    while True:
        held.append(bytearray(16 << 20))

def spin(_payload):
    while True:
        pass

def raise_limits(_payload):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return "raised"

def crash(_payload):
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(5)

def refuse(payload):
    raise Refuse("own")

def recurse(_payload):
    return recurse(_payload)

def deaf(_payload):
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(60)

ACTS = {
    "echo": lambda payload: payload,
    "length": len,
    "again": lambda _payload: OPENED,
    "read": lambda _payload: open("/etc/hostname").read(),
    "write": lambda _payload: open("/tmp/from-the-jail", "w").write("x"),
    "descriptor": lambda _payload: os.write(1, b"x") and os.dup(0),
    "import": lambda _payload: __import__("wave").__name__,
    "socket": lambda _payload: socket.socket(),
    "unix": lambda _payload: socket.socketpair(),
    "exec": lambda _payload: os.execv("/bin/true", ["true"]),
    "fork": fork, "spawn": spawn, "thread": thread, "flood": flood, "spin": spin, "crash": crash, "refuse": refuse,
    "sleep": lambda _payload: time.sleep(60), "exit": lambda _payload: os._exit(0), "recurse": recurse, "deaf": deaf,
    "raise_limits": raise_limits,
    "error": lambda _payload: 1 / 0,
    "environment": lambda _payload: dict(os.environ),
    "user": lambda _payload: (os.getuid(), os.geteuid()),
    "tree": lambda _payload: sorted(name for name in sys.modules if name.split(".")[0] in ("flask", "sqlalchemy", "psycopg", "redis")),
    "many": lambda payload: bytes(17 << 20),
}
'''

CELL_OF_PRISONERS = """
import runpy, socket, sys
sys.path.insert(0, {folder!r})
cell = runpy.run_path({cell!r}, run_name="cell")
table = {{"html.reading": ("prisoner", "attempt")}}
cell["main"](socket.socket(fileno=int(sys.argv[1])), table)
"""
QUICK = jail.Limits(cpu=1, memory=256 << 20, wall=1)


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jail")
    folder.joinpath("prisoner.py").write_text(PRISONER)
    script = folder / "start.py"
    script.write_text(CELL_OF_PRISONERS.format(folder=str(folder), cell=str(CELL)))
    line = Line((sys.executable, "-I", str(script)))
    yield line
    line.stop()


@pytest.fixture
def attempt(line, monkeypatch):
    """Does one thing inside; what it says, or a Refusal."""
    monkeypatch.setattr(jail, "_line", line)

    def attempt(name, payload=b"", limits=QUICK):
        reply = jail.run("html.reading", payload, {"name": name}, limits=limits)
        return reply if isinstance(reply, jail.Refusal) else reply.decode()

    return attempt


def test_a_function_gets_its_bytes_and_gives_its_own(attempt):
    assert attempt("echo", b"a\nb\0\xff") == repr(b"a\nb\0\xff")
    assert attempt("length", bytes(20 << 20)) == str(20 << 20)
    assert attempt("echo") == "b''"


def test_each_job_has_a_process_of_its_own_and_the_warm_state(attempt):
    assert attempt("again") == attempt("again") == "['warm']"


@pytest.mark.parametrize("name", ["read", "write", "descriptor", "import", "socket", "unix"])
def test_nothing_can_be_opened(attempt, name):
    assert attempt(name) in ("refused OSError", "refused PermissionError", "refused ModuleNotFoundError")


@pytest.mark.parametrize("name", ["fork", "spawn", "thread"])
def test_no_process_and_no_thread_can_be_started(attempt, name):
    if os.geteuid() == 0 and attempt("user") == "(0, 0)":
        pytest.skip("this system lets nobody stop being root, who has no limit on processes")
    assert attempt(name) in ("refused BlockingIOError", "refused RuntimeError", "refused PermissionError")


def test_limits_cannot_be_raised_again(attempt):
    if os.geteuid() == 0 and attempt("user") == "(0, 0)":
        pytest.skip("this system lets nobody stop being root")
    assert attempt("raise_limits") == "refused ValueError"


def test_another_program_gets_nowhere(attempt):
    answer = attempt("exec")
    assert answer == "refused PermissionError" or isinstance(answer, jail.Refusal)


def test_nothing_of_ours_is_inside(attempt):
    assert attempt("environment") in ("{}", "{'LC_CTYPE': 'C.UTF-8'}")
    assert attempt("tree") == "[]"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("flood", "memory"),
        ("spin", "slow"),
        ("sleep", "slow"),
        ("deaf", "slow"),
        ("crash", "crash"),
        ("exit", "crash"),
        ("refuse", "own"),
        ("recurse", "deep"),
        ("error", "error"),
        ("many", "long"),
    ],
)
def test_whatever_goes_wrong_is_a_code(attempt, name, code):
    began = time.monotonic()
    assert attempt(name) == jail.Refusal(code)
    assert time.monotonic() - began < 4
    assert attempt("echo", b"x") == "b'x'"


def test_the_network_is_not_there(attempt, line):
    attempt("echo")
    if os.geteuid() != 0:
        pytest.skip("only root may look")
    ours, theirs = os.readlink("/proc/self/ns/net"), os.readlink(f"/proc/{line.pid}/ns/net")
    if ours == theirs:
        pytest.skip("this system lets nobody leave the network")
    devices = Path(f"/proc/{line.pid}/net/dev").read_text().splitlines()[2:]
    assert [device.split(":")[0].strip() for device in devices] == ["lo"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
def test_root_is_left_behind(attempt):
    assert attempt("user") == "(65534, 65534)"


def test_jobs_wait_for_each_other_rather_than_pile_up(attempt):
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(attempt("sleep", limits=jail.Limits(1, 256 << 20, 0.3)))
        )
        for _ in range(20)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [jail.Refusal("slow")] * 20
    assert 0.6 < time.monotonic() - began < 8
    assert attempt("echo", b"x") == "b'x'"


def test_who_waits_too_long_is_told_that_it_is_busy(attempt, monkeypatch):
    slow = jail.Limits(2, 256 << 20, 1)
    threads = [threading.Thread(target=attempt, args=("sleep", b"", slow)) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    monkeypatch.setattr(jail, "QUEUE_SECONDS", 0.2)
    assert attempt("echo") == jail.Refusal("busy")
    for thread in threads:
        thread.join()


def test_many_threads_share_it(attempt):
    results = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(attempt("echo", b"%d" % n))) for n in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(repr(b"%d" % n) for n in range(24))


def test_a_forked_process_shares_it(attempt, line):
    assert attempt("echo", b"before") == "b'before'"
    pid = line.pid
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            line.after_fork()
            os.write(theirs, attempt("echo", b"child").encode())
            line.stop()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    os.close(theirs)
    with os.fdopen(ours, "rb") as reply:
        assert reply.read() == b"b'child'"
    assert attempt("echo", b"parent") == "b'parent'"
    assert line.pid == pid


def test_a_dead_jail_is_started_again(attempt, line):
    assert attempt("echo", b"x") == "b'x'"
    before = line.pid
    os.kill(before, signal.SIGKILL)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)
    assert attempt("echo", b"y") == "b'y'"
    assert line.pid != before


def test_the_warm_process_ends_with_the_line(attempt, line):
    attempt("echo")
    pid = line.pid
    began = time.monotonic()
    line.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert time.monotonic() - began < 1.5


def test_no_jail_is_a_refusal(monkeypatch):
    monkeypatch.setattr(jail, "_line", Line(("/nonexistent/program",)))
    assert jail.run("html.reading", b"") == jail.Refusal("busy")


def test_a_jail_that_does_not_get_up_is_a_refusal(monkeypatch):
    line = Line((sys.executable, "-I", "-c", "raise SystemExit(3)"))
    monkeypatch.setattr(jail, "_line", line)
    assert jail.run("html.reading", b"").code in ("busy", "crash")
    line.stop()


def test_only_what_is_in_the_table_can_be_asked_for(attempt):
    for name in ("", "eval", "os.system", "webmail.jail.pdf", "html.Reading", "picture"):
        with pytest.raises(ValueError):
            jail.run(name, b"")


def test_a_payload_beyond_the_limit_is_not_even_sent(monkeypatch):
    monkeypatch.setattr(contract, "MAX_PAYLOAD", 10)
    monkeypatch.setattr(jail, "MAX_PAYLOAD", 10)
    monkeypatch.setattr(jail, "_line", Line(("/nonexistent/program",)))
    assert jail.run("html.reading", bytes(11)) == jail.Refusal("long")
    assert jail.run("html.reading", bytes(10)) == jail.Refusal("busy")


def test_the_real_jail_starts_at_once_and_is_warm_soon():
    began = time.monotonic()
    jail.start()
    assert time.monotonic() - began < 0.25
    assert b"<p>x</p>" in jail.run("html.reading", b"<p>x")
    assert time.monotonic() - began < 8
    jail.stop()


def test_every_function_of_the_table_answers():
    for name in contract.FUNCTIONS:
        options = {"picture.shrink": {"width": 9, "height": 9}, "pdf.text": {"characters": 9}}.get(name)
        reply = jail.run(name, b"x", options)
        assert isinstance(reply, bytes) if name.startswith("html.") else reply == jail.Refusal("type")
    jail.stop()


def test_what_meets_a_wall_is_not_called_damage():
    assert contract.damage(ModuleNotFoundError("late")).code == "error"
    assert contract.damage(OSError(24, "too many open files")).code == "error"
    assert contract.damage(OSError("truncated")).code == "damaged"


def test_the_web_servers_parent_warms_it_before_it_forks(monkeypatch):
    from webmail.web import serving

    started = []
    monkeypatch.setattr(jail, "start", lambda: started.append(True))
    serving.when_ready(None)
    assert started == [True]


def test_a_start_that_fails_waits_for_the_first_job(monkeypatch):
    monkeypatch.setattr(jail, "_line", Line(("/nonexistent/program",)))
    jail.start()
    assert jail._line.pid is None
