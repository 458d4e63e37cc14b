"""The mail store on SQL databases: SQLite in one process, PostgreSQL for many."""
