"""What can go wrong, without Flask: raised below the edges, turned into a reply or a page by them."""


class MtumailError(Exception):
    """Base of everything that mtumail raises on purpose."""


class SettingError(MtumailError):
    """A setting that cannot be used. Says which, why, and what a good one looks like."""

    def __init__(self, name: str, why: str, example: str = "") -> None:
        self.name, self.why, self.example = name, why, example
        super().__init__(f"{name}: {why}" + (f" (for example: {example})" if example else ""))


class NotFound(MtumailError):
    """There is no such thing, or it is not yours: the two are never told apart."""


class Refused(MtumailError):
    """The act is understood and not allowed now; the text is meant for the person who asked."""


class NotAllowed(MtumailError):
    """A member of a mailbox may look and not do this; the text is meant for the person who asked."""


class Conflict(MtumailError):
    """Somebody else (another tab, another process) changed it first; nothing was overwritten."""


class KeyTrouble(MtumailError):
    """Key material is missing, wrong, or does not belong here. Never shown as empty mail."""


class Tampered(KeyTrouble):
    """A ciphertext failed its tag: moved, cut or changed. An alarm, not a missing message."""
