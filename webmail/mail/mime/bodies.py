"""Which parts are the message and which come with it: the algorithm of RFC 8621 section 4.1.4 over the tree of parts."""

from dataclasses import dataclass, field
from typing import Final

from webmail.mail.mime.structure import Node

RASTER: Final = frozenset(
    f"image/{kind}"
    for kind in ("png", "jpeg", "jpg", "pjpeg", "gif", "webp", "bmp", "x-ms-bmp", "avif", "apng")
)
_MEDIA: Final = ("image/", "audio/", "video/")
_NOT_READABLE: Final = frozenset(
    f"text/{kind}"
    for kind in (
        "calendar",
        "vcard",
        "x-vcard",
        "css",
        "javascript",
        "csv",
        "rtf",
        "xml",
        "rfc822-headers",
        "x-amp-html",
    )
)


@dataclass(slots=True)
class Bodies:
    """Numbers of the parts that make the plain view and the HTML view, in order."""

    text: list[int] = field(default_factory=list)
    html: list[int] = field(default_factory=list)


def is_text(node: Node) -> bool:
    """Shown as plain text; also a multipart in which no part was found, so that its content is not lost from sight."""
    if node.content_type.startswith("multipart/"):
        return not node.children and node.end > node.start
    return node.content_type == "text/plain"


def choose(nodes: list[Node]) -> Bodies:
    """The bodies of a message. Where no text/plain or text/html is one, another readable text may stand in (RFC 2046 4.1.4)."""
    if not nodes:
        return Bodies()
    text: list[Node] = []
    html: list[Node] = []
    _collect(nodes, [nodes[0]], "mixed", False, text, html)
    bodies = Bodies([node.number for node in text], [node.number for node in html])
    if not text and not html:
        bodies.text = bodies.html = [node.number for node in nodes if _may_stand_in(node, nodes)][:1]
    return bodies


def _may_stand_in(node: Node, nodes: list[Node]) -> bool:
    is_first = node.parent < 0 or nodes[node.parent].children[0] == node.number
    readable = node.content_type.startswith("text/") and node.content_type not in _NOT_READABLE
    return readable and is_first and node.disposition != "attachment" and not node.name


def _collect(
    nodes: list[Node],
    parts: list[Node],
    inside: str,
    in_alternative: bool,
    text: list[Node] | None,
    html: list[Node] | None,
) -> None:
    """One multipart. A list that is None takes nothing more: that half of an alternative is served by the other kind."""
    before = len(text or ()), len(html or ())
    last_html = max((n for n, part in enumerate(parts) if part.content_type == "text/html"), default=-1)
    for place, part in enumerate(parts):
        if part.children:
            kind = part.content_type.partition("/")[2]
            _collect(
                nodes,
                [nodes[n] for n in part.children],
                kind,
                in_alternative or kind == "alternative",
                text,
                html,
            )
        elif not _is_body(part, place, inside):
            continue
        elif inside == "alternative":
            # Of several HTML parts the last is the best: RFC 2046 section 5.1.4
            _append(
                part, [text if part.content_type != "text/html" else html if place == last_html else None]
            )
        else:
            if in_alternative:
                text, html = (text, None) if is_text(part) else (None, html)
            _append(part, [text, html])
    if inside == "alternative" and text is not None and html is not None:
        texts, htmls = text[before[0] :], html[before[1] :]
        if not texts:
            text += htmls
        elif not htmls:
            html += texts


def _append(part: Node, lists: list[list[Node] | None]) -> None:
    for one in lists:
        if one is not None:
            one.append(part)


def _is_body(part: Node, place: int, inside: str) -> bool:
    """Not an attachment: a text of the right kind that is first, or, outside multipart/related, has no name."""
    if part.disposition == "attachment" or not (is_text(part) or part.content_type == "text/html"):
        return False
    return place == 0 or (inside != "related" and not part.name)
