"""All SQL and all blobs. One module a noun; rows do not leave this package as domain values."""
