"""The relay: sends mail that is addressed elsewhere."""
