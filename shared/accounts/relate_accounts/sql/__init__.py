"""Accounts in SQLite or PostgreSQL, with SQLAlchemy Core. Each method is one transaction."""

from relate_accounts.sql.store import SqlAccountStore

__all__ = ["SqlAccountStore"]
