"""What the reader of a message that is being written will see."""

import re
import secrets
from collections.abc import Callable, Sequence
from html import unescape

from markupsafe import escape

from webmail.mail import markup, sanitize
from webmail.mail.reading import View
from webmail.mail.view import Piece as ViewPiece
from webmail.sending.composing import PICTURE_TYPES
from webmail.sending.drafts import Attached, Fields
from webmail.web.opened import Piece, pieces

_MAX = 200_000
_IMG = re.compile(r'<img src="cid:(\d+)" alt="([^"]*)">')


def previewed(fields: Fields, files: Sequence[Attached], where: str) -> list[Piece]:
    """The body made safe as mail from a stranger is, with the pictures that it shows: those among `files`, at `where`."""
    body = fields.body[:_MAX]
    if not fields.formatted:
        return _shown(sanitize.plain_reading(body))
    shown = {item.name: f"cid:{item.number}" for item in reversed(files) if is_picture(item)}
    mark, told = secrets.token_hex(12), []

    def stand_in(found: re.Match[str]) -> str:
        told.append((int(found[1]), unescape(found[2])))
        return f"{mark}{len(told) - 1:06}"

    html = _IMG.sub(stand_in, markup.to_html(body, shown))
    read = sanitize.safely("reading", html, link_prefix=None)
    if not isinstance(read, sanitize.Reading):
        return _shown(sanitize.plain_reading(body))

    def picture(found: re.Match[str]) -> str:
        number, words = told[int(found[1])]
        return f'<img src="{escape(where)}/{number}" alt="{escape(words)}">'

    # Put in after cleaning, which lets no picture pass: the address is ours, the words are escaped.
    return _shown(read, lambda html: re.sub(rf"{mark}(\d{{6}})", picture, html))


def _shown(read: sanitize.Reading, change: Callable[[str], str] = str) -> list[Piece]:
    return pieces(View(pieces=tuple(ViewPiece(change(part.html), part.quoted) for part in read.parts)))


def is_picture(item: Attached) -> bool:
    """Whether a file can be shown in the text."""
    return item.content_type.partition(";")[0].strip().lower() in PICTURE_TYPES
