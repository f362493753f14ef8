"""Words in the reader's language, as flask_babel has them, with one look for the translator a request.

flask_babel asks anew for each word who the request's translator is, which was a tenth of what a page cost.
"""

from gettext import NullTranslations
from typing import Any

from flask import g
from flask_babel import get_translations


def gettext(message: str, **values: Any) -> str:
    """`message` translated, with `%(name)s` filled in: text, not yet escaped."""
    translated = translations().gettext(message)
    return translated % values if values else translated


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    """The form of a message that `num` takes, with it and `%(name)s` filled in: text, not yet escaped."""
    return translations().ngettext(one, many, num) % ({"num": num} | values)


def translations() -> NullTranslations:
    """The request's translator; asked for again when the request's language has changed (`refresh`, `force_locale`)."""
    context = getattr(g, "_flask_babel", None)
    kept: tuple[object, NullTranslations] | None = getattr(context, "kept_translations", None)
    if kept is not None and kept[0] is getattr(context, "babel_locale", None):
        return kept[1]
    found: NullTranslations = get_translations()
    g._flask_babel.kept_translations = (g._flask_babel.babel_locale, found)
    return found
