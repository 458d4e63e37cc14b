"""What `make demo FAULT=…` breaks: one program per fault, each of which runs in a container of compose.yaml beside it.

A fault ends with its container. docs/walks has a page about each.
"""
