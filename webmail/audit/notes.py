"""Signed notes and checkpoints, as C2SP has them (c2sp.org/signed-note, /tlog-checkpoint, /tlog-proof). Pure.

mail.example.com/audit                              origin
20852163                                            how many events
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=        the root over them

— mail.example.com/audit Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_DASH = "\N{EM DASH} "
PROOF_HEADER = "c2sp.org/tlog-proof@v1"


class NotANote(ValueError):
    """The text is no signed note, or no checkpoint; its words say why."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name: the origin of the log that it signs."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that tell this key's signatures from others' of its name."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]

    def __str__(self) -> str:
        """As Go's note package and others read it: name+id+key."""
        return f"{self.name}+{self.key_id.hex()}+{_b64(_ED25519 + self.public_key)}"

    @classmethod
    def read(cls, text: str) -> "Verifier":
        """The key of `name+id+key`. Raises NotANote when it is none, or its parts do not fit."""
        name, _, rest = text.strip().partition("+")
        id_, _, key = rest.partition("+")
        raw = _unb64(key)
        found = cls(name, raw[1:])
        if not name or raw[:1] != _ED25519 or len(raw) != 33 or found.key_id.hex() != id_:
            raise NotANote("this is no Ed25519 key of the form name+id+key")
        return found

    def signed(self, note: str) -> bool:
        """Whether a signature of this key on `note` holds."""
        text, signatures = _split(note)
        mine = [raw[4:] for name, raw in signatures if name == self.name and raw[:4] == self.key_id]
        try:
            for signature in mine:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return bool(mine)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says: `root` is that of the first `size` events of the log `origin`."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"

    def sign(self, private: bytes) -> str:
        """The signed note; the key's name is the origin."""
        key = Ed25519PrivateKey.from_private_bytes(private)
        verifier = Verifier(self.origin, key.public_key().public_bytes_raw())
        signature = key.sign(self.text.encode())
        return f"{self.text}\n{_DASH}{self.origin} {_b64(verifier.key_id + signature)}\n"

    @classmethod
    def read(cls, note: str) -> "Checkpoint":
        """What a signed note says; who signed it is `Verifier.signed` to tell. Raises NotANote."""
        text, _signatures = _split(note)
        lines = text.split("\n")[:-1]
        if len(lines) < 3 or not all(lines) or not re.fullmatch(r"[1-9][0-9]{0,17}", lines[1]):
            raise NotANote("no checkpoint is in it")
        root = _unb64(lines[2])
        if len(root) != 32:
            raise NotANote("its root is not of 32 bytes")
        return cls(lines[0], int(lines[1]), root)


def new_key() -> tuple[bytes, bytes]:
    """A fresh Ed25519 key: (public, private), 32 bytes each."""
    key = Ed25519PrivateKey.generate()
    return key.public_key().public_bytes_raw(), key.private_bytes_raw()


def write_proof(extra: bytes, index: int, path: Sequence[bytes], note: str) -> str:
    """A proof that stands by itself (`.tlog-proof`): whose leaf `extra` holds is up to whoever wrote it."""
    head = [PROOF_HEADER, f"extra {_b64(extra)}", f"index {index}", *map(_b64, path)]
    return "\n".join(head) + f"\n\n{note}"


def read_proof(text: str) -> tuple[bytes, int, list[bytes], str]:
    """(extra, index, path, note) of a proof. Raises NotANote."""
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines[0] != PROOF_HEADER:
        raise NotANote("it does not begin as a proof does")
    extra = _unb64(lines.pop(1)[6:]) if lines[1:] and lines[1].startswith("extra ") else b""
    found = re.fullmatch(r"index (0|[1-9][0-9]{0,17})", lines[1] if lines[1:] else "")
    path = [_unb64(line) for line in lines[2:]]
    if not found or any(len(one) != 32 for one in path):
        raise NotANote("its index or its hashes cannot be read")
    return extra, int(found[1]), path, note


def _split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of a note, with its last newline, and its signatures as (name, id and signature)."""
    text, gap, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not gap or lines[-1] or len(lines) < 2 or len(lines) > 101:
        raise NotANote("it is not a signed note")
    found = []
    for line in lines[:-1]:
        parts = line.removeprefix(_DASH).split(" ")
        if not line.startswith(_DASH) or len(parts) != 2:
            raise NotANote("a line of its signatures cannot be read")
        found.append((parts[0], _unb64(parts[1])))
    return f"{text}\n", found


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NotANote("base64 of it cannot be read") from None
