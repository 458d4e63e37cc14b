"""Alembic's entry point: runs the revisions on the connection, and in the transaction, of `sql.schema.migrate`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
