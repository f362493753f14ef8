"""Inbound SMTP: accepts mail for local mailboxes, commits it, and only then says 250 (RFC 5321). It cannot read any back."""
