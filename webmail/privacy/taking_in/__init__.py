"""Mail that comes in as a file: mbox, a zip of messages or of a maildir, or one message; read step by step by a worker."""
