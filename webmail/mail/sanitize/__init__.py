"""Mail from strangers made safe to show. Pure: no database, no web framework.

Two views of HTML (`reading`, `formatted`) and one of plain text (`plain`). `safely` is what most callers want: it
cleans small and simple messages here and all others in a jail, and never raises.
"""

from webmail.mail.sanitize.jail import in_jail, safely
from webmail.mail.sanitize.layout import FRAME_CSP, document, formatted
from webmail.mail.sanitize.limits import guard
from webmail.mail.sanitize.model import VERSION, Formatted, Image, Link, Reading, Refusal
from webmail.mail.sanitize.structure import reading
from webmail.mail.sanitize.text import plain, plain_reading

__all__ = [
    "FRAME_CSP",
    "VERSION",
    "Formatted",
    "Image",
    "Link",
    "Reading",
    "Refusal",
    "document",
    "formatted",
    "guard",
    "in_jail",
    "plain",
    "plain_reading",
    "reading",
    "safely",
]
