"""Looking, now and then, whether a secret of this process is another one."""

import logging

from flask import current_app

from webmail.db import transaction
from webmail.privacy import secret_marks

log = logging.getLogger(__name__)


def look() -> None:
    """Note what the workers' secrets are; which have changed is in the audit log."""
    settings, master = current_app.extensions["settings"], current_app.extensions["master_keys"]
    with transaction():
        changed = secret_marks.note(master, secret_marks.of_worker(settings, master), "system:worker")
    if changed:
        log.info("secrets changed", extra={"codes": changed})
