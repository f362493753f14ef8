"""What a laptop lacks: Postgres, Valkey, a local Clerk, a relay sink, and a supervisor for them all."""
