"""Filters: their rows as deliveries read and count them, and the store of them."""
