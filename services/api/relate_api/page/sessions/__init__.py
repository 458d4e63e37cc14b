"""Sessions of browsers: when they begin and end, their cookies, and the tokens of their forms."""
