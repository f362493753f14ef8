"""The tree is RFC 6962's: against its definition, by hand, for every size there is room for; and against its published values."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.audit import tree

SIZES = range(1, 66)


def leaves(count: int) -> list[bytes]:
    return [tree.leaf_hash(str(number).encode()) for number in range(count)]


def defined(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return sha256(b"\x01" + defined(hashes[:k]) + defined(hashes[k:])).digest()


def subtree_of(hashes: list[bytes]) -> tree.Subtree:
    return lambda level, ends: defined(hashes[ends - 2**level : ends])


# The reference values of Certificate Transparency's own tests: eight entries, and the roots after each.
ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def test_the_published_roots_are_met():
    frontier = tree.Frontier()
    for entry, root in zip(ENTRIES, ROOTS, strict=True):
        frontier.append(tree.leaf_hash(bytes.fromhex(entry)))
        assert frontier.root().hex() == root
    assert tree.Frontier().root() == sha256(b"").digest()


def test_a_frontier_grows_as_the_definition_says():
    frontier, hashes = tree.Frontier(), leaves(300)
    for size in range(1, 301):
        roots = frontier.append(hashes[size - 1])
        complete = [level for level in range(1, 10) if size % 2**level == 0]
        assert roots == b"".join(defined(hashes[size - 2**level : size]) for level in complete)
        assert frontier.root() == defined(hashes[:size])


def test_every_leaf_of_every_tree_is_proved():
    for size in SIZES:
        hashes = leaves(size)
        root = defined(hashes)
        for index in range(size):
            path = tree.inclusion(index, size, subtree_of(hashes))
            assert tree.included(index, size, hashes[index], path) == root
            assert tree.included(index, size, tree.leaf_hash(b"other"), path) != root
            for other in {index - 1, index + 1, index ^ 2} - {index}:
                assert tree.included(other, size, hashes[index], path) != root
            assert tree.included(index, size, hashes[index], [*path, root]) is None
            assert not path or tree.included(index, size, hashes[index], path[:-1]) is None


def test_every_tree_continues_every_smaller_one():
    hashes = leaves(max(SIZES))
    for new in SIZES:
        for old in range(1, new + 1):
            path = tree.consistency(old, new, subtree_of(hashes))
            roots = defined(hashes[:old]), defined(hashes[:new])
            assert tree.is_consistent(old, new, *roots, path)
            assert not tree.is_consistent(old, new, sha256(b"x").digest(), roots[1], path)
            assert not tree.is_consistent(old, new, roots[0], sha256(b"x").digest(), path)
            assert not tree.is_consistent(old, new, *roots, [*path, roots[0]])
            assert not path or not tree.is_consistent(old, new, *roots, path[:-1])


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 64), st.data())
def test_no_rewritten_past_is_consistent(size, data):
    """Whatever was changed among the first `old` leaves, its own true proof does not lead to the root signed before."""
    old = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, old - 1))
    honest, forged = leaves(size), leaves(size)
    forged[changed] = tree.leaf_hash(b"rewritten")
    path = tree.consistency(old, size, subtree_of(forged))
    assert not tree.is_consistent(old, size, defined(honest[:old]), defined(forged), path)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_what_is_not_there_has_no_proof(index, size):
    with pytest.raises(ValueError, match="no such"):
        tree.inclusion(index, size, subtree_of(leaves(3)))
    assert tree.included(index, size, leaves(1)[0], []) is None


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_no_tree_continues_what_is_none(old, new):
    with pytest.raises(ValueError, match="no such"):
        tree.consistency(old, new, subtree_of(leaves(3)))
    assert not tree.is_consistent(old, new, b"", b"", [])


def test_the_database_makes_the_same_tree(log, append, superuser, owner_app):
    """Nodes, roots and proofs of the functions in the database, against the definition."""
    from sqlalchemy import text

    from webmail.audit import proofs
    from webmail.db import transaction

    append(35)
    rows = superuser.execute(
        text("SELECT leaf, nodes, audit_root(number) AS root FROM audit_event ORDER BY number")
    )
    hashes: list[bytes] = []
    frontier = tree.Frontier()
    for row in rows:
        hashes.append(bytes(row.leaf))
        assert bytes(row.nodes) == frontier.append(hashes[-1])
        assert bytes(row.root) == defined(hashes)
    assert len(hashes) == 41
    assert bytes(superuser.execute(text("SELECT audit_root(0)")).scalar_one()) == tree.EMPTY
    assert superuser.execute(text("SELECT audit_root(42)")).scalar_one() is None
    with owner_app.app_context(), transaction():
        for old in (1, 6, 32, 41):
            path = proofs.consistency(old, 41)
            assert tree.is_consistent(old, 41, defined(hashes[:old]), defined(hashes), path)
