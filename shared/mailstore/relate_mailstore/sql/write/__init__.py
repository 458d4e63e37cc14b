"""The transactions that change mail."""
