"""Runs the queue: claims what is due, decides what the results of attempts mean, and stores that."""
