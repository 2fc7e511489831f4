"""Guidelines, queues, leases of items, drafts, gold items, profiles, scores of items; purposes, dimensions and comments of judgements."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _owned(column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], ondelete="CASCADE")


def upgrade() -> None:
    op.add_column("judgements", sa.Column("purpose", sa.Text(), nullable=False, server_default="label"))
    op.add_column("judgements", sa.Column("queue", sa.Text(), nullable=True))
    op.add_column("judgements", sa.Column("guideline", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("judgements", sa.Column("aspects", sa.JSON(), nullable=True))
    op.add_column("judgements", sa.Column("spans", sa.JSON(), nullable=True))
    op.add_column("standings", sa.Column("counts", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.create_table(
        "guidelines",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("dimensions", sa.JSON(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        _owned("dataset_id", "datasets"),
        sa.PrimaryKeyConstraint("dataset_id", "version"),
    )
    op.create_table(
        "queues",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        _owned("dataset_id", "datasets"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index(op.f("ix_queues_dataset_id"), "queues", ["dataset_id"], unique=False)
    op.create_table(
        "queue_items",
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        _owned("queue_id", "queues"),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("queue_id", "place"),
        sa.UniqueConstraint("queue_id", "row_id"),
    )
    op.create_index("ix_queue_items_row", "queue_items", ["row_id"], unique=False)
    op.create_table(
        "queue_progress",
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("judged", sa.Integer(), nullable=False),
        sa.Column("frontier", sa.Integer(), nullable=False),
        _owned("queue_id", "queues"),
        sa.PrimaryKeyConstraint("queue_id", "annotator"),
    )
    op.create_table(
        "item_leases",
        sa.Column("queue_id", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        _owned("queue_id", "queues"),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("queue_id", "row_id", "annotator"),
    )
    op.create_index("ix_item_leases_row", "item_leases", ["row_id"], unique=False)
    op.create_table(
        "drafts",
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("annotator", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("updated", sa.Float(), nullable=False),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("row_id", "annotator"),
    )
    op.create_table(
        "golds",
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("ranking", sa.JSON(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("row_id"),
    )
    op.create_table(
        "profiles",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("colour", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "row_scores",
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("spread", sa.Float(), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        _owned("row_id", "rows"),
        sa.PrimaryKeyConstraint("row_id", "model"),
    )
    op.execute("PRAGMA user_version = 2")
