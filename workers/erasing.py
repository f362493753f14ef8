"""Erasing what people asked to be erased, when their time to undo is over. May be killed at any line, and run twice."""

import logging
from collections.abc import Callable

import psycopg
from flask import current_app
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from webmail.db import transaction
from webmail.errors import MtumailError
from webmail.privacy.erasure import doing, telling
from webmail.privacy.erasure.doing import Step
from webmail.sending import roads
from webmail.sending.relay import Forgetful, Relays

log = logging.getLogger(__name__)


def erase(hold: Callable[[], None]) -> None:
    """Go on with everything that is due. `hold` is called in each transaction, and raises where another worker has the run."""
    above = -1
    while True:
        with transaction():
            hold()
            found = doing.due(above)
        for erasure_id in found:
            try:
                _one(erasure_id, hold)
            except OperationalError:
                raise  # the database is away
            except (
                SQLAlchemyError,
                psycopg.Error,
                MtumailError,
                ValueError,
            ) as error:  # it holds nobody else up
                log.error("erasure failed", extra={"erasure": erasure_id, "error": type(error).__name__})
        if not found:
            break
        above = found[-1]
    with transaction():
        hold()
        doing.sweep_keys()


def _one(erasure_id: int, hold: Callable[[], None]) -> None:
    master = current_app.extensions["master_keys"]
    while True:
        with transaction():
            hold()
            step = doing.look(erasure_id)
            more = doing.go_on(master, step)
        if not more:
            break
    if step.state == "telling":
        _tell(step)
    log.info("erasure", extra={"erasure": erasure_id, "state": step.state})


def _tell(step: Step) -> None:
    with transaction():
        letter = telling.letter(step)
    arrived = letter is None or _leave(*letter)
    with transaction():
        doing.told(step, arrived=arrived)


def _leave(to: str, raw: bytes) -> bool:
    known = current_app.extensions
    with Relays(roads.outward(known["settings"], known["master_keys"]), Forgetful()) as road:
        outcome = road.send("", (to,), raw)
    return outcome.recipients[0].kind in ("sent", "failed")
