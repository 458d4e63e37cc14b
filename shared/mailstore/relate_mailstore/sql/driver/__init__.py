"""Access to the database: engines, connections, statements, and what SQLite and PostgreSQL do differently."""
