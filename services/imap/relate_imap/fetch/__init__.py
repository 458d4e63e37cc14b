"""FETCH: its plan (`plan`), sections of a message (`sections`), their output (`contents`), BINARY (`decode`)."""
