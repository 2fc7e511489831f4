"""The tables. Every number of rows is kept small by keys, and every question that a page asks has its index.

`migrations/` makes these tables; a test compares the two. A row of a preferences dataset *is* the item: its candidates and
judgements point to it. `standings` and `tallies` are derived from the append-only `judgements` and `judgement_moves`; a judgement
whose standing doesn't `count` (a repeat, or one too many) is kept and can be undone, but is nobody's label. `home` names the
workspace folder that a run, model or setting belongs to, where several folders share a server; in a file it is empty.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, LargeBinary, MetaData, Table, UniqueConstraint, true

from workbench.store.columns import JSON, Integer, Moment, Number, Text

SCHEMA_VERSION = 3

metadata = MetaData()


def _owned(parent: str) -> ForeignKey:
    return ForeignKey(parent, ondelete="CASCADE")


prompts = Table(
    "prompts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", LargeBinary, nullable=False, unique=True),
    Column("turns", JSON(), nullable=False),
    Column("raw", Boolean, nullable=False),
    Column("text", Text, nullable=False),
)
datasets = Table(
    "datasets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("judged", Integer, nullable=False),
    Column("created", Moment, nullable=False),
)
rows = Table(
    "rows",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset_id", Integer, _owned("datasets.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("prompt_id", Integer, ForeignKey("prompts.id"), index=True),
    Column("text", Text),
    Column("item", Text),
    Column("line", Integer, nullable=False),
    Column("raw", JSON(none_as_null=True)),
    UniqueConstraint("dataset_id", "position"),
    Index("ix_rows_item", "item", "dataset_id"),
)
candidates = Table(
    "candidates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("row_id", Integer, _owned("rows.id"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("model", Text),
    Column("settings", JSON(none_as_null=True)),
    Column("seed", Integer),
    Column("score", Float),
    UniqueConstraint("row_id", "place"),
)
judgements = Table(
    "judgements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),
    Column("dataset_id", Integer, _owned("datasets.id"), nullable=False),
    Column("row_id", Integer, _owned("rows.id"), nullable=False, index=True),
    Column("annotator", Text, nullable=False),
    Column("annotator_kind", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("ranking", JSON(none_as_null=True)),
    Column("strength", Integer, nullable=False),
    Column("skip_reason", Text),
    Column("note", Text, nullable=False),
    Column("shown", JSON(), nullable=False),
    Column("shown_seed", Integer, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("purpose", Text, nullable=False, server_default="label"),
    Column("queue", Text),
    Column("guideline", Integer, nullable=False, server_default="0"),
    Column("aspects", JSON(none_as_null=True)),
    Column("spans", JSON(none_as_null=True)),
    Index("ix_judgements_annotator", "dataset_id", "annotator", "id"),
    Index("ix_judgements_day", "annotator", "created"),
    Index("ix_judgements_queue", "queue", "annotator", "id"),
    sqlite_autoincrement=True,
)
judgement_moves = Table(
    "judgement_moves",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("judgement_id", Integer, _owned("judgements.id"), nullable=False, index=True),
    Column("move", Text, nullable=False),
    Column("created", Moment, nullable=False),
    sqlite_autoincrement=True,
)
standings = Table(
    "standings",
    metadata,
    Column("judgement_id", Integer, _owned("judgements.id"), primary_key=True),
    Column("dataset_id", Integer, _owned("datasets.id"), nullable=False),
    Column("row_id", Integer, _owned("rows.id"), nullable=False),
    Column("annotator", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("counts", Boolean, nullable=False, server_default=true()),
    Index("ix_standings_stack", "dataset_id", "annotator", "state", "judgement_id"),
    Index("ix_standings_row", "row_id", "annotator", "state", "judgement_id"),
)
tallies = Table(
    "tallies",
    metadata,
    Column("dataset_id", Integer, _owned("datasets.id"), primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("annotator_kind", Text, nullable=False),
    Column("judged", Integer, nullable=False),
    Column("frontier", Integer, nullable=False),
)
guidelines = Table(
    "guidelines",
    metadata,
    Column("dataset_id", Integer, _owned("datasets.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("text", Text, nullable=False),
    Column("dimensions", JSON(), nullable=False),
    Column("author", Text, nullable=False),
    Column("created", Moment, nullable=False),
)
queues = Table(
    "queues",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("dataset_id", Integer, _owned("datasets.id"), nullable=False, index=True),
    Column("spec", JSON(), nullable=False),
    Column("state", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("full", Integer, nullable=False),
    Column("frontier", Integer, nullable=False),
    Column("created", Moment, nullable=False),
)
queue_items = Table(
    "queue_items",
    metadata,
    Column("queue_id", Integer, _owned("queues.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("row_id", Integer, _owned("rows.id"), nullable=False),
    Column("origin", Text, nullable=False),
    Column("score", Number),
    UniqueConstraint("queue_id", "row_id"),
    Index("ix_queue_items_row", "row_id"),
)
queue_progress = Table(
    "queue_progress",
    metadata,
    Column("queue_id", Integer, _owned("queues.id"), primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("judged", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("frontier", Integer, nullable=False),
)
item_leases = Table(
    "item_leases",
    metadata,
    Column("queue_id", Integer, _owned("queues.id"), primary_key=True),
    Column("row_id", Integer, _owned("rows.id"), primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("expires", Moment, nullable=False),
    Index("ix_item_leases_row", "row_id"),
)
drafts = Table(
    "drafts",
    metadata,
    Column("row_id", Integer, _owned("rows.id"), primary_key=True),
    Column("annotator", Text, primary_key=True),
    Column("body", JSON(), nullable=False),
    Column("updated", Moment, nullable=False),
)
golds = Table(
    "golds",
    metadata,
    Column("row_id", Integer, _owned("rows.id"), primary_key=True),
    Column("ranking", JSON(), nullable=False),
    Column("author", Text, nullable=False),
    Column("created", Moment, nullable=False),
)
profiles = Table(
    "profiles",
    metadata,
    Column("name", Text, primary_key=True),
    Column("colour", Text, nullable=False),
    Column("created", Moment, nullable=False),
)
row_scores = Table(
    "row_scores",
    metadata,
    Column("row_id", Integer, _owned("rows.id"), primary_key=True),
    Column("model", Text, primary_key=True),
    Column("scores", JSON(), nullable=False),
    Column("spread", Number),
    Column("run", Text),
    Column("created", Moment, nullable=False),
)
snapshots = Table(
    "snapshots",
    metadata,
    Column("sha", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("created", Moment, nullable=False),
)
runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("spec", JSON(), nullable=False),
    Column("folder", Text, nullable=False),
    Column("snapshot", Text),
    Column("synthetic", Boolean, nullable=False),
    Column("place", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("facts", JSON(), nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("error_kind", Text, nullable=False),
    Column("error_what", Text, nullable=False),
    Column("error_hint", Text, nullable=False),
    Column("model", Text),
    Column("note", Text, nullable=False),
    Column("home", Text, nullable=False, server_default=""),
)
metrics = Table(
    "metrics",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, _owned("runs.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("value", Number),
    Column("time", Moment, nullable=False),
    Index("ix_metrics_run", "run_id", "name", "id"),
    sqlite_autoincrement=True,
)
latest = Table(
    "latest_metrics",
    metadata,
    Column("run_id", Text, _owned("runs.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("value", Number),
)
samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, _owned("runs.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("index", Integer, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("completion", Text, nullable=False),
    Column("numbers", JSON(), nullable=False),
    Index("ix_samples_run", "run_id", "step", "index"),
)
notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, _owned("runs.id"), nullable=False, index=True),
    Column("what", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("time", Moment, nullable=False),
)
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("run_id", Text, _owned("runs.id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("folder", Text, nullable=False),
    Column("time", Moment, nullable=False),
)
models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("home", Text, nullable=False, server_default=""),
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("run", Text),
    Column("parameters", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    UniqueConstraint("home", "name"),
)
parents = Table(
    "model_parents",
    metadata,
    Column("model_id", Integer, _owned("models.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("parent", Text, nullable=False),
)
settings = Table(
    "settings",
    metadata,
    Column("home", Text, primary_key=True, server_default=""),
    Column("key", Text, primary_key=True),
    Column("value", JSON(), nullable=False),
)
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires", Moment, nullable=False),
)
