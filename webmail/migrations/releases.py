"""Which schema each release came with. From the first one on, every step has to suit the release before it as well: old and new
processes work side by side while an upgrade rolls through.

So a change that takes something away is made in two releases. The first one *expands*: it adds what is new, and its code reads and
writes both. The second one *contracts*: it removes what the first one no longer needs, and its migration says so:

    CONTRACTS = "1.1.0"    # the first release whose code does without what is removed here

`tests/db/test_expand.py` reads every step after the last release and refuses what old code, or a table in use, would not bear.
"""

RELEASES: tuple[tuple[str, str], ...] = ()
"""(version, its last revision), oldest first. A release adds its line; nothing is released yet."""
