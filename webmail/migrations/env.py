"""Alembic's entry: runs on the connection that `webmail.provision` hands over, one migration run at a time."""

from alembic import context

from webmail.db import Base
from webmail.provision import import_models

import_models()
connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=Base.metadata, transaction_per_migration=True, compare_type=True
)
with context.begin_transaction():
    context.run_migrations()
