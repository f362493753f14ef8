"""Restriction and objection (GDPR Art. 18 and 21): what a person has stopped, while something is checked or weighed."""
