"""`SqlMailStore`: the mail store on SQLite and PostgreSQL.

`parts` wires the rooms of `sql` together; the other modules implement the ports of the same names by delegating to it.
"""

from relate_mailstore.sql.store.mail_store import SqlMailStore, open_store

__all__ = ["SqlMailStore", "open_store"]
