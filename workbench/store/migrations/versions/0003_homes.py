"""Runs, models and settings belong to a folder, of which several may share a server."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("runs", sa.Column("home", Text, nullable=False, server_default=""))
    if op.get_bind().dialect.name == "sqlite":
        _make_again()
        return
    for table in ("models", "settings"):
        op.add_column(table, sa.Column("home", Text, nullable=False, server_default=""))
    op.drop_constraint("models_name_key", "models", type_="unique")
    op.create_unique_constraint("models_home_name_key", "models", ["home", "name"])
    op.drop_constraint("settings_pkey", "settings", type_="primary")
    op.create_primary_key("settings_pkey", "settings", ["home", "key"])


def _make_again() -> None:
    """SQLite can't change a key in place. Parents are copied first, because a dropped model would take its own along."""
    op.create_table(
        "new_settings",
        sa.Column("home", sa.Text(), nullable=False, server_default=""),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("home", "key"),
    )
    op.create_table(
        "new_models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("home", sa.Text(), nullable=False, server_default=""),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("parameters", sa.Integer(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("home", "name"),
    )
    op.create_table(
        "new_model_parents",
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["new_models.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "place"),
    )
    models = "id, name, path, kind, form, run, parameters, created, synthetic"
    for table, columns in (("settings", "key, value"), ("models", models), ("model_parents", "model_id, place, parent")):
        op.execute(f"INSERT INTO new_{table} ({columns}) SELECT {columns} FROM {table}")
    for table in ("settings", "model_parents", "models"):
        op.drop_table(table)
        op.rename_table(f"new_{table}", table)
