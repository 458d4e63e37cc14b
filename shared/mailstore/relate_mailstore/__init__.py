"""The mail store: ports, MIME index, memory and SQL stores."""
