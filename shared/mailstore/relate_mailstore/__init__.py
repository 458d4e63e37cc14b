"""The mail store: the mail model, its port, stores in memory and SQL. See the README."""
