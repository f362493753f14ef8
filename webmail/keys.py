"""Encryption at rest. Nobody else touches key material.

    master key ──wraps──▶ a mailbox's bundle (private key, root) ──▶ content keys ──▶ everything a message is

* A **content key** is random, one a message. Inbound wraps it to the mailbox's public key (HPKE, ML-KEM-768 + X25519, RFC 9180)
  and forgets it; filing wraps it again under the mailbox's own symmetric key, which is a hundred times cheaper to open.
* A **sealed** value is bytes under a content key: compressed if that helps, AES-256-GCM in chunks of 1 MiB (STREAM construction:
  the nonce is a random prefix, the chunk's number and a last-chunk mark). The additional data is the value's `Place`, so a
  ciphertext moved to another row, mailbox or field does not open.
* A **token** is what search stores instead of a word: 64 bits of HMAC-SHA-256 under the mailbox's search key.

Each format begins with a version byte. A wrong tag raises Tampered; it is never taken for an empty value.
"""

import base64
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from webmail.compression import compress, decompress
from webmail.config import Settings
from webmail.errors import KeyTrouble, SettingError, Tampered

KEY_BYTES = 32
CHUNK = 1 << 20
WORTH_COMPRESSING = 512  # bytes: below, unpacking costs a list more than it saves
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_PUBLIC_V1, _WRAPPED_V1, _HPKE_V1, _STORE_V1, _SEALED_V1 = b"\x01", b"\x01", b"\x01", b"\x02", b"\x01"
_ZSTD = 1
_MLKEM_SEED, _MLKEM_PUBLIC = 64, 1184
PUBLIC_KEY_BYTES = 1 + _MLKEM_PUBLIC + 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ciphertext belongs: it opens there and nowhere else."""

    table: str
    mailbox_id: int
    row_id: int
    field: str

    def __bytes__(self) -> bytes:
        return f"mtumail|{self.table}|{self.mailbox_id}|{self.row_id}|{self.field}".encode()


# --- the master key ---------------------------------------------------------------------------------------------------


def create_master_key(path: Path) -> None:
    """Write a new master key to `path` (mode 0600). Raises FileExistsError rather than replace one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_master_keys(path: Path) -> tuple[bytes, ...]:
    """The keys in the file at `path`, the current one first. Raises SettingError when there is none, or others may read it."""
    name, example = "MTUMAIL_MASTER_KEY_FILE", "/etc/mtumail/master.key"
    try:
        if path.stat().st_mode & 0o077:
            raise SettingError(name, f"{path} can be read by others; chmod 600 it", example)
        lines = path.read_text("ascii").split()
        keys = tuple(base64.b64decode(line, validate=True) for line in lines)
    except OSError as error:
        raise SettingError(name, f"{path} cannot be read: {error.strerror}", example) from None
    except ValueError:
        raise SettingError(name, f"{path} does not hold base64", example) from None
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise SettingError(name, f"{path} must hold keys of {KEY_BYTES} bytes in base64, one a line", example)
    return keys


class MasterKeys:
    """The master key, and older ones while a rotation runs. Wraps with the first, opens with any."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = {sha256(b"mtumail master key id" + key).digest()[:4]: key for key in keys}
        if not self._keys:
            raise SettingError("MTUMAIL_MASTER_KEY", "is not set, and no file is named either", "kq3N…=")
        self._current = next(iter(self._keys))

    @classmethod
    def from_settings(cls, settings: Settings) -> "MasterKeys":
        """The keys that the settings name. Raises SettingError when there are none."""
        if settings.master_key_file:
            return cls(read_master_keys(settings.master_key_file))
        return cls(settings.master_keys)

    def wrap(self, secret: bytes, place: Place) -> bytes:
        """`secret` under the current master key: version, key id, nonce, ciphertext."""
        nonce = os.urandom(12)
        return (
            _WRAPPED_V1
            + self._current
            + nonce
            + AESGCM(self._keys[self._current]).encrypt(nonce, secret, bytes(place))
        )

    def unwrap(self, wrapped: bytes, place: Place) -> bytes:
        """What `wrap` wrapped. Raises KeyTrouble for a key that is not here, Tampered for a wrong tag."""
        if wrapped[:1] != _WRAPPED_V1:
            raise KeyTrouble("unknown format of a wrapped key")
        key = self._keys.get(wrapped[1:5])
        if key is None:
            raise KeyTrouble("wrapped under a master key that is not here")
        return _decrypt(key, wrapped[5:17], wrapped[17:], bytes(place))

    def is_current(self, wrapped: bytes) -> bool:
        """False for what an older master key wrapped: rotation is not done yet."""
        return wrapped[1:5] == self._current

    @property
    def current_id(self) -> bytes:
        """Four bytes that name the current key, and stand in front of whatever it wraps."""
        return self._current

    @property
    def count(self) -> int:
        """How many keys are held: more than one while a rotation runs."""
        return len(self._keys)

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one named purpose (form tokens, for example), the same in every process."""
        return _expand(self._keys[self._current], f"mtumail purpose {purpose}")

    def derivations(self, purpose: str) -> list[bytes]:
        """As `derive`, under each key that is held, the current one first: for what was kept before a rotation."""
        return [_expand(key, f"mtumail purpose {purpose}") for key in self._keys.values()]


