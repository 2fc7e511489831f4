"""`workbench label queue` and `label gold`: queues of items, and items whose answer is known."""

from __future__ import annotations

import argparse
import re
from typing import Any

from pydantic import ValidationError

from workbench.cli.common import command, family, opened
from workbench.cli.output import Output
from workbench.cli.values import parse_sets
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Ranking
from workbench.domain.queues import QueueSpec
from workbench.domain.specs.kinds import explain
from workbench.services.views import QueueView

HEADS = ("name", "dataset", "strategy", "overlap", "size", "judged", "left_for_you", "state")


def add_queues(verbs: Any) -> None:
    """Add `queue` with its verbs, and `gold`, to the commands of `label`."""
    queues = family(verbs, "queue", "queues: which items are asked, in which order, by how many people")
    create = command(
        queues, "create", run_create, "make a queue over a dataset",
        "label queue create my-work monday rankings --strategy random --overlap 2 --set repeats=0.05",
    )  # fmt: skip
    create.add_argument("name", help="name of the queue")
    create.add_argument("dataset", help="dataset of preferences")
    create.add_argument("--strategy", help=described("strategy"))
    create.add_argument("--overlap", help=described("overlap"))
    create.add_argument("--reward-model", help=described("reward_model"))
    create.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help=f"a further field: {', '.join(sorted(set(QueueSpec.model_fields) - _OPTIONS))}",
    )  # fmt: skip
    listed = command(queues, "list", run_list, "every queue, and how far it is", "label queue list my-work")
    listed.add_argument("--dataset", default="", help="only queues over this dataset")
    for verb, run, sentence in (
        ("close", run_close, "ask nothing more in a queue; what was said stays"),
        ("reopen", run_reopen, "go on asking in a closed queue"),
        ("refresh", run_refresh, "order again what nobody has answered, after new scores, labels or items"),
        ("delete", run_delete, "take a queue away; what was said in it stays"),
    ):
        command(queues, verb, run, sentence, f"label queue {verb} my-work monday").add_argument("name")
    gold = command(
        verbs, "gold", run_gold, "say which answer to an item is right, to see how reliable annotators are",
        "label gold my-work rankings item-7 'A>B=C'",
    )  # fmt: skip
    gold.add_argument("dataset", help="dataset of preferences")
    gold.add_argument("item", nargs="?", help="name of the item; without it, the known answers are listed")
    gold.add_argument("ranking", nargs="?", help="candidates in the dataset's order, best first: A>B, A=B, C>A=B")
    gold.add_argument("--clear", action="store_true", help="forget the item's answer")


_OPTIONS = {"name", "dataset", "strategy", "overlap", "reward_model"}


def described(field: str) -> str:
    """The sentence of a field of a queue, with what it is when nothing is said."""
    found = QueueSpec.model_fields[field]
    return f"{found.description} (default: {found.default})".replace("%", "%%")


def run_create(arguments: argparse.Namespace, output: Output) -> int:
    """Make a queue and say what is in it."""
    asked = {"strategy": arguments.strategy, "overlap": arguments.overlap, "reward_model": arguments.reward_model}
    fields = parse_sets(arguments.set) | {key: value for key, value in asked.items() if value is not None}
    try:
        spec = QueueSpec.model_validate(fields | {"name": arguments.name, "dataset": arguments.dataset})
    except ValidationError as error:
        raise BadInput(*explain(error)) from error
    with opened(arguments) as bench:
        view = bench.queues.create(spec)
    output.result(as_json(view), f"{view.name}: {view.size} items of {view.dataset}, {view.left_for_you} left for you")
    return 0


def run_list(arguments: argparse.Namespace, output: Output) -> int:
    """Print every queue with its figures."""
    with opened(arguments) as bench:
        views = bench.queues.list(arguments.dataset)
    documents = [as_json(view) for view in views]
    rows = [[str(document[head]) for head in HEADS] for document in documents]
    output.result(documents, output.table(HEADS, rows) if rows else "There is no queue.")
    return 0


def run_close(arguments: argparse.Namespace, output: Output) -> int:
    """Close a queue."""
    with opened(arguments) as bench:
        bench.queues.close(arguments.name)
        return _told(output, bench.queues.get(arguments.name))


def run_reopen(arguments: argparse.Namespace, output: Output) -> int:
    """Open a closed queue."""
    with opened(arguments) as bench:
        bench.queues.reopen(arguments.name)
        return _told(output, bench.queues.get(arguments.name))


def run_refresh(arguments: argparse.Namespace, output: Output) -> int:
    """Order a queue again."""
    with opened(arguments) as bench:
        return _told(output, bench.queues.refresh(arguments.name))


def run_delete(arguments: argparse.Namespace, output: Output) -> int:
    """Delete a queue."""
    with opened(arguments) as bench:
        bench.queues.delete(arguments.name)
    output.result({"deleted": arguments.name}, f"{arguments.name} is deleted; what was said in it stays.")
    return 0


def run_gold(arguments: argparse.Namespace, output: Output) -> int:
    """Set or clear a known answer, or list them."""
    with opened(arguments) as bench:
        if arguments.item is not None and arguments.clear:
            bench.queues.clear_gold(arguments.dataset, arguments.item)
        elif arguments.item is not None and arguments.ranking is not None:
            bench.queues.set_gold(arguments.dataset, arguments.item, parse_ranking(arguments.ranking))
        elif arguments.item is not None:
            raise BadInput("What is the answer?", "Name the candidates, best first, such as 'A>B', or --clear.")
        known = bench.queues.golds(arguments.dataset)
    written = {item: write_ranking(ranking) for item, ranking in known.items()}
    lines = [f"{item}: {ranking}" for item, ranking in written.items()]
    output.result(written, "\n".join(lines) or f"No answer is known in {arguments.dataset}.")
    return 0


def parse_ranking(text: str) -> Ranking:
    """`C>A=B` as a ranking: letters name candidates in the dataset's order, `=` is a tie; BadInput."""
    tiers = [tier.split("=") for tier in re.sub(r"\s", "", text).upper().split(">")]
    try:
        return Ranking(tiers=tuple(tuple(_LETTERS.index(letter) for letter in tier) for tier in tiers))
    except ValueError as error:
        raise BadInput(
            f"{text!r} ranks no candidates.", "Name every candidate once, best first: A>B, A=B, C>A=B."
        ) from error


def write_ranking(ranking: Ranking) -> str:
    """A ranking as `C>A=B`."""
    return ">".join("=".join(_LETTERS[candidate] for candidate in tier) for tier in ranking.tiers)


_LETTERS = list("ABCDEFGHI")


def as_json(view: QueueView) -> dict[str, Any]:
    """A queue as the document that `--json` prints."""
    figures = {"size": view.size, "judged": view.judged, "left_for_you": view.left_for_you, "state": view.state}
    return view.spec.model_dump(mode="json") | figures | {"created": view.created.isoformat()}


def _told(output: Output, view: QueueView) -> int:
    sentence = f"{view.name} is {view.state}: {view.judged} of {view.size} items have all their answers"
    output.result(as_json(view), sentence)
    return 0
