"""What jobs run in: the core application of this process, made once before RQ forks."""

from functools import lru_cache

from flask import Flask

from webmail import config, create_core
from webmail.keys import MasterKeys


@lru_cache(maxsize=1)
def core() -> Flask:
    """The core application of this process."""
    return create_core(config.read(), "worker")


def master() -> MasterKeys:
    """The master keys of this process."""
    keys: MasterKeys = core().extensions["master_keys"]
    return keys
