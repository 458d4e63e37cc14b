"""Change notices between processes, what they say of the freshness of caches, and the lock on a maildrop."""
