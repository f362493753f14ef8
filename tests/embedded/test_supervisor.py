"""The supervisor: what dies is started again, what is stopped is gone, and every log line is a JSON object."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from webmail.embedded.logs import LogFile
from webmail.embedded.process import EmbeddedError
from webmail.embedded.supervisor import Part, Supervisor

ROOT = Path(__file__).parents[2]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def program(folder, name, body):
    path = folder / f"{name}.py"
    path.write_text("import os, signal, subprocess, sys, time\n" + textwrap.dedent(body))
    return [sys.executable, "-u", "-S", str(path)]


def make(folder, name, body, **options):
    options.setdefault("ready", (folder / f"{name}.up").exists)
    body = f"{textwrap.dedent(body)}\nopen({str(folder / name)!r} + '.up', 'a').write(str(os.getpid()) + chr(10))\nsignal.pause()\n"
    return Part(name, program(folder, name, body), dict(os.environ), folder / f"{name}.log", **options)


def pids(folder, name):
    return [int(line) for line in (folder / f"{name}.up").read_text().split()]


def later(action):
    """Run `action` beside the supervisor, which must have the main thread; then send it SIGTERM."""
    failures = []

    def run():
        try:
            action()
        except BaseException as error:
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=run)
    return thread, failures


def supervise(parts, action, **options):
    thread, failures = later(action)
    code = Supervisor(parts, **options).run(on_ready=thread.start)
    thread.join()
    assert failures == []
    return code


def test_starts_in_order_each_once_the_one_before_is_ready(tmp_path):
    first = make(tmp_path, "first", "time.sleep(0.3)")
    second = make(tmp_path, "second", f"assert os.path.exists({str(tmp_path / 'first.up')!r})")
    assert supervise([first, second], lambda: None) == 0
    assert not alive(pids(tmp_path, "first")[0])
    assert not alive(pids(tmp_path, "second")[0])


def test_a_part_killed_by_9_is_started_again_at_once_with_what_it_left_behind_ended(tmp_path):
    said = []
    part = make(tmp_path, "part", f"""
        child = subprocess.Popen(['sleep', '60'])
        open({str(tmp_path / 'child')!r}, 'a').write(str(child.pid) + '\\n')
        """)  # fmt: skip

    def kill():
        started = time.monotonic()
        os.kill(pids(tmp_path, "part")[0], signal.SIGKILL)
        eventually(lambda: len(pids(tmp_path, "part")) == 2)
        assert time.monotonic() - started < 2
        child = int((tmp_path / "child").read_text().split()[0])
        eventually(lambda: not alive(child))

    assert supervise([part], kill, say=said.append) == 0
    assert said == ["part was ended by signal 9; starting it again in 0.1 s"]


def test_restarts_back_off(tmp_path):
    said = []
    part = make(tmp_path, "part", f"if os.path.exists({str(tmp_path / 'part.up')!r}): sys.exit(3)")

    def kill():
        os.kill(pids(tmp_path, "part")[0], signal.SIGKILL)
        eventually(lambda: len(said) >= 4)

    assert supervise([part], kill, say=said.append) == 0
    assert [line.rpartition("in ")[2] for line in said[:4]] == ["0.1 s", "0.2 s", "0.4 s", "0.8 s"]
    assert said[1].startswith("part ended with code 3")


def test_stop_takes_stubborn_parts_and_escaped_grandchildren_too(tmp_path):
    escaped = tmp_path / "escaped"
    part = make(tmp_path, "part", f"""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(['sh', '-c', 'setsid sleep 60 & echo $! > {escaped}.pid; wait'])
        while not os.path.exists({str(escaped)!r} + '.pid'): time.sleep(0.01)
        """)  # fmt: skip
    started = time.monotonic()
    said = []
    assert supervise([part], lambda: None, stop_seconds=0.5, say=said.append) == 0
    assert time.monotonic() - started < 8
    assert said == ["part did not stop in time and was killed"]
    assert not alive(pids(tmp_path, "part")[0])
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(escaped) not in listing
    assert not alive(int(escaped.with_suffix(".pid").read_text()))


def test_a_brusque_signal_follows_the_polite_one(tmp_path):
    part = make(
        tmp_path,
        "part",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGQUIT, lambda *_: sys.exit(0))",
        stop_signals=(signal.SIGTERM, signal.SIGQUIT),
    )
    said = []
    assert supervise([part], lambda: None, stop_seconds=2.0, say=said.append) == 0
    assert said == []


def test_a_part_that_does_not_start_is_an_error_that_quotes_it(tmp_path):
    part = make(tmp_path, "part", "print('no such port'); sys.exit(4)")
    with pytest.raises(EmbeddedError, match="part ended while starting: no such port"):
        Supervisor([part]).run()
    slow = make(tmp_path, "slow", "time.sleep(60)")
    with Supervisor() as supervisor:
        supervisor.launch(slow)
        pid = supervisor.pid("slow")
        with pytest.raises(EmbeddedError, match=r"not ready after 0\.2 seconds: slow"):
            supervisor.wait("slow", timeout=0.2)
    assert not alive(pid)


def test_handlers_are_put_back(tmp_path):
    before = [
        signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    ]
    supervise([make(tmp_path, "part", "")], lambda: None)
    assert [
        signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    ] == before


def test_work_in_between_can_be_interrupted(tmp_path):
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
    with Supervisor() as supervisor:
        timer.start()
        with pytest.raises(KeyboardInterrupt), supervisor.interruptible():
            time.sleep(10)
        assert supervisor.stopping
    timer.join()


def test_prepare_runs_before_each_start_and_its_descriptors_are_inherited(tmp_path):
    counted = []

    def prepare():
        read, write = os.pipe()
        os.write(write, b"inherited")
        os.close(write)
        counted.append(read)
        return (read,)

    (tmp_path / "run").mkdir()
    part = Part(
        "part",
        program(
            tmp_path,
            "part",
            f"open({str(tmp_path / 'got')!r}, 'ab').write(os.read(int(open({str(tmp_path / 'fd')!r}).read()), 20)); signal.pause()",
        ),
        dict(os.environ),
        tmp_path / "part.log",
        ready=lambda: (tmp_path / "got").exists() and (tmp_path / "got").stat().st_size > 0,
        prepare=lambda: (lambda fds: ((tmp_path / "fd").write_text(str(fds[0])), fds)[1])(prepare()),
    )
    assert supervise([part], lambda: None) == 0
    assert (tmp_path / "got").read_bytes() == b"inherited"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(counted[0])


def test_kill_9_of_the_supervisor_takes_its_parts_down(tmp_path):
    code = f"""
        import os, sys
        from pathlib import Path
        from webmail.embedded.supervisor import Part, Supervisor
        folder = Path({str(tmp_path)!r})
        body = "import os, signal; open(sys.argv[1], 'w').write(str(os.getpid())); signal.pause()"
        parts = [
            Part(n, [sys.executable, "-c", "import sys; " + body, str(folder / n)], dict(os.environ), folder / (n + ".log"), ready=(folder / n).exists)
            for n in ("a", "b")
        ]
        Supervisor(parts).run(on_ready=lambda: print("up", flush=True))
        """
    owner = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, cwd=ROOT)
    assert owner.stdout.readline() == b"up\n"
    running = [int((tmp_path / name).read_text()) for name in ("a", "b")]
    owner.kill()
    owner.wait()
    owner.stdout.close()
    eventually(lambda: not any(alive(pid) for pid in running))


def test_output_becomes_json_lines(tmp_path):
    part = make(tmp_path, "part", """
        print('{"event": "mine", "n": 1}')
        print('plain words')
        print('[1, 2]')
        sys.stderr.write('on stderr\\n')
        os.write(1, b'\\xff\\xfe not utf-8\\n')
        print('x' * 200_000)
        sys.stdout.write('no end of line')
        sys.stdout.flush()
        """)  # fmt: skip
    assert supervise([part], lambda: None) == 0
    records = [json.loads(line) for line in (tmp_path / "part.log").read_text().splitlines()]
    assert records[0] == {"event": "mine", "n": 1}
    assert [record["text"] for record in records[1:4]] == ["plain words", "[1, 2]", "on stderr"]
    assert {record["process"] for record in records[1:]} == {"part"}
    assert "".join(record["text"] for record in records[5:-1]) == "x" * 200_000
    assert records[-1]["text"] == "no end of line"
    assert (tmp_path / "part.log").stat().st_mode & 0o777 == 0o600


def test_logs_rotate_by_size(tmp_path):
    log = LogFile("part", tmp_path / "part.log", rotate_bytes=1000)
    for number in range(100):
        log.feed(f"line {number}\n".encode())
    log.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["part.log", "part.log.1", "part.log.2"]
    assert all(path.stat().st_size < 1200 for path in tmp_path.iterdir())
    lines = [
        json.loads(line)["text"]
        for name in reversed(files)
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert lines == [f"line {number}" for number in range(100 - len(lines), 100)]
