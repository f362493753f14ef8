"""The relays as they are now: where the environment says they are, with the password that an admin put in last.

Which relays there are is the operator's alone: whoever could lead mail elsewhere from a page would read all that leaves.
"""

from collections.abc import Sequence
from dataclasses import replace

from webmail.config import Settings
from webmail.keys import MasterKeys
from webmail.sending.relay import RelaySettings
from webmail.settings import kept

PASSWORD = "relay.password"  # noqa: S105 - the name of a setting


def outward(settings: Settings, master: MasterKeys) -> tuple[RelaySettings, ...]:
    """The relays that mail leaves through, the kept password in place of the environment's at the first one with a sign-in and at
    those with the same user. Where no transaction is open. Raises SettingError, KeyTrouble."""
    known = RelaySettings.for_host(settings.relay_url, settings.host_name) if settings.relay_url else ()
    return with_password(
        known, kept.glance_secret(master, PASSWORD) if any(one.username for one in known) else ""
    )


def with_password(known: Sequence[RelaySettings], password: str) -> tuple[RelaySettings, ...]:
    """The relays with another password where it holds; as they are for ""."""
    user = next((one.username for one in known if one.username), "")
    return tuple(
        replace(one, password=password) if password and user and one.username == user else one
        for one in known
    )
