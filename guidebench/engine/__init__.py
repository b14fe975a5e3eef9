"""A run of guides on problems: planned, executed and collected."""
