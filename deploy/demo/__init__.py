"""What `make demo FAULT=…` breaks: one program for each fault but `lost-collector`, in a container of compose.yaml.

A fault ends with its container. docs/walks has a page about each.
"""
