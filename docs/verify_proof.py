"""Check a proof from an mtumail audit log: `python verify_proof.py event.tlog-proof 'mail.example.com/audit+1a2b3c4d+AQ…'`.

It needs Python and the package `cryptography`, and nothing of mtumail: not its code, not its database, not its word. The formats
are c2sp.org/tlog-proof, /tlog-checkpoint and /signed-note; the tree is that of RFC 6962. The key is the one that you noted earlier:
from /privacy/log, or from `mtumail audit checkpoint`. Exit code 1 where the proof does not hold.
"""

import base64
import json
import sys
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def fail(why: str) -> None:
    sys.exit(f"NOT PROVED: {why}")


def climb(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """From a leaf to the root (RFC 9162 section 2.1.3.2)."""
    node, last, root = index, size - 1, leaf
    for beside in path:
        if last == 0:
            fail("the path is too long")
        if node & 1 or node == last:
            root = sha256(b"\x01" + beside + root).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = sha256(b"\x01" + root + beside).digest()
        node, last = node >> 1, last >> 1
    if last:
        fail("the path is too short")
    return root


def check_signature(note: str, key: str) -> tuple[int, bytes]:
    """The size and the root that the key has signed."""
    name, key_id, public = key.strip().split("+", 2)
    raw = base64.b64decode(public)
    if sha256(name.encode() + b"\n" + raw).hexdigest()[:8] != key_id or raw[:1] != b"\x01":
        fail("the key is not whole")
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        _dash, signer, value = line.split(" ")
        signature = base64.b64decode(value)
        if signer == name and signature[:4].hex() == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature[4:], text.encode())
            except InvalidSignature:
                fail("the signature is forged")
            origin, size, root = text.split("\n")[:3]
            if origin != name:
                fail("it is the checkpoint of another log")
            return int(size), base64.b64decode(root)
    fail("the key did not sign it")
    raise AssertionError


def main(file: str, key: str) -> None:
    head, _, note = Path(file).read_text("utf-8").partition("\n\n")
    header, extra, index, *path = head.split("\n")
    if header != "c2sp.org/tlog-proof@v1":
        fail("this is no proof")
    told = json.loads(base64.b64decode(extra.removeprefix("extra ")))
    number = int(index.removeprefix("index "))
    size, root = check_signature(note, key)
    leaf = sha256(b"\x00" + told["entry"].encode()).digest()
    if not number < size or climb(number, size, leaf, [base64.b64decode(one) for one in path]) != root:
        fail("the entry is not in the signed tree")
    entry = json.loads(told["entry"])
    lines = [f"PROVED: event {number + 1} of {size}", told["entry"]]
    if "about" in told:
        value = bytes.fromhex(told["about"]["salt"]) + f"account:{told['about']['account']}".encode()
        if sha256(value).hexdigest() not in entry.get("about", []):
            fail("it is not about this account")
        lines.append(f"It is about account {told['about']['account']}.")
    if "opened" in told:
        body = base64.b64decode(told["opened"]["body"])
        if sha256(bytes.fromhex(told["opened"]["salt"]) + body).hexdigest() != entry.get("sealed"):
            fail("this is not what was sealed")
        lines.append(f"What was sealed in it: {body.decode('utf-8', 'replace')}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
