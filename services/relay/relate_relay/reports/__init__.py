"""Delivery reports (RFC 3461, RFC 3464): which are due, how they are written, and how those of others are read.

Pure: values in, octets or values out.
"""
