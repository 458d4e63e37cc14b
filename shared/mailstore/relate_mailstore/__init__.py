"""The mail store: the mail model, its port, MIME parsing, stores in memory and SQL. See the README."""
