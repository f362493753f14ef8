"""Gunicorn's settings that are code: logs as JSON lines, and connections that no two processes share."""

import threading
from typing import Any

from webmail import jail

accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "webmail.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        "gunicorn.access": {"level": "ERROR", "handlers": ["stderr"], "propagate": False},
    },
}


def when_ready(_server: Any) -> None:
    """One warm jail for all workers, on its way before the first of them is forked."""
    jail.start()


def post_fork(_server: Any, worker: Any) -> None:
    """A fork inherits the parent's connection pool: it starts with an empty one of its own."""
    from webmail import jobs, metrics
    from webmail.db import db

    application = worker.app.wsgi()
    flask = _flask(application)
    with flask.app_context():
        db.engine.dispose(close=False)
    threading.Thread(target=jobs.warm, daemon=True).start()
    metrics.begin()


def _flask(application: Any) -> Any:
    while not hasattr(application, "app_context"):
        application = application.app
    return application
