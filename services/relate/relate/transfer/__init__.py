"""Import and export of an account's mail: `relate import` and `relate export`.

runner           opens database and source, runs the transfer, shows progress
importer         stores the messages of a source, one transaction per batch
exporter         writes all mailboxes to files
imap_source      a source: another IMAP server
file_source      a source: files, through the readers of mbox, maildir and eml
mailbox_mapping  maps the mailbox names of another server
mailbox_paths    maps mailbox names to file paths and back
deduplication    finds messages that a mailbox already stores
report           counts of transferred and skipped messages
raw_message      line endings and dates of messages in files
"""
