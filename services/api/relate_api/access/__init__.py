"""Who calls, and what the caller may do: every route requires a scope, or is listed as public."""
