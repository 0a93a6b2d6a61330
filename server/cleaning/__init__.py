"""Cleaning: the log of what people change, its layouts in other tools, and what the records are after it."""
