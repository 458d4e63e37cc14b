"""The mail store on SQLite and PostgreSQL. The rooms and their order: docs/architecture/mailstore.md."""
