"""Guidelines, queues, leases of items, drafts, gold items, profiles, scores of items; purposes, dimensions and comments of judgements."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# What SQLite and PostgreSQL keep alike: eight bytes, order by code point, JSON with NaN.
Integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(sa.Text(collation="C"), "postgresql")


def _owned(column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("judgements", sa.Column("purpose", Text, nullable=False, server_default="label"))
    op.add_column("judgements", sa.Column("queue", Text, nullable=True))
    op.add_column("judgements", sa.Column("guideline", Integer, nullable=False, server_default="0"))
    op.add_column("judgements", sa.Column("aspects", JSON, nullable=True))
    op.add_column("judgements", sa.Column("spans", JSON, nullable=True))
    op.create_index("ix_judgements_queue", "judgements", ["queue", "annotator", "id"], unique=False)
    op.add_column("standings", sa.Column("counts", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "guidelines",
        sa.Column("dataset_id", Integer, nullable=False),
        sa.Column("version", Integer, nullable=False),
        sa.Column("text", Text, nullable=False),
        sa.Column("dimensions", JSON, nullable=False),
        sa.Column("author", Text, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        _owned("dataset_id", "datasets"),
        sa.PrimaryKeyConstraint("dataset_id", "version"),
    )
    op.create_table(
        "queues",
        sa.Column("id", Integer, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("dataset_id", Integer, nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("size", Integer, nullable=False),
        sa.Column("full", Integer, nullable=False),
        sa.Column("frontier", Integer, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        _owned("dataset_id", "datasets"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index(op.f("ix_queues_dataset_id"), "queues", ["dataset_id"], unique=False)
    op.create_table(
        "queue_items",
        sa.Column("queue_id", Integer, nullable=False),
        sa.Column("place", Integer, nullable=False),
        sa.Column("row_id", Integer, nullable=False),
        sa.Column("origin", Text, nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        _owned("queue_id", "queues"),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("queue_id", "place"),
        sa.UniqueConstraint("queue_id", "row_id"),
    )
    op.create_index("ix_queue_items_row", "queue_items", ["row_id"], unique=False)
    op.create_table(
        "queue_progress",
        sa.Column("queue_id", Integer, nullable=False),
        sa.Column("annotator", Text, nullable=False),
        sa.Column("judged", Integer, nullable=False),
        sa.Column("waiting", Integer, nullable=False),
        sa.Column("frontier", Integer, nullable=False),
        _owned("queue_id", "queues"),
        sa.PrimaryKeyConstraint("queue_id", "annotator"),
    )
    op.create_table(
        "item_leases",
        sa.Column("queue_id", Integer, nullable=False),
        sa.Column("row_id", Integer, nullable=False),
        sa.Column("annotator", Text, nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        _owned("queue_id", "queues"),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("queue_id", "row_id", "annotator"),
    )
    op.create_index("ix_item_leases_row", "item_leases", ["row_id"], unique=False)
    op.create_table(
        "drafts",
        sa.Column("row_id", Integer, nullable=False),
        sa.Column("annotator", Text, nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("row_id", "annotator"),
    )
    op.create_table(
        "golds",
        sa.Column("row_id", Integer, nullable=False),
        sa.Column("ranking", JSON, nullable=False),
        sa.Column("author", Text, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("row_id"),
    )
    op.create_table(
        "profiles",
        sa.Column("name", Text, nullable=False),
        sa.Column("colour", Text, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "row_scores",
        sa.Column("row_id", Integer, nullable=False),
        sa.Column("model", Text, nullable=False),
        sa.Column("scores", JSON, nullable=False),
        sa.Column("spread", sa.Float(), nullable=True),
        sa.Column("run", Text, nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("row_id", "model"),
    )
