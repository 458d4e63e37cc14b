"""The tables, the conversion of rows to values, and the migrations."""
