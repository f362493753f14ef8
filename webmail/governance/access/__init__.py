"""Access: how the staff may open somebody's mail for a documented cause, and how that is written down, reviewed, and seen by
its owner."""
