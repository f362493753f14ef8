"""The reading view: HTML reduced to structure, so lean that it costs nothing and so plain that nothing can hide."""

from __future__ import annotations

from collections.abc import Callable

from webmail.mail.sanitize import folding, limits, lists, parting, tables, tree, walls
from webmail.mail.sanitize.images import Images, alt_text, hidden
from webmail.mail.sanitize.inline import Run, Wrapper, blank
from webmail.mail.sanitize.links import Links, Target
from webmail.mail.sanitize.model import Part, Reading, words
from webmail.mail.sanitize.tree import Node

MAX_QUOTES = 8
MAX_TABLES = 3
"""Data tables nest no deeper; what lies below reads on as blocks."""

_INLINE = {
    "b": "strong",
    "strong": "strong",
    "i": "em",
    "em": "em",
    "cite": "em",
    "dfn": "em",
    "var": "em",
    "code": "code",
    "tt": "code",
    "kbd": "code",
    "samp": "code",
    "del": "del",
    "s": "del",
    "strike": "del",
    "sub": "sub",
    "sup": "sup",
}
_HEADINGS = {"h1": "h2", "h2": "h2", "h3": "h3", "h4": "h4", "h5": "h5", "h6": "h6"}
_PLAIN_INLINE = words("abbr big font ins label mark q small span u")


def reading(html: str, *, link_prefix: str | None = "l/") -> Reading:
    """Reduce `html` to headings, paragraphs, lists, data tables, quotes, code and links.

    Links print as `link_prefix` and their number, or in full where it is None. Never raises for any text; where a
    limit is passed the result is empty and `refused` names it.
    """
    html = limits.slim(html)
    _, refusal = limits.judge(html)
    if refusal is not None:
        return Reading(refused=refusal.code)
    return reduce(html, link_prefix)


def reduce(html: str, link_prefix: str | None) -> Reading:
    """As `reading`, for text that the guard has let pass."""
    walker = Walker(Links(link_prefix))
    walker.images.note_styles(html)
    walker.visit(tree.parse(tree.canonical(html)))
    walker.flush()
    images = walker.images
    # Each part passes the walls alone, so that each is well-formed alone.
    parts = tuple(
        Part(walls.reading(markup, link_prefix), quoted) for markup, quoted in parting.parts(walker.blocks)
    )
    return Reading(
        parts=parts,
        links=walker.links.finish(),
        images=images.meaningful,
        trackers=tuple(sorted(images.trackers)),
        blocked=tuple(sorted((images.blocked - images.trackers) | walker.links.refused)),
    )


