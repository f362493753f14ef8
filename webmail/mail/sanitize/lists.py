"""Lists and lists of terms: empty items go, what stands between items becomes one."""

from __future__ import annotations

from typing import Protocol

from webmail.mail.sanitize import parting
from webmail.mail.sanitize.images import Images, hidden
from webmail.mail.sanitize.inline import blank
from webmail.mail.sanitize.tree import Node


class Walks(Protocol):
    """What is needed of the walker that found the list."""

    images: Images

    def flush(self) -> None: ...

    def collect(self, node: Node) -> list[parting.Block]: ...

    def add(self, name: str, markup: str) -> None: ...


def listing(walker: Walks, node: Node) -> None:
    name = "ol" if node.tag == "ol" else "ul"
    walker.flush()
    items: list[str] = []
    loose = Node("li", {})
    for kid in [*node.kids, Node("li", {})]:
        if isinstance(kid, Node) and (
            kid.tag == "li" or (kid.tag in ("ul", "ol") and items and not loose.kids)
        ):
            if loose.kids:
                items.append(parting.inner(walker.collect(loose)))
                loose = Node("li", {})
            if hidden(kid.attrs):
                walker.images.note_hidden(kid)
            elif kid.tag == "li":
                items.append(parting.inner(walker.collect(kid)))
            else:
                items[-1] += parting.inner(walker.collect(Node("li", {}) if not kid.kids else _holder(kid)))
        elif isinstance(kid, Node) or not blank(kid):
            loose.kids.append(kid)
    items = [item for item in items if item]
    if items:
        start = node.attrs.get("start", "")
        first = (
            f' start="{int(start)}"'
            if name == "ol" and start.isascii() and start.isdigit() and len(start) < 6
            else ""
        )
        walker.add(name, f"<{name}{first}>" + "".join(f"<li>{item}</li>" for item in items) + f"</{name}>")


def definitions(walker: Walks, node: Node) -> None:
    walker.flush()
    parts: list[str] = []
    for kid in node.kids:
        if isinstance(kid, str) and blank(kid):
            continue
        name = kid.tag if isinstance(kid, Node) and kid.tag in ("dt", "dd") else "dd"
        content = parting.inner(
            walker.collect(kid if isinstance(kid, Node) and kid.tag == name else _holder(kid))
        )
        if content:
            parts.append(f"<{name}>{content}</{name}>")
    if parts:
        walker.add("dl", "<dl>" + "".join(parts) + "</dl>")


def _holder(kid: Node | str) -> Node:
    holder = Node("div", {})
    holder.kids.append(kid)
    return holder
