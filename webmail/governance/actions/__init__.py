"""What is done to people and their mailboxes when a rule is broken: told to them, appealable, and undone when it was wrong."""
