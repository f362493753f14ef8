"""In which language people are written to.

Nobody can choose one for oneself yet: all are written to in the service's own (`languages.standard`).
"""

from webmail.settings import kept


def standard() -> str:
    """The service's locale, in the open transaction."""
    return kept.text("languages.standard")


def glance() -> str:
    """`standard` where no transaction is open."""
    return str(kept.glance("languages.standard"))
