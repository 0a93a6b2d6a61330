"""Alembic's revisions of the store's schema, for SQLite and PostgreSQL."""
