"""Maintenance in the background, done while a CPU is idle."""
