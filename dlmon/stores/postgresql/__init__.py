"""Events in a table of PostgreSQL: typed columns for queries, and the exact body beside them."""

from __future__ import annotations

from dlmon.stores.postgresql.reader import PostgresqlReader
from dlmon.stores.postgresql.store import PostgresqlStore

__all__ = ["PostgresqlReader", "PostgresqlStore"]
