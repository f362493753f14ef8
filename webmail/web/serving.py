"""Gunicorn's settings that are code: logs as JSON lines, and connections that no two processes share."""

import threading
from contextlib import suppress
from typing import Any

from webmail import config as environment  # `config` here would be a setting of Gunicorn's
from webmail import jail, logs

logs.write_to(*environment.log_file())
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"lines": {"()": "webmail.logs.handler"}},
    "root": {"level": "INFO", "handlers": ["lines"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["lines"], "propagate": False},
        "gunicorn.access": {"level": "ERROR", "handlers": ["lines"], "propagate": False},
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
    threading.Thread(target=_look_at_secrets, args=(flask,), daemon=True).start()
    metrics.begin()


def _look_at_secrets(flask: Any) -> None:
    """Note whether one was changed; without a database now, the next start does it."""
    from sqlalchemy.exc import DBAPIError

    from webmail.db import transaction
    from webmail.privacy import secret_marks

    secrets = secret_marks.of_web(
        flask.extensions["settings"], flask.extensions["auth"].settings.webhook_secrets
    )
    with suppress(DBAPIError), flask.app_context(), transaction():
        secret_marks.note(flask.extensions["master_keys"], secrets, "system:web")


def _flask(application: Any) -> Any:
    while not hasattr(application, "app_context"):
        application = application.app
    return application
