"""mtumail: a mail service that keeps its privacy policy by construction."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing a pure module of this package must not cost a web framework
    from flask import Flask

    from webmail.config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """The web application. Raises SettingError when it cannot serve as it is configured."""
    from webmail import config
    from webmail.web.application import build

    return build(settings or config.read())


def create_core(settings: Settings, name: str) -> Flask:
    """The database, the bell and the master keys, without any of the web: what workers and commands run in."""
    from flask import Flask

    from webmail import db, jobs
    from webmail.keys import MasterKeys

    settings.require("database_url")
    app = Flask(f"mtumail.{name}", static_folder=None, template_folder=None, root_path=__path__[0])
    db.init_app(app, settings.database_url, pool_size=4, application_name=f"mtumail-{name}")
    if settings.redis_url:
        jobs.bell.connect(settings.redis_url)
    app.extensions["settings"] = settings
    app.extensions["master_keys"] = MasterKeys.from_settings(settings)
    return app
