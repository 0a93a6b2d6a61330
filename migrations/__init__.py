"""Alembic's revisions of the store's schema, for SQLite and PostgreSQL."""

HEAD = "0031"
"""The newest revision; a test holds it to `versions/`."""
