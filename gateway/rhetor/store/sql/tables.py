"""What is stored, as tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text

VERSION = 2
"""Of these tables. Another one needs a migration, see docs/decisions/0012-store-on-sqlite.md.

1: sessions, events, documents. 2: assets and generations besides.
"""

schema = MetaData()

# Moments are whole microseconds since 1970, in UTC; what callers and backends say is JSON.
sessions = Table(
    "sessions",
    schema,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("backend", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Index("sessions_of_owner", "owner", "updated_at"),
    Index("sessions_by_age", "updated_at"),
)

events = Table(
    "events",
    schema,
    Column("session_id", Text, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("turn", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

documents = Table(
    "documents",
    schema,
    Column("kind", Text, primary_key=True),
    Column("owner", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False),
)

assets = Table(
    "assets",
    schema,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("name", Text),
    Column("generation", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("assets_of_owner", "owner", "created_at"),
    Index("assets_by_content", "digest"),
    Index("assets_by_end", "expires_at"),
)

generations = Table(
    "generations",
    schema,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("parents", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("generations_by_end", "expires_at"),
    Index("generations_by_age", "at"),
)
