"""What a mailbox holds, as files to take along: asked for by an owner, made step by step by a worker, fetched in parts."""
