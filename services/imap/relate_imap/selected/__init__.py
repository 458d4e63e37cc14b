"""The selected mailbox of a session.

Message numbers (`mailbox`, `sequence_set`), \\Recent (`recent`), flags and keywords (`flags`), pending updates
(`updates`) and expunged UIDs (`vanished`).
"""
