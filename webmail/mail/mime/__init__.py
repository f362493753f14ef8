"""A message as people see it, from bytes that anybody could have sent. Pure: no database, no Flask.

`parse` never raises, is linear in time, and keeps to the limits of `limits`. The structure is found by a walker of our own over
the bytes, because the stdlib's parser cannot be bounded from outside: it recurses once for each level of nesting (1,000 levels
end it), is quadratic in a header of encoded words (280 kB cost 2.7 GB), and recurses over nested comments. From the stdlib come
only what is safe on a short string or in C: codecs from an allow-list, `binascii`, `parsedate_tz`, `html.unescape`.

There is one reading of a message. List, view, search, download, reply and moderation all use this tree; where mail can be read
in two ways (a header twice, a multipart that is also base64, an unknown encoding) the first and plainest reading is taken and
`problems` says so.

    message = parse(raw)
    for part in message.attachments:
        part_content(raw, part)
"""

from webmail.mail.mime.model import Header, Kind, Message, Part
from webmail.mail.mime.parser import parse, part_content, part_text
from webmail.mail.mime.plain import message_text, snippet, strip_html

__all__ = [
    "Header",
    "Kind",
    "Message",
    "Part",
    "message_text",
    "parse",
    "part_content",
    "part_text",
    "snippet",
    "strip_html",
]
