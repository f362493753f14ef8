"""What a worker takes from Redis: which of our jobs to run, and nothing else. Whoever can write there can nudge, and no more.

RQ would run any function of any module by its name, with callbacks and webhooks beside it, and keeps the traceback of a job
that failed, texts of its exceptions included, for whoever can read Redis.
"""

import resource
import signal
import time
from collections.abc import Callable
from typing import Any

from rq import Worker
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.registry import StartedJobRegistry

from webmail import jobs, metrics
from webmail.errors import Refused
from workers.parents import die_with_parent

HORSE_BYTES = 2 << 30


class Nudge(Job):
    """A job that is one of ours, or nothing: it calls nothing back, and tells nobody what became of it."""

    @property
    def func(self) -> Callable[..., Any] | None:
        """The function of a job of ours. Raises Refused for any other."""
        if self.func_name not in jobs.functions() or self.instance or self.args or self.kwargs:
            raise Refused("not a job of ours")
        function: Callable[..., Any] | None = super().func
        return function

    @property
    def success_callback(self) -> None:
        """Nothing."""

    @property
    def failure_callback(self) -> None:
        """Nothing."""

    @property
    def stopped_callback(self) -> None:
        """Nothing."""

    def send_webhooks(self, status: str | JobStatus, *, exc_string: str | None = None) -> None:
        """Nothing."""


class Horse(Worker):
    """An RQ worker whose jobs run in children with a limit on memory, that end with it."""

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Before a job runs: limit the process that it may take down."""
        die_with_parent(signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_AS, (HORSE_BYTES, HORSE_BYTES))
        super().main_work_horse(job, queue)

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """Run a job, and hand over what was counted meanwhile: the child ends with it."""
        began = time.monotonic()
        done = super().perform_job(job, queue, execution)
        name = str(job.func_name).rpartition("workers.")[2]
        metrics.count("jobs_total", name)
        metrics.observe("job_seconds", time.monotonic() - began, name)
        metrics.flush()
        return done

    def handle_job_failure(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: StartedJobRegistry | None = None,
        exc_string: str = "",
        execution: Execution | None = None,
    ) -> None:
        """Note that a job failed, without the traceback: what went wrong is in our log, as a type and a place."""
        super().handle_job_failure(job, queue, started_job_registry, "failed", execution)
