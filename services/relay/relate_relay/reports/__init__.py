"""Delivery reports (RFC 3461, RFC 3464): which are due, and how they are written.

Pure: values in, octets or values out.
"""
