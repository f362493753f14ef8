"""Objections to what the staff did, judged by somebody who had no part in it."""
