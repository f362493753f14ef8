"""Redis in the hands of somebody else: it can ring the bell, and it is told nothing."""

import os
import subprocess
import sys

import pytest
from redis import Redis
from rq import Queue
from rq.job import Callback, Job
from rq.serializers import JSONSerializer

CANARY = "canary-5b1f"
WORK = """
import sys
from redis import Redis
from rq.queue import Queue
from rq.serializers import JSONSerializer
from webmail import logs
import workers.filing
from workers.nudges import Horse, Nudge

logs.configure()

def drain():
    try:
        raise ValueError("Subject: {canary}")
    except ValueError as error:
        {then}

workers.filing.drain = drain
connection = Redis.from_url(sys.argv[1])
queue = Queue("filing", connection=connection, serializer=JSONSerializer, job_class=Nudge)
worker = Horse([queue], connection=connection, serializer=JSONSerializer, job_class=Nudge, log_job_description=False)
worker.work(burst=True, logging_level="WARNING")
"""


@pytest.fixture
def queue(valkey):
    return Queue("filing", connection=Redis.from_url(valkey), serializer=JSONSerializer)


@pytest.fixture
def work(valkey):
    """Let one worker empty the queue; what it logged. `then` is what our own job does in the end."""

    def run(then="pass"):
        script = WORK.format(canary=CANARY, then=then)
        done = subprocess.run(
            [sys.executable, "-c", script, valkey],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env=dict(os.environ),
        )
        return done.stdout + done.stderr

    return run


def everything(connection):
    """All that Redis holds, as bytes."""
    found = b""
    for key in connection.scan_iter():
        kind = connection.type(key)
        read = {
            b"string": connection.get,
            b"hash": connection.hgetall,
            b"stream": connection.xrange,
            b"set": connection.smembers,
        }
        found += repr((key, read[kind](key) if kind in read else connection.dump(key))).encode()
    return found


@pytest.mark.parametrize("function", ["os.system", "pathlib.Path.touch", "builtins.open"])
def test_WK11_a_function_that_is_not_ours_is_not_run(queue, work, tmp_path, function):
    mark = tmp_path / "run"
    told = {"os.system": f"touch {mark}", "pathlib.Path.touch": str(mark), "builtins.open": str(mark)}[
        function
    ]
    extra = ("w",) if function == "builtins.open" else ()
    job = queue.enqueue(function, told, *extra)
    work()
    assert not mark.exists()
    assert Job.fetch(job.id, queue.connection, serializer=JSONSerializer).get_status() == "failed"


def test_WK11_our_own_function_takes_no_arguments_from_redis(queue, work):
    job = queue.enqueue("workers.filing.drain", "anything")
    work()
    assert Job.fetch(job.id, queue.connection, serializer=JSONSerializer).get_status() == "failed"


@pytest.mark.parametrize("then", ["pass", "raise"])
def test_WK11_callbacks_of_a_job_are_not_called(queue, work, tmp_path, then):
    # RQ calls them with the job and the connection: `open` would refuse, but its module would have been imported.
    (tmp_path / "planted.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w').close()\ndef f(*a): pass\n")
    os.environ["PYTHONPATH"] = str(tmp_path)
    try:
        queue.enqueue(
            "workers.filing.drain",
            on_success=Callback("planted.f"),
            on_failure=Callback("planted.f"),
            on_stopped=Callback("planted.f"),
        )
        work(then)
    finally:
        del os.environ["PYTHONPATH"]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "then", ["raise", "raise RuntimeError(str(error))", "raise RuntimeError('other') from error"]
)
def test_DB07_what_a_failed_job_raised_is_not_kept_in_redis(queue, work, then):
    job = queue.enqueue("workers.filing.drain", failure_ttl=3600)
    said = work(then)
    assert Job.fetch(job.id, queue.connection, serializer=JSONSerializer).get_status() == "failed"
    assert CANARY.encode() not in everything(queue.connection)
    assert CANARY not in said
