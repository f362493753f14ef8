"""HTML cleaned in the jail, or here where it is small and simple: which of the two, and nothing else."""

from __future__ import annotations

import json
from typing import Any, Literal

from webmail import jail
from webmail.mail.sanitize import layout, limits, structure
from webmail.mail.sanitize.model import Formatted, Reading, Refusal, from_plain

Name = Literal["reading", "formatted"]

IN_PROCESS_CHARACTERS = 32 * 1024
_IN_PROCESS_TAGS = 4000
_IN_PROCESS_ENTITIES = 2000
_IN_PROCESS_REBUILT = 5000
_IN_PROCESS_MATCHES = 200_000


def in_jail(
    function_name: Name,
    html: str,
    cpu_seconds: int = 2,
    memory_bytes: int = 256 << 20,
    wall: float = 5,
    **options: Any,
) -> Reading | Formatted | Refusal:
    """Run `reading` or `formatted` with `options` (plain data) in a child that the kernel holds to its limits.

    A crash, a time-out and exhausted memory come back as a Refusal ("crash", "slow", "memory"), as do the limits of
    the guard. Raises ValueError for an unknown function name, and nothing else.
    """
    if function_name not in ("reading", "formatted"):
        raise ValueError(function_name)
    html = limits.slim(html)
    if len(html) > limits.MAX_BYTES:
        return Refusal("long")
    bounds = jail.Limits(cpu_seconds, memory_bytes, wall)
    reply = jail.run(f"html.{function_name}", html.encode(), options, limits=bounds)
    if isinstance(reply, jail.Refusal):
        return Refusal("slow" if reply.code == "busy" else reply.code)
    try:
        result = from_plain(json.loads(reply))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refusal("crash")
    refused = getattr(result, "refused", None)
    return Refusal(refused) if refused else result


def safely(function_name: Name, html: str, **options: Any) -> Reading | Formatted | Refusal:
    """`reading` or `formatted` of any text at all: here where it is small and simple, else in the jail. Never raises
    but for wrong `options`."""
    html = limits.slim(html)
    if len(html) > IN_PROCESS_CHARACTERS:
        return in_jail(function_name, html, **options)
    found, refusal = limits.judge(html)
    if refusal is not None or found is None:
        return refusal or Refusal("long")
    if not _simple(found):
        return in_jail(function_name, html, **options)
    if function_name == "reading":
        return structure.reduce(html, options.get("link_prefix", "l/"))
    return layout.reshape(
        html, found, options.get("cids") or {}, options.get("image_prefix"), options.get("link_prefix", "l/")
    )


def _simple(found: limits.Survey) -> bool:
    return (
        found.tags <= _IN_PROCESS_TAGS
        and found.entities <= _IN_PROCESS_ENTITIES
        and found.rebuilt <= _IN_PROCESS_REBUILT
        and found.rules * found.tags <= _IN_PROCESS_MATCHES
    )
