"""Change notices between processes, cache freshness, and the maildrop lock."""