class Walker:
    """Walks the tree once and writes blocks. Depth is bounded by `tree.MAX_DEPTH`."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.images = Images()
        self.blocks: list[parting.Block] = []
        self.run = Run(links)
        self.wrappers: tuple[Wrapper, ...] = ()
        self.quotes = 0
        self.tables = 0
        self.keep_lines = False
        self.heading = False
        self.mark: folding.Mark = ""
        self.after: Target | None = None  # the link that ended just before
        self.picture: tuple[str, tuple[Wrapper, ...]] | None = None  # the picture that came just before

    def visit(self, node: Node) -> None:
        for kid in node.kids:
            if isinstance(kid, str):
                self.text(kid)
            elif not self._own_note(kid):
                self.element(kid)
            elif self.run.pieces and self.run.pieces[-1][1] == " ":
                del self.run.pieces[-1]

    def _own_note(self, node: Node) -> bool:
        """Whether this is the host in words that an earlier pass put behind a link."""
        return (
            node.tag == "small" and self.after is not None and node.kids == [f"({self.after.address.host})"]
        )

    def text(self, text: str) -> None:
        if not blank(text):
            self.after = self.picture = None
        for wrapper in self.wrappers:
            if not isinstance(wrapper, str):
                wrapper.add_text(text)
        if not self.keep_lines:
            self.run.pieces.append((self.wrappers, text))
            return
        for index, line in enumerate(text.split("\n")):
            if index:
                self.run.pieces.append((self.wrappers, None))
            self.run.pieces.append((self.wrappers, line))

    def element(self, node: Node) -> None:
        if hidden(node.attrs):
            self.images.note_hidden(node)
            return
        if (
            "class" in node.attrs or "id" in node.attrs or node.tag == "blockquote"
        ) and self.mark != "history":
            mark = folding.mark_of(node.tag, node.attrs)
            inside = node.tag in _INLINE or node.tag in _PLAIN_INLINE or node.tag == "a"
            if mark and mark != self.mark and (mark == "history" or not inside):
                self._marked(node, mark)
                return
        self._element(node)

    def _marked(self, node: Node, mark: folding.Mark) -> None:
        self.flush()
        before, self.mark = self.mark, mark
        self._element(node)
        self.flush()
        if mark != "history":  # that goes on to the end
            self.mark = before

    def _element(self, node: Node) -> None:
        handler = _HANDLERS.get(node.tag)
        if handler is not None:
            handler(self, node)
        elif node.tag in _INLINE:
            self._wrapped(node, _INLINE[node.tag])
        elif node.tag in _PLAIN_INLINE:
            self._lines(node)
        else:
            self.flush()
            self._lines(node)
            self.flush()

    def flush(self) -> None:
        self.blocks.extend(("p", markup, self.mark) for markup in self.run.paragraphs())

    def add(self, name: str, markup: str) -> None:
        self.blocks.append((name, markup, self.mark))

    def collect(self, node: Node) -> list[parting.Block]:
        """The blocks of a container's content."""
        self.flush()
        outer, self.blocks = self.blocks, []
        self.visit(node)
        self.flush()
        blocks, self.blocks = self.blocks, outer
        return blocks

    def _lines(self, node: Node) -> None:
        """Visit what may say `white-space: pre`, as Thunderbird and Apple Mail do for typed text."""
        before = self.keep_lines
        if "pre" in node.attrs.get("style", "") and "white-space" in node.attrs["style"]:
            self.keep_lines = True
        self.visit(node)
        self.keep_lines = before

    def _wrapped(self, node: Node, name: str) -> None:
        outer = self.wrappers
        if name not in outer and not (name == "strong" and self.heading):
            self.wrappers = (*outer, name)
        self._lines(node)
        self.wrappers = outer

    def link(self, node: Node) -> None:
        target = self.links.find(node.attrs.get("href", "")) if "href" in node.attrs else None
        if target is None or any(not isinstance(wrapper, str) for wrapper in self.wrappers):
            self.visit(node)
            return
        outer, pictures = self.wrappers, self.images.meaningful
        self.wrappers = (*outer, target)
        self.visit(node)
        if blank(target.text) and self.images.meaningful > pictures:
            self.text(target.address.host)  # a picture without words leads there: name the place
        self.wrappers = outer
        self.after = target

    def image(self, node: Node) -> None:
        if self.images.watches(node.attrs):
            return
        alt = alt_text(node.attrs)
        seen = (alt, self.wrappers[-1:])
        if alt and seen != self.picture:  # newsletters cut one picture into strips of the same words
            self.text(f" [{alt}] ")
            self.picture = seen

    def line_break(self, node: Node) -> None:
        self.run.pieces.append((self.wrappers, None))

    def rule(self, node: Node) -> None:
        self.flush()
        if self.blocks and self.blocks[-1][0] != "hr":
            self.add("hr", "<hr>")

    def head(self, node: Node) -> None:
        self.heading, before = True, self.heading
        blocks = self.collect(node)
        self.heading = before
        if blocks and all(block[0] == "p" for block in blocks):
            name = _HEADINGS[node.tag]
            self.add(name, f"<{name}>" + "<br>".join(block[1] for block in blocks) + f"</{name}>")
        else:
            self.blocks.extend(blocks)

    def pre(self, node: Node) -> None:
        self.flush()
        text = _plain_text(node).strip("\n").rstrip()
        if blank(text):
            return
        if any(isinstance(kid, Node) and kid.tag != "code" for kid in node.kids):
            self.keep_lines, before = True, self.keep_lines
            self.visit(node)
            self.keep_lines = before
            self.flush()
            return
        self.text_for_links(text)
        self.add("pre", "<pre>" + _escape_pre(text) + "</pre>")

    def text_for_links(self, text: str) -> None:
        for wrapper in self.wrappers:
            if not isinstance(wrapper, str):
                wrapper.add_text(text)

    def quote(self, node: Node) -> None:
        self.quotes += 1
        blocks = self.collect(node)
        self.quotes -= 1
        if self.quotes >= MAX_QUOTES:
            self.blocks.extend(blocks)
        elif blocks:
            self.add("blockquote", f"<blockquote>{parting.join(blocks)}</blockquote>")

    def table(self, node: Node) -> None:
        self.flush()
        rows = tables.rows(node)
        if self.tables < MAX_TABLES and tables.is_data(node, rows):
            self.tables += 1
            markup = tables.printed(rows, lambda cell: parting.inner(self.collect(cell)))
            self.tables -= 1
            if markup:
                self.add("table", markup)
            return
        for row in rows:
            if hidden(row.attrs):
                self.images.note_hidden(row)
                continue
            cells = [self._cell(cell) for cell in row.kids if isinstance(cell, Node)]
            filled = [blocks for blocks in cells if blocks]
            if tables.reads_as_line(filled):
                self.add("p", tables.as_line(filled))
            else:
                for blocks in filled:
                    self.blocks.extend(blocks)

    def _cell(self, cell: Node) -> list[parting.Block]:
        if hidden(cell.attrs):
            self.images.note_hidden(cell)
            return []
        return self.collect(cell)


def _plain_text(node: Node) -> str:
    parts: list[str] = []
    for kid in node.kids:
        if isinstance(kid, str):
            parts.append(kid)
        else:
            parts.append("\n" if kid.tag == "br" else _plain_text(kid))
    return "".join(parts)


def _escape_pre(text: str) -> str:
    # A line feed right after <pre> is eaten by every parser; the text was stripped of it, so none is lost.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_HANDLERS: dict[str, Callable[[Walker, Node], None]] = {
    "a": Walker.link,
    "img": Walker.image,
    "br": Walker.line_break,
    "hr": Walker.rule,
    "pre": Walker.pre,
    "listing": Walker.pre,
    "blockquote": Walker.quote,
    "ul": lists.listing,
    "ol": lists.listing,
    "menu": lists.listing,
    "dir": lists.listing,
    "dl": lists.definitions,
    "table": Walker.table,
    **dict.fromkeys(_HEADINGS, Walker.head),
}
