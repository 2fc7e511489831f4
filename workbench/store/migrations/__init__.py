"""Frozen history of the tables; run by Alembic, which is imported only when a workspace is not current."""
