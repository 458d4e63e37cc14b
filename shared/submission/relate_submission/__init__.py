"""The submission of a message, by SMTP and by REST: authors, recipients, header fields, delivery, events."""
