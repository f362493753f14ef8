"""Deletion of a mailbox or of a whole account: grace with undo, then keys first, rows after, and a certificate of it (P24, P26)."""
