"""Labels: the store of their names, colours and order."""
