"""Words about actions, in appeals and of quarantines: sealed under the master key, each for its row."""

from webmail.keys import MasterKeys, Place


def seal_words(master: MasterKeys, words: str, row_id: int, field: str, table: str = "staff_action") -> bytes:
    """What was written about an action or in an appeal, sealed for its row."""
    return master.wrap(words.strip().encode(), Place(table, 0, row_id, field))


def open_words(
    master: MasterKeys, sealed: bytes | None, row_id: int, field: str, table: str = "staff_action"
) -> str:
    """What `seal_words` sealed; "" for None. Raises KeyTrouble, Tampered."""
    return master.unwrap(bytes(sealed), Place(table, 0, row_id, field)).decode() if sealed is not None else ""
