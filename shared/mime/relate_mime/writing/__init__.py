"""Messages that the mail system writes: fields and text that nothing from a stranger can break out of."""
