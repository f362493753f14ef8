"""How the text of a setting becomes its value: each of these raises ValueError, whose words go on after the setting's name."""

import base64
import binascii
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

ENVIRONMENTS = ("production", "development", "test")


def environment(text: str) -> str:
    if text not in ENVIRONMENTS:
        raise ValueError(f"is {text!r}; it must be one of {', '.join(ENVIRONMENTS)}")
    return text


def origin(text: str) -> str:
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
    ):
        raise ValueError("must be a scheme and a host, without a path")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be host:port")
    return host.strip("[]"), int(port)


def listens(text: str) -> tuple[tuple[str, int], ...]:
    return tuple(listen(item.strip()) for item in text.split(",") if item.strip())


def database_url(text: str) -> str:
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError("must be a postgresql:// address; mtumail has no second database")
    return f"postgresql+psycopg://{rest}"


def redis_url(text: str) -> str:
    if urlsplit(text).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return text


def master_keys(text: str) -> tuple[bytes, ...]:
    keys = []
    for item in text.replace(",", " ").split():
        try:
            key = base64.b64decode(item, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("must be base64, one key or several with the current one first") from None
        if len(key) != 32:
            raise ValueError(f"holds a key of {len(key)} bytes; each must be 32")
        keys.append(key)
    if not keys:
        raise ValueError("is empty")
    return tuple(keys)


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,15}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def hours(text: str) -> tuple[tuple[str, int], ...]:
    pairs = [item.partition("=") for item in text.replace(" ", "").split(",") if item]
    if not all(kind.isalpha() and hours.isdigit() and 0 < int(hours) <= 8760 for kind, _, hours in pairs):
        raise ValueError("must be kinds and hours from 1 to 8760, as in phishing=12,spam=96")
    return tuple((kind, int(hours)) for kind, _, hours in pairs)


def switch(text: str) -> bool:
    words = {"yes": True, "no": False}
    if text not in words:
        raise ValueError("is neither yes nor no")
    return words[text]


def second_place(text: str) -> str:
    if not text.startswith("run:/") and not Path(text).is_absolute():
        raise ValueError("must be a folder's path from the root, or run: and that of a program")
    return text


def bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text):
        raise ValueError("must be the name of a bucket: 3 to 63 small letters, digits, dots and hyphens")
    return text


def prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?", text) or ".." in text:
        raise ValueError("must be letters, digits, dots, hyphens and single slashes")
    return text


def long_secret(text: str) -> str:
    if not re.fullmatch(r"[!-~]{24,200}", text):
        raise ValueError("must be 24 to 200 characters without spaces")
    return text


def web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\x00-\x1f]", text):
        raise ValueError("must begin with https:// or http://, and name a host")
    return text


def host_name(text: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?", text):
        raise ValueError("must be a host name")
    return text.lower()
