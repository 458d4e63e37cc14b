"""What alembic runs: the revisions, on the connection and in the transaction of `sql.migrate`, which holds the lock."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
