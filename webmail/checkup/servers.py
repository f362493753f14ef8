"""Redis or Valkey: that it answers, is new enough, and would rather refuse than forget."""

from collections.abc import Iterator

from redis import Redis
from redis.exceptions import RedisError

from webmail import provision
from webmail.checkup.findings import Finding, bad, ok, warn
from webmail.checkup.local import role
from webmail.config import Settings

OLDEST = 7


def redis(settings: Settings) -> Iterator[Finding]:
    """What the bell hangs on."""
    if not settings.redis_url and role(settings) == provision.OWNER:
        return  # migrations ring for nobody
    if not settings.redis_url:
        yield bad("redis", "REDIS_URL is not set", "install valkey-server or redis-server, and name it")
        return
    try:
        client = Redis.from_url(settings.redis_url, socket_timeout=3, socket_connect_timeout=3)
        client.ping()
        yield ok("redis", "answers")
        yield from _kind(client)
    except (RedisError, OSError) as error:
        words = f"cannot be reached ({type(error).__name__}); mail is kept, and filed once it is back"
        yield bad("redis", words, "start it, and look at REDIS_URL")


def _kind(client: Redis) -> Iterator[Finding]:
    try:
        told = client.info()
    except RedisError:  # a rule of its own (ACL) may keep INFO from us
        return
    version = str(told.get("valkey_version") or told.get("redis_version") or "")
    if version.partition(".")[0].isdigit() and int(version.partition(".")[0]) < OLDEST:
        yield bad("redis version", version, f"use {OLDEST} or newer")
    policy = str(told.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield warn("redis memory", f"forgets under pressure ({policy})", "set maxmemory-policy to noeviction")
