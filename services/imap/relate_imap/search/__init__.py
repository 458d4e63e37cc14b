"""SEARCH, SORT and THREAD: keys, their cost, matching and ordering."""
