"""The tables, the mapping of rows to values, and the migrations."""
