"""What the local Clerk remembers: users, clients (browsers), sessions, keys. One JSON file, replaced as a whole.

Safe against the process being killed at any moment (a rename), not against the machine losing power (no fsync):
it holds demo people. Tokens are kept as hashes, passwords as scrypt; the signing key is the reason for mode 0600.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import string
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

FILE_NAME = "clerk.json"
_VERSION = 1
_ID_LETTERS = string.ascii_letters + string.digits


@dataclass(slots=True)
class User:
    """Times in milliseconds of Unix time, as Clerk's API gives them. `task` must be done before sessions are active."""

    id: str
    email: str
    email_id: str
    created_at: int
    updated_at: int
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    external_id: str | None = None
    password_hash: str | None = None
    totp_secret: str | None = None
    totp_last_step: int = 0
    banned: bool = False
    locked: bool = False
    task: str | None = None
    last_sign_in_at: int | None = None
    public_metadata: dict[str, Any] = field(default_factory=dict)
    private_metadata: dict[str, Any] = field(default_factory=dict)
    unsafe_metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Session:
    """One sign-in. Factor times in seconds of Unix time; `second_factor_at` is None where none was asked."""

    id: str
    user_id: str
    client_id: str
    status: str
    created_at: int
    updated_at: int
    last_active_at: int
    expire_at: int
    first_factor_at: float
    second_factor_at: float | None = None
    actor: dict[str, Any] | None = None
    refresh_hashes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Client:
    """One browser. `signed_in_at` (seconds) is what `__client_uat` says while its session lives."""

    id: str
    token_hash: str
    session_id: str
    signed_in_at: int


@dataclass(slots=True)
class ActorToken:
    id: str
    user_id: str
    actor: dict[str, Any]
    token_hash: str
    status: str
    created_at: int
    updated_at: int
    expire_at: int
    session_seconds: int


@dataclass(slots=True)
class Keys:
    """`private_pem` signs tokens, `secret` ends the secret key, `form_key` binds forms to browsers."""

    kid: str
    private_pem: str
    secret: str
    webhook_secret: str
    form_key: str
    retired_pems: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Data:
    keys: Keys
    users: dict[str, User] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    actor_tokens: dict[str, ActorToken] = field(default_factory=dict)


def new_id(prefix: str) -> str:
    return prefix + "_" + "".join(secrets.choice(_ID_LETTERS) for _ in range(27))


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_private_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def load_private_key(pem: str) -> rsa.RSAPrivateKey:
    """A key that this module made: checking its primes again would take longer than all the rest of a start."""
    key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the signing key is not RSA")
    return key


def public_pem(private_pem: str) -> str:
    """The PEM that goes into CLERK_JWT_KEY."""
    encoded = (
        load_private_key(private_pem)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return encoded.decode()


class Store:
    """The data and its file. Read and change only inside `reading()` and `changing()`: threads share it."""

    def __init__(self, data_dir: Path) -> None:
        """Open the store in `data_dir`, making folder, file and keys where missing. Raises ValueError for a bad file."""
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = data_dir / FILE_NAME
        self._lock = threading.RLock()
        if not self.path.exists():
            _create(self.path, _encode(Data(_new_keys())))
        self.path.chmod(0o600)
        self._data = _decode(self.path.read_text("utf-8"))

    @contextlib.contextmanager
    def reading(self) -> Iterator[Data]:
        with self._lock:
            yield self._data

    @contextlib.contextmanager
    def changing(self) -> Iterator[Data]:
        """The data, to be changed; written when the block ends well. Checks come before changes in such a block."""
        with self._lock:
            yield self._data
            _replace(self.path, _encode(self._data))


def _new_keys() -> Keys:
    return Keys(
        kid="ins_local",
        private_pem=new_private_pem(),
        secret=secrets.token_hex(20),
        webhook_secret=secrets.token_hex(24),
        form_key=secrets.token_hex(32),
    )


def _temporary(path: Path, text: str) -> str:
    """`text` in a new file beside `path`, readable by its owner alone (mkstemp makes it 0600)."""
    descriptor, name = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return name


def _create(path: Path, text: str) -> None:
    """A link fails where the file exists: of two processes that start at once, the first one's keys stay."""
    name = _temporary(path, text)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)


def _replace(path: Path, text: str) -> None:
    os.replace(_temporary(path, text), path)


def _encode(data: Data) -> str:
    return json.dumps({"version": _VERSION, **asdict(data)}, indent=1)


def _decode(text: str) -> Data:
    try:
        raw = json.loads(text)
        if raw["version"] != _VERSION:
            raise ValueError("written by another version")
        return Data(
            keys=Keys(**raw["keys"]),
            users={key: User(**value) for key, value in raw["users"].items()},
            clients={key: Client(**value) for key, value in raw["clients"].items()},
            sessions={key: Session(**value) for key, value in raw["sessions"].items()},
            actor_tokens={key: ActorToken(**value) for key, value in raw["actor_tokens"].items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{FILE_NAME} cannot be read; move it away to start afresh") from error