def _expand(key: bytes, info: str) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=info.encode()).derive(key)


def _decrypt(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, aad)
    except (InvalidTag, ValueError):
        raise Tampered("a ciphertext does not open here") from None


# --- a mailbox's keys -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewMailboxKeys:
    public_key: bytes
    wrapped: bytes


def _bundle_place(mailbox_id: int) -> Place:
    return Place("mailbox_key", mailbox_id, mailbox_id, "wrapped")


def new_mailbox_keys(master: MasterKeys, mailbox_id: int) -> NewMailboxKeys:
    """A key pair and a root secret for a new mailbox; everything private comes back wrapped."""
    public, private = _new_pair()
    return NewMailboxKeys(public, master.wrap(private + os.urandom(KEY_BYTES), _bundle_place(mailbox_id)))


def _new_pair() -> tuple[bytes, bytes]:
    """A public key as it is kept, and what `_private_of` reads the private half from."""
    kem, curve = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    public = _PUBLIC_V1 + kem.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return public, kem.private_bytes_raw() + curve.private_bytes_raw()


def _private_of(bundle: bytes) -> MLKEM768X25519PrivateKey:
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(bundle[:_MLKEM_SEED]),
        X25519PrivateKey.from_private_bytes(bundle[_MLKEM_SEED : _MLKEM_SEED + 32]),
    )


class MailboxKeys:
    """A mailbox's opened keys, for the length of one request or job. Made by `open_mailbox` alone."""

    def __init__(self, master: MasterKeys, mailbox_id: int, wrapped: bytes) -> None:
        self.mailbox_id = mailbox_id
        self._bundle = master.unwrap(wrapped, _bundle_place(mailbox_id))

    @cached_property
    def _private(self) -> MLKEM768X25519PrivateKey:
        return _private_of(self._bundle)

    @cached_property
    def _store(self) -> AESGCM:
        return AESGCM(_expand(self._bundle[-KEY_BYTES:], "mtumail store key"))

    @cached_property
    def _search(self) -> hmac.HMAC:
        return hmac.new(_expand(self._bundle[-KEY_BYTES:], "mtumail search key"), digestmod=sha256)

    def wrap_content_key(self, content_key: bytes, message_id: int) -> bytes:
        """A content key under the mailbox's own symmetric key: the form that filing leaves behind."""
        return self.seal_value(content_key, Place("message", self.mailbox_id, message_id, "content_key"))

    def open_content_key(self, wrapped: bytes, message_id: int) -> bytes:
        """The content key of a message, in either form. Raises Tampered when it belongs elsewhere."""
        place = bytes(Place("message", self.mailbox_id, message_id, "content_key"))
        try:
            if wrapped[:1] == _STORE_V1:
                return self._store.decrypt(wrapped[1:13], wrapped[13:], place)
            if wrapped[:1] == _HPKE_V1:
                return _SUITE.decrypt(wrapped[1:], self._private, place)
        except (InvalidTag, ValueError):
            raise Tampered("a content key does not open here") from None
        raise KeyTrouble("unknown format of a content key")

    def seal_value(self, value: bytes, place: Place) -> bytes:
        """A short value of this mailbox (an address in a rule) sealed for `place`."""
        nonce = os.urandom(12)
        return _STORE_V1 + nonce + self._store.encrypt(nonce, value, bytes(place))

    def open_value(self, sealed: bytes, place: Place) -> bytes:
        """What `seal_value` sealed for `place`. Raises Tampered, KeyTrouble."""
        if sealed[:1] != _STORE_V1:
            raise KeyTrouble("unknown format of a sealed value")
        try:
            return self._store.decrypt(sealed[1:13], sealed[13:], bytes(place))
        except (InvalidTag, ValueError):
            raise Tampered("a sealed value does not open here") from None

    def token(self, word: str) -> str:
        """What the index holds instead of `word`: 64 bits of HMAC as 11 characters of base64."""
        state = self._search.copy()
        state.update(word.encode("utf-8", "replace"))
        return base64.urlsafe_b64encode(state.digest()[:8])[:11].decode()

    def blind(self, value: str) -> bytes:
        """128 bits that stand for `value` (a Message-ID) in this mailbox: equal values are equal, nothing else shows."""
        state = self._search.copy()
        state.update(b"\x00reference\x00" + value.encode("utf-8", "replace"))
        return state.digest()[:16]


