"""The database of a command that works with rows: one connection, one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask

from webmail import config, db
from webmail.config import Settings


@contextmanager
def database(settings: Settings | None = None) -> Iterator[Flask]:
    """The database of DATABASE_URL, without any of the web; transactions are the command's to open. Raises SettingError.

    `settings`: of somebody else's environment; without them, of this process'.
    """
    settings = settings or config.read()
    settings.require("database_url")
    app = Flask("mtumail.cli", static_folder=None, template_folder=None)
    app.extensions["settings"] = settings
    db.init_app(app, settings.database_url, pool_size=1, application_name="mtumail-cli")
    with app.app_context():
        try:
            yield app
        finally:
            db.db.engine.dispose()
