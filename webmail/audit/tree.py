"""A Merkle tree as in RFC 6962 section 2.1: hashes, a frontier that grows, proofs of inclusion and of consistency. Pure.

A leaf is SHA-256(0x00 || entry), a node SHA-256(0x01 || left || right). A complete subtree is named by its `level` (2^level
leaves) and by how many leaves of the tree there are up to its end (`ends`): where the log keeps it.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

EMPTY = sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""The root of the complete subtree of this level that ends with this leaf, counted from one."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The tree so far as the roots of its complete subtrees, at most one a level: all that the next leaf and the root need."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """`peaks`: the roots of the complete subtrees of a tree of `size` leaves, largest first."""
        self.size = size
        self._peaks = list(peaks)

    def append(self, leaf: bytes) -> bytes:
        """Take one more leaf in; the roots of the subtrees that it completes, smallest first, 32 bytes each. O(1) on average."""
        rest, root, roots = self.size, leaf, b""
        while rest & 1:
            root = node_hash(self._peaks.pop(), root)
            roots += root
            rest >>= 1
        self._peaks.append(root)
        self.size += 1
        return roots

    def root(self) -> bytes:
        """The root of the tree so far. O(log n)."""
        if not self._peaks:
            return EMPTY
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(start: int, end: int, subtree: Subtree) -> bytes:
    """The root over the leaves from `start` to before `end`, as RFC 6962 cuts them: MTH(D[start:end])."""
    width = end - start
    if width & (width - 1) == 0:
        return subtree(width.bit_length() - 1, end)
    split = start + _half(width)
    return node_hash(root_of(start, split, subtree), root_of(split, end, subtree))


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The audit path of leaf `index` (from 0) in the tree of `size` leaves, lowest first (section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    path, start, end = [], 0, size
    while end - start > 1:
        split = start + _half(end - start)
        if index < split:
            path.append(root_of(split, end, subtree))
            end = split
        else:
            path.append(root_of(start, split, subtree))
            start = split
    return path[::-1]


def included(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """The root that an audit path leads to (RFC 9162 section 2.1.3.2); None for a path of the wrong length."""
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for beside in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = node_hash(beside, root)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            root = node_hash(root, beside)
        node >>= 1
        last >>= 1
    return root if last == 0 else None


def consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Proof that the tree of `old` leaves is the beginning of the tree of `new` ones (section 2.1.2)."""
    if not 0 < old <= new:
        raise ValueError("no such trees")
    path, start, end, whole = [], 0, new, True
    while old != end:
        split = start + _half(end - start)
        if old <= split:
            path.append(root_of(split, end, subtree))
            end = split
        else:
            path.append(root_of(start, split, subtree))
            start, whole = split, False
    return ([] if whole else [root_of(start, end, subtree)]) + path[::-1]


def is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether a consistency proof holds between two roots (RFC 9162 section 2.1.4.2)."""
    if not 0 < old <= new or (old == new and path):
        return False
    if old == new:
        return old_root == new_root
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not hashes:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    first = second = hashes[0]
    for beside in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(beside, first), node_hash(beside, second)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            second = node_hash(second, beside)
        node >>= 1
        last >>= 1
    return last == 0 and (first, second) == (old_root, new_root)


def _half(width: int) -> int:
    """The largest power of two that is smaller than `width`."""
    half: int = 1 << (width - 1).bit_length() - 1
    return half
