"""The LRU cache that all caches of the store are made of."""
