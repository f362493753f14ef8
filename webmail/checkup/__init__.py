"""`mtumail doctor`: what stands and what does not, in words that say how to mend it.

Each check is a function from the settings to findings. What a process is not given, it is not asked about: an environment without
CLERK_* is not that of the web app.
"""

from collections.abc import Callable, Iterable

from webmail import config
from webmail.checkup import backups, database, doors, local, outside, servers
from webmail.checkup.findings import Finding, bad, ok, warn
from webmail.config import Settings
from webmail.errors import SettingError

Check = Callable[[Settings], Iterable[Finding]]

HERE: tuple[Check, ...] = (
    local.master_key,
    local.data_folder,
    local.certificate,
    local.proxy,
    local.listening,
    backups.folder,
    database.look,
    servers.redis,
    doors.pages,
)
BEYOND: tuple[Check, ...] = (
    outside.clerk,
    outside.relays,
    outside.names,
    doors.front,
    doors.exchanger,
    backups.storage,
)
"""Asks others: Clerk, the relays, DNS, and our own names as others see them. Each is given a few seconds."""


def run(*, offline: bool = False) -> list[Finding]:
    """Look at everything that this process' environment names; `offline`: at nothing that belongs to others."""
    unknown = [
        warn("setting", f"{name} is not known, and not read", f"did you mean {near}?" if near else "")
        for name, near in config.unknown()
    ]
    try:
        settings = config.read()
    except SettingError as error:
        return [bad("settings", str(error)), *unknown]
    return [ok("settings", settings.environment), *unknown, *examine(settings, offline=offline)]


def examine(settings: Settings, *, offline: bool = False) -> list[Finding]:
    """Look at everything that these settings name."""
    return [one for look in (HERE if offline else HERE + BEYOND) for one in look(settings)]
