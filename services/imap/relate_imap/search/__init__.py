"""SEARCH, SORT and THREAD.

Search keys (`keys`), their cost (`cost`), matching (`match`) and execution (`run`); ordering (`sort`, `thread`,
`subject`) and pages of results (`partial`).
"""
