"""Running the service: who the people are, what waits, whether mail arrives, and who is told when something is wrong."""
