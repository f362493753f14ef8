"""Requests about privacy in words: rights, states, and templates of answers."""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

KINDS: Mapping[str, Any] = {
    "access": _l("Tell me what you hold about me"),
    "correct": _l("Correct something that I cannot correct myself"),
    "delete": _l("Delete data"),
    "port": _l("Give me my data to take along"),
    "restrict": _l("Use my data for nothing but keeping it"),
    "object": _l("I object to a use of my data"),
}
SOURCES: Mapping[str, Any] = {
    "self": _l("on their page"),
    "mail": _l("by mail"),
    "letter": _l("on paper"),
    "other": _l("somebody else for the person"),
}
IDENTITY: Mapping[str, Any] = {
    "proved": _l("signed in"),
    "unchecked": _l("not checked yet"),
    "checked": _l("checked"),
}
STATES: Mapping[str, Any] = {"open": _l("open"), "done": _l("done"), "refused": _l("refused")}
TEMPLATES: Mapping[str, Any] = {
    "done": _l("It is done, as you asked: "),
    "no-data": _l("We looked, and hold no data about you."),
    "who": _l(
        "We cannot tell that you are the person whom this is about, so we gave nothing out. To show it, "
    ),
    "law": _l("The law tells us to keep this: "),
    "upheld": _l("You are right. We have stopped it for you: "),
    "overruled": _l("We go on, for these compelling grounds, which outweigh yours: "),
    "looked": _l("We looked at it. It ends a week after we say so: "),
    "unrestricted": _l("There are no grounds to restrict it, so it ends in seven days: "),
}
"""How answers begin; the admin writes the rest."""
BEGINNINGS: Mapping[str, tuple[str, str]] = {
    "restrict": ("looked", "unrestricted"),
    "object": ("upheld", "overruled"),
}
"""Of requests that have templates of their own: that of a yes and that of a no."""
COMPLAINT = _l(
    "You may complain to a supervisory authority, in particular where you live, and you may go to court (GDPR Art. 77 and 79)."
)
REFUSED: Mapping[str, Any] = {
    "kind": _l("Please choose what it is about."),
    "words": _l("Please write 3 to 2,000 characters."),
    "many": _l("You have ten open requests. Please wait for an answer."),
    "own": _l("Nobody decides on their own request."),
    "unchecked": _l("Check first who asks."),
    "late": _l("The first month is over: it can no longer be extended."),
    "over": _l("This is answered, checked or extended already."),
    "unknown": _l("Nobody owns a mailbox with this address."),
}
