"""The tree of a message, found in one pass over its bytes (RFC 2046 section 5.1).

The walk goes from delimiter line to delimiter line with `bytes.find` and looks each one up among the boundaries that are open,
so its cost does not depend on how deep they are. Where two open multiparts share a boundary the outer one wins: no part can
hide in another. Attached messages are leaves: they are parsed by themselves when somebody opens them, with limits of their own.
"""

import re
from dataclasses import dataclass, field

from webmail.mail.charsets import clean_line, header_text
from webmail.mail.mime import params
from webmail.mail.mime.headers import Block, scan
from webmail.mail.mime.limits import MAX_BOUNDARY, MAX_DEPTH, MAX_PARTS
from webmail.mail.mime.transfer import encoding_named

_ONCE = ("content-type", "content-transfer-encoding", "content-disposition")
_CONTENT_ID = re.compile(r"<?([^<>\s]{1,500})>?")


@dataclass(slots=True)
class Node:
    """One part while the tree is being built."""

    number: int
    parent: int
    depth: int
    path: str
    head: int
    start: int
    end: int
    block: Block
    content_type: str
    params: dict[str, str]
    encoding: str
    disposition: str
    name: str
    content_id: str
    boundary: bytes = b""
    turned: bool = False
    children: list[int] = field(default_factory=list)


