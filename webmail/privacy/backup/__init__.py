"""Backups of everything, encrypted; a journal beside them; and what a restore does, so that nothing deleted comes back."""
