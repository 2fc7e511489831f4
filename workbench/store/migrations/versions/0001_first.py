"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# What SQLite and PostgreSQL keep alike: eight bytes, order by code point, JSON with NaN.
Integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(sa.Text(collation="C"), "postgresql")

# Lower-case letters that fold into others: micro, long s, final sigma, Greek symbols.
VARIANTS = (0xB5, 0x17F, 0x3C2, 0x3D0, 0x3D1, 0x3D5, 0x3D6, 0x3F0, 0x3F1, 0x3F5, 0x1E9B, 0x1FBE)


def upgrade() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", Integer, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("source", Text, nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("rows", Integer, nullable=False),
        sa.Column("judged", Integer, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "leases",
        sa.Column("name", Text, nullable=False),
        sa.Column("owner", Text, nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "models",
        sa.Column("id", Integer, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("path", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("form", Text, nullable=False),
        sa.Column("run", Text, nullable=True),
        sa.Column("parameters", Integer, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "prompts",
        sa.Column("id", Integer, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("turns", JSON, nullable=False),
        sa.Column("raw", sa.Boolean(), nullable=False),
        sa.Column("text", Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "runs",
        sa.Column("id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("folder", Text, nullable=False),
        sa.Column("snapshot", Text, nullable=True),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("place", Integer, nullable=False),
        sa.Column("step", Integer, nullable=False),
        sa.Column("steps", Integer, nullable=False),
        sa.Column("phase", Text, nullable=False),
        sa.Column("device", Text, nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("last_seq", Integer, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("started", sa.Float(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.Column("error_kind", Text, nullable=False),
        sa.Column("error_what", Text, nullable=False),
        sa.Column("error_hint", Text, nullable=False),
        sa.Column("model", Text, nullable=True),
        sa.Column("note", Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_runs_state"), "runs", ["state"], unique=False)
    op.create_table(
        "settings",
        sa.Column("key", Text, nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "snapshots",
        sa.Column("sha", Text, nullable=False),
        sa.Column("dataset", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("rows", Integer, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("sha"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("run_id", Text, nullable=False),
        sa.Column("step", Integer, nullable=False),
        sa.Column("folder", Text, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "step"),
    )
    op.create_table(
        "latest_metrics",
        sa.Column("run_id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("step", Integer, nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "name"),
    )
    op.create_table(
        "metrics",
        sa.Column("id", Integer, nullable=False),
        sa.Column("run_id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("step", Integer, nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("time", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_metrics_run", "metrics", ["run_id", "name", "id"], unique=False)
    op.create_table(
        "model_parents",
        sa.Column("model_id", Integer, nullable=False),
        sa.Column("place", Integer, nullable=False),
        sa.Column("parent", Text, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_id", "place"),
    )
    op.create_table(
        "notices",
        sa.Column("id", Integer, nullable=False),
        sa.Column("run_id", Text, nullable=False),
        sa.Column("what", Text, nullable=False),
        sa.Column("hint", Text, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_notices_run_id"), "notices", ["run_id"], unique=False)
    op.create_table(
        "rows",
        sa.Column("id", Integer, nullable=False),
        sa.Column("dataset_id", Integer, nullable=False),
        sa.Column("position", Integer, nullable=False),
        sa.Column("prompt_id", Integer, nullable=True),
        sa.Column("text", Text, nullable=True),
        sa.Column("item", Text, nullable=True),
        sa.Column("line", Integer, nullable=False),
        sa.Column("raw", JSON, nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["prompt_id"],
            ["prompts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dataset_id", "position"),
    )
    op.create_index("ix_rows_item", "rows", ["item", "dataset_id"], unique=False)
    op.create_index(op.f("ix_rows_prompt_id"), "rows", ["prompt_id"], unique=False)
    op.create_table(
        "samples",
        sa.Column("id", Integer, nullable=False),
        sa.Column("run_id", Text, nullable=False),
        sa.Column("step", Integer, nullable=False),
        sa.Column("index", Integer, nullable=False),
        sa.Column("prompt", Text, nullable=False),
        sa.Column("completion", Text, nullable=False),
        sa.Column("numbers", JSON, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_samples_run", "samples", ["run_id", "step", "index"], unique=False)
    op.create_table(
        "tallies",
        sa.Column("dataset_id", Integer, nullable=False),
        sa.Column("annotator", Text, nullable=False),
        sa.Column("annotator_kind", Text, nullable=False),
        sa.Column("judged", Integer, nullable=False),
        sa.Column("frontier", Integer, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("dataset_id", "annotator"),
    )
    op.create_table(
        "candidates",
        sa.Column("id", Integer, nullable=False),
        sa.Column("row_id", Integer, nullable=False),
        sa.Column("place", Integer, nullable=False),
        sa.Column("text", Text, nullable=False),
        sa.Column("model", Text, nullable=True),
        sa.Column("settings", JSON, nullable=True),
        sa.Column("seed", Integer, nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("row_id", "place"),
    )
    op.create_table(
        "judgements",
        sa.Column("id", Integer, nullable=False),
        sa.Column("uid", Text, nullable=False),
        sa.Column("dataset_id", Integer, nullable=False),
        sa.Column("row_id", Integer, nullable=False),
        sa.Column("annotator", Text, nullable=False),
        sa.Column("annotator_kind", Text, nullable=False),
        sa.Column("outcome", Text, nullable=False),
        sa.Column("ranking", JSON, nullable=True),
        sa.Column("strength", Integer, nullable=False),
        sa.Column("skip_reason", Text, nullable=True),
        sa.Column("note", Text, nullable=False),
        sa.Column("shown", JSON, nullable=False),
        sa.Column("shown_seed", Integer, nullable=False),
        sa.Column("milliseconds", Integer, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_judgements_annotator", "judgements", ["dataset_id", "annotator", "id"], unique=False)
    op.create_index("ix_judgements_day", "judgements", ["annotator", "created"], unique=False)
    op.create_index(op.f("ix_judgements_row_id"), "judgements", ["row_id"], unique=False)
    op.create_table(
        "judgement_moves",
        sa.Column("id", Integer, nullable=False),
        sa.Column("judgement_id", Integer, nullable=False),
        sa.Column("move", Text, nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_judgement_moves_judgement_id"), "judgement_moves", ["judgement_id"], unique=False)
    op.create_table(
        "standings",
        sa.Column("judgement_id", Integer, nullable=False),
        sa.Column("dataset_id", Integer, nullable=False),
        sa.Column("row_id", Integer, nullable=False),
        sa.Column("annotator", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["row_id"], ["rows.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("judgement_id"),
    )
    op.create_index("ix_standings_row", "standings", ["row_id", "annotator", "state", "judgement_id"], unique=False)
    op.create_index(
        "ix_standings_stack", "standings", ["dataset_id", "annotator", "state", "judgement_id"], unique=False
    )
    if op.get_bind().dialect.name == "postgresql":
        _add_functions()
    for table in ("judgements", "judgement_moves"):  # what was said is never rewritten: an undo is a row of its own
        op.execute(f"CREATE TRIGGER {table}_are_never_rewritten BEFORE UPDATE ON {table} {_refusal()}")


def _refusal() -> str:
    if op.get_bind().dialect.name == "postgresql":
        return "FOR EACH ROW EXECUTE FUNCTION refuse_rewriting()"
    return "BEGIN SELECT RAISE(ABORT, 'judgements are only ever added'); END"


def _add_functions() -> None:
    """What SQLite is given by the program: folding of case in every script, as Python's casefold does it, ligatures aside."""
    known = "SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'"
    collation = "und-x-icu" if op.get_bind().exec_driver_sql(known).first() else "default"
    plain = "".join(chr(letter).casefold() for letter in VARIANTS)
    folded = f"""translate(lower(text COLLATE "{collation}"), '{"".join(map(chr, VARIANTS))}', '{plain}')"""
    op.execute(
        "CREATE FUNCTION folded_contains(text text, words text) RETURNS integer LANGUAGE sql IMMUTABLE AS "
        f"$$ SELECT CASE WHEN strpos(replace({folded}, '\u00df', 'ss'), words) > 0 THEN 1 ELSE 0 END $$"
    )
    op.execute(
        "CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'judgements are only ever added'; END $$"
    )
