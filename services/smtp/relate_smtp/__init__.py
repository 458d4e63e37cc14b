"""The SMTP server: submission and reception."""
