"""FETCH: the plan of its attributes, and the sections of messages that it reads and decodes."""
