"""Zstandard, from the standard library where it has it (3.14), else from its backport."""

import sys

from webmail.errors import Tampered

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def compress(value: bytes) -> bytes:
    """`value` as one zstd frame."""
    return zstd.compress(value, level=3)


def decompress(value: bytes, limit: int) -> bytes:
    """The bytes behind one zstd frame, at most `limit`. Raises Tampered past that: we never wrote such a frame."""
    machine = zstd.ZstdDecompressor()
    try:
        out = machine.decompress(value, max_length=limit + 1)
    except zstd.ZstdError:
        raise Tampered("a compressed value does not unpack") from None
    if len(out) > limit or not machine.eof:
        raise Tampered("a compressed value is longer than it may be")
    return out
