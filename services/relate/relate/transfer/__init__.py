"""Moves an account's mail in and out: `relate import` and `relate export`.

`importing` and `exporting` are the two runs. Sources of an import: `imap` (another server) and `files`. The
file formats, read and written: `mbox`, `maildir`, `eml`. `stored` finds out which messages a mailbox has already.
"""