def seal_content_key(content_key: bytes, public_key: bytes, mailbox_id: int, message_id: int) -> bytes:
    """Wrap a content key to a mailbox's public key (HPKE). Whoever does this cannot open it again."""
    return seal_for(public_key, content_key, Place("message", mailbox_id, message_id, "content_key"))


def seal_for(public_key: bytes, secret: bytes, place: Place) -> bytes:
    """`secret` for whoever holds the private half of `public_key` (HPKE), and for `place` alone."""
    if public_key[:1] != _PUBLIC_V1 or len(public_key) != PUBLIC_KEY_BYTES:
        raise KeyTrouble("unknown format of a public key")
    kem = MLKEM768PublicKey.from_public_bytes(public_key[1 : 1 + _MLKEM_PUBLIC])
    curve = X25519PublicKey.from_public_bytes(public_key[1 + _MLKEM_PUBLIC :])
    return _HPKE_V1 + _SUITE.encrypt(secret, MLKEM768X25519PublicKey(kem, curve), bytes(place))


def new_service_keys(master: MasterKeys, purpose: str) -> NewMailboxKeys:
    """A key pair of the service itself, for one purpose; the private half comes back wrapped."""
    public, private = _new_pair()
    return NewMailboxKeys(public, master.wrap(private, Place("service_key", 0, 0, purpose)))


def open_service(master: MasterKeys, purpose: str, wrapped: bytes, sealed: bytes, place: Place) -> bytes:
    """What `seal_for` sealed with the service's key of this purpose. Raises KeyTrouble, Tampered."""
    bundle = master.unwrap(wrapped, Place("service_key", 0, 0, purpose))
    if sealed[:1] != _HPKE_V1:
        raise KeyTrouble("unknown format of a sealed secret")
    try:
        return _SUITE.decrypt(sealed[1:], _private_of(bundle), bytes(place))
    except (InvalidTag, ValueError):
        raise Tampered("a sealed secret does not open here") from None


# --- sealed values ----------------------------------------------------------------------------------------------------


def new_content_key() -> bytes:
    """A fresh random content key."""
    return os.urandom(KEY_BYTES)


def seal(content_key: bytes, value: bytes, place: Place) -> bytes:
    """`value` sealed for `place`: version, flags, nonce prefix, then chunks with their tags."""
    flags = 0
    if len(value) >= WORTH_COMPRESSING and len(packed := compress(value)) < len(value):
        value, flags = packed, _ZSTD
    head = _SEALED_V1 + bytes([flags])
    aad, prefix, cipher = head + bytes(place), os.urandom(7), AESGCM(content_key)
    out, last = [head, prefix], max(0, (len(value) - 1) // CHUNK)
    for number in range(last + 1):
        nonce = prefix + number.to_bytes(4, "big") + bytes([number == last])
        out.append(cipher.encrypt(nonce, value[number * CHUNK : (number + 1) * CHUNK], aad))
    return b"".join(out)


def unseal(content_key: bytes, sealed: bytes, place: Place, limit: int = 256 << 20) -> bytes:
    """What `seal` sealed for `place`; at most `limit` bytes. Raises Tampered, KeyTrouble."""
    if sealed[:1] != _SEALED_V1 or len(sealed) < 9 + 16:
        raise KeyTrouble("unknown format of a sealed value")
    aad, prefix, cipher = sealed[:2] + bytes(place), sealed[2:9], AESGCM(content_key)
    step, out = CHUNK + 16, []
    last = max(0, (len(sealed) - 9 - 1) // step)
    try:
        for number in range(last + 1):
            nonce = prefix + number.to_bytes(4, "big") + bytes([number == last])
            out.append(cipher.decrypt(nonce, sealed[9 + number * step : 9 + (number + 1) * step], aad))
    except (InvalidTag, ValueError):
        raise Tampered("a sealed value does not open here") from None
    value = b"".join(out)
    return decompress(value, limit) if sealed[1] & _ZSTD else value


# --- the only door ----------------------------------------------------------------------------------------------------


class Authority(Protocol):
    """By what right a mailbox is opened. Its `admit` runs in the open transaction and raises when there is none."""

    def admit(self, mailbox_id: int) -> bytes:
        """Check the right, write what must be written first, and return the mailbox's wrapped bundle."""


def open_mailbox(master: MasterKeys, mailbox_id: int, authority: Authority) -> MailboxKeys:
    """The only way to a mailbox's private keys. Raises NotFound when `authority` has no right to it."""
    return MailboxKeys(master, mailbox_id, authority.admit(mailbox_id))