class Walker:
    """Finds the parts of one message. `nodes` are in the order of the bytes, `problems` what was wrong with them."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.nodes: list[Node] = []
        self.problems: list[str] = []
        self._open: dict[bytes, int] = {}  # boundary -> number of its multipart
        self._stack: list[int] = []  # multiparts whose end is not known yet, the outermost first
        self._leaf = -1

    def walk(self) -> None:
        """Fill `nodes`."""
        pos = self._enter(3 if self.raw.startswith(b"\xef\xbb\xbf") else 0, -1)
        while self._open:
            found = self._next_delimiter(pos)
            if found is None:
                self.problems.append("unclosed-multipart")
                break
            line, pos, owner, is_close = found
            self._close_down_to(owner, self._before(line))
            if is_close:
                self._shut(owner)
            elif len(self.nodes) > MAX_PARTS:
                self.problems.append("too-many-parts")
                self._close_down_to(-1, self._before(line))
                break
            else:
                pos = self._enter(pos, owner)
        self._close_down_to(-1, len(self.raw))

    def _enter(self, head: int, parent: int) -> int:
        """Add the part whose header begins at an offset; the offset of its body."""
        block = scan(self.raw, head, lambda at: self._owner(at) is not None)
        node = self._node(head, parent, block)
        self.nodes.append(node)
        if parent >= 0:
            self.nodes[parent].children.append(node.number)
        if node.boundary and node.depth < MAX_DEPTH:
            self._stack.append(node.number)
            self._open.setdefault(node.boundary, node.number)
        else:
            if node.boundary:
                self.problems.append("too-deep")
                node.boundary = b""
            self._leaf = node.number
        return block.body

    def _next_delimiter(self, pos: int) -> tuple[int, int, int, bool] | None:
        """(offset of the line, offset after it, number of its multipart, whether it closes it)."""
        raw, find, owner_of = (
            self.raw,
            self.raw.find,
            self._open.get,
        )  # this loop is what a hostile message costs
        at = pos if raw.startswith(b"--", pos) else find(b"\n--", pos) + 1 or len(raw)
        while at < len(raw):
            end = find(b"\n", at)
            if end < 0:
                end = len(raw)
            line = raw[at + 2 : end if end - at < 2 * MAX_BOUNDARY else at + 2 * MAX_BOUNDARY].rstrip(
                b" \t\r"
            )
            owner = owner_of(line)
            if owner is not None:
                return at, min(end + 1, len(raw)), owner, False
            if line[-2:] == b"--" and (owner := owner_of(line[:-2])) is not None:
                return at, min(end + 1, len(raw)), owner, True
            at = find(b"\n--", end) + 1 or len(raw)
        return None

    def _owner(self, at: int) -> int | None:
        newline = self.raw.find(b"\n", at, at + 2 * MAX_BOUNDARY)
        line = self.raw[at + 2 : newline if newline >= 0 else at + 2 * MAX_BOUNDARY].rstrip(b" \t\r")
        owner = self._open.get(line)
        return owner if owner is not None or not line.endswith(b"--") else self._open.get(line[:-2])

    def _before(self, line: int) -> int:
        """The line end before a delimiter belongs to the delimiter."""
        if line and self.raw[line - 1] == 10:
            line -= 1
            if line and self.raw[line - 1] == 13:
                line -= 1
        return line

    def _close_down_to(self, owner: int, end: int) -> None:
        """End the open leaf and every multipart inside the owner of a delimiter."""
        if self._leaf >= 0:
            leaf = self.nodes[self._leaf]
            leaf.end = end = max(end, leaf.start)  # an empty part may share its line end with the delimiter
            self._leaf = -1
        while self._stack and self._stack[-1] != owner:
            node = self.nodes[self._stack.pop()]
            node.end = end = max(end, node.start)
            self._shut(node.number)

    def _shut(self, number: int) -> None:
        """No more parts for this multipart; what follows up to the next delimiter of an outer one is its epilogue."""
        if self._open.get(self.nodes[number].boundary) == number:
            del self._open[self.nodes[number].boundary]

    def _node(self, head: int, parent: int, block: Block) -> Node:
        number = len(self.nodes)
        above = self.nodes[parent] if parent >= 0 else None
        self.problems += block.problems
        for name in _ONCE:
            if len(block.get_all(name)) > 1:
                self.problems.append(f"duplicate-header:{name}")
        disposition = params.parse(header_text(block.get("content-disposition")))
        kind = params.parse(header_text(block.get("content-type")))
        self.problems += kind.problems + disposition.problems
        written = disposition.params.get("filename") or kind.params.get("name") or ""
        name = params.file_name(written)
        content_type = self._type(kind.value, above, bool(name) or disposition.value == "attachment")
        boundary, encoding = b"", self._encoding(block, content_type)
        if content_type.startswith("multipart/"):
            boundary = self._boundary(kind.params.get("boundary", ""))
        content_id = _CONTENT_ID.fullmatch(clean_line(header_text(block.get("content-id"))))
        path = f"{above.path}.{len(above.children) + 1}".lstrip(".") if above else "" if boundary else "1"
        return Node(
            number=number, parent=parent, depth=above.depth + 1 if above else 0, path=path, head=head, start=block.body,
            end=len(self.raw), block=block, content_type=content_type, params=kind.params, encoding=encoding,
            disposition=disposition.value if disposition.value in ("inline", "attachment", "") else "attachment",
            name=name, turned=params.turns(written), content_id=content_id[1] if content_id else "", boundary=boundary,
        )  # fmt: skip

    def _type(self, written: str, above: Node | None, is_file: bool) -> str:
        if not written:
            is_digest = above is not None and above.content_type == "multipart/digest"
            return "message/rfc822" if is_digest else "text/plain"
        found = params.content_type(written)
        if found is None:
            self.problems.append("bad-content-type")
            return "application/octet-stream" if is_file else "text/plain"
        return found

    def _encoding(self, block: Block, content_type: str) -> str:
        found = encoding_named(clean_line(header_text(block.get("content-transfer-encoding"))))
        if found is None:
            self.problems.append("unknown-encoding")
            return "7bit"
        if found != "7bit" and content_type.startswith("multipart/"):
            self.problems.append(
                "encoded-multipart"
            )  # RFC 2045 section 6.4 forbids it: read as it lies there
            return "7bit"
        return found

    def _boundary(self, written: str) -> bytes:
        boundary = written.rstrip().encode("utf-8", "replace")
        if not boundary or len(boundary) > MAX_BOUNDARY:
            self.problems.append("bad-boundary")
            return b""
        return boundary
