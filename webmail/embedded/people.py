"""The people of the demo: who they are to the local Clerk and what they may do in mtumail.

The user ids never change, so that data made for these people in one run belongs to them in the next.
Their password and TOTP secret are public: they exist only where the local Clerk runs.
"""

from __future__ import annotations

from dataclasses import dataclass

DEMO_PASSWORD = "mtumail-demo"  # noqa: S105 - published in the README
DEMO_TOTP_SECRET = "JBSWY3DPEHPK3PXP"  # noqa: S105 - the example secret of every TOTP manual
DEMO_DOMAIN = "mtumail.test"


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """`role` is user, support, support_lead, reviewer or admin; `totp` a base32 secret, None where it is off."""

    user_id: str
    username: str
    first_name: str
    last_name: str
    role: str
    totp: str | None = None

    @property
    def email(self) -> str:
        return f"{self.username}@{DEMO_DOMAIN}"

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}"


DEMO_PEOPLE: tuple[DemoPerson, ...] = (
    DemoPerson("user_2mtuDemoAnnWhitfield0000001", "ann", "Ann", "Whitfield", "user"),
    DemoPerson("user_2mtuDemoBenOkello0000000002", "ben", "Ben", "Okello", "user"),
    DemoPerson("user_2mtuDemoSamLindgren00000003", "sam", "Sam", "Lindgren", "support", DEMO_TOTP_SECRET),
    DemoPerson(
        "user_2mtuDemoSueMarchetti0000004", "sue", "Sue", "Marchetti", "support_lead", DEMO_TOTP_SECRET
    ),
    DemoPerson("user_2mtuDemoRexAbara00000000005", "rex", "Rex", "Abara", "reviewer", DEMO_TOTP_SECRET),
    DemoPerson("user_2mtuDemoAdaNovak00000000006", "ada", "Ada", "Novak", "admin", DEMO_TOTP_SECRET),
)
