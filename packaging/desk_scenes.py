"""Every state of the annotation desk and of statistics, for pictures: the workspace that has them, and how each is reached."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from desk_texts import DATASETS
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QTabWidget, QWidget

from workbench.domain.errors import StorageFailed
from workbench.domain.judgement import Ranking
from workbench.domain.queues import Dimension, QueueSpec
from workbench.gui.app import Opener
from workbench.gui.window import Window
from workbench.services.workbench import Workbench, new_workspace

SHARED = Path(os.environ.get("WORKBENCH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
GUIDELINES = (
    "Prefer the response that **solves the asker's problem this week**.\n\n1. A wrong fact is worse than a missing one.\n2. Short beats long "
    "when both say the same.\n3. If neither can be used, say *all bad*.\n"
)
DIMENSIONS = (
    Dimension(name="Helpful", description="Does it solve what was asked?"),
    Dimension(name="Harmless", description="Could following it do damage?"),
    Dimension(name="Truthful", description="Is everything in it so?"),
)
DRAFTS: dict[str, dict[str, Any]] = {
    "four": {"tiers": [[2], [0]]},
    "nine": {"tiers": [[4], [0, 7], [2]]},
    "dimensions": {"aspects": {"Helpful": [[0], [1]], "Harmless": [[1], [0]]}},
}
SHIFT = Qt.KeyboardModifier.ShiftModifier
KEY_MS = 60
Key = str | Qt.Key | tuple[str | Qt.Key, Qt.KeyboardModifier]


@dataclass(frozen=True)
class Scene:
    """Go there, wait, press the keys, wait, take the picture, press what takes it all back."""

    name: str
    go: Callable[[Window], Any]
    keys: tuple[Key, ...] = ()
    back: tuple[Key, ...] = ()
    at_once: bool = False  # while something is still on its way
    leave: Callable[[Window], Any] = lambda _window: None


def press(window: Window, keys: tuple[Key, ...], then: Callable[[], Any]) -> None:
    """Real keys, sent to whatever has the keyboard, each after what the one before it started has come back."""
    if window.bridge.busy:
        QTimer.singleShot(KEY_MS, window, lambda: press(window, keys, then))
    elif not keys:
        then()
    else:
        name, modifier = keys[0] if isinstance(keys[0], tuple) else (keys[0], Qt.KeyboardModifier.NoModifier)
        QTest.keyClick(QApplication.activePopupWidget() or window.focusWidget() or window, name, modifier)
        QTimer.singleShot(KEY_MS, window, lambda: press(window, keys[1:], then))


def _at(dataset: str) -> Callable[[Window], Any]:
    return lambda window: window.go("annotate", dataset=dataset)


def _statistics(dataset: str, tab: int) -> Callable[[Window], Any]:
    def go(window: Window) -> None:
        window.go("statistics", dataset=dataset)
        page = window.deck.page("statistics")
        tabs = page.findChild(QTabWidget, "statistics.tabs") if page is not None else None
        if tabs is not None:
            tabs.setCurrentIndex(tab)

    return go


def _busy(window: Window) -> None:
    """Start takes its time, once."""
    labelling = window.services.labelling
    start = labelling.start

    def slowly(*place: str) -> Any:
        labelling.start = start
        time.sleep(4)
        return start(*place)

    labelling.start = slowly
    window.go("annotate", dataset="four")


def _cancelled(window: Window) -> None:
    """Somebody didn't want to wait for it."""
    _busy(window)
    page = window.deck.page("annotate")
    QTimer.singleShot(KEY_MS, window, lambda: QTest.keyClick(page, Qt.Key.Key_Escape))


def _gone(window: Window) -> None:
    """The server is away, for a moment."""
    labelling = window.services.labelling
    start, until = labelling.start, time.monotonic() + 3

    def away(*place: str) -> Any:
        if time.monotonic() > until:
            return start(*place)
        raise StorageFailed(
            "The server doesn't answer. Nothing was changed.", "Check the network, and try again.", "connection refused"
        )

    labelling.start = away
    window.go("annotate", dataset="four")


def _empty(window: Window) -> None:
    """A workspace in which nothing is yet."""
    window.go("annotate")
    folder = window.services.path.with_name("empty")
    if not folder.exists():
        new_workspace(folder)
    with Workbench.open(folder) as bench:
        bench.settings.change(theme=window.settings.theme)
    Opener(window).open(folder)


def _full(window: Window) -> None:
    """Back to the one that has everything."""
    Opener(window).open(window.services.path.with_name("my-workspace"))


def _over(name: str) -> Callable[[Window], Any]:
    def go(window: Window) -> None:
        window.go("annotate", dataset="two")
        getattr(window, name)()

    return go


def _command(name: str) -> Callable[[Window], Any]:
    def go(window: Window) -> None:
        window.go("annotate", dataset="two")
        next(action for action in window.actions_here() if action.id == f"annotate.{name}").run()

    return go


def _server(window: Window) -> None:
    window.go("home")
    Opener(window).connect_server()
    field = window.findChild(QWidget, "server.address")
    if field is not None:
        QTest.keyClicks(field, "anna@nowhere.invalid/team")
        QTest.keyClick(field, Qt.Key.Key_Return)


ESCAPE: tuple[Key, ...] = (Qt.Key.Key_Escape,)
SCENES = (
    *(Scene(f"desk-{name}", _at(name)) for name in DATASETS if name not in {"four", "nine", "done", "dimensions"}),
    *(Scene(f"desk-{name}", _at(name)) for name in ("four", "nine", "dimensions")),
    Scene("desk-differences", _at("two"), ("d",), ("d",)),
    Scene("desk-linked", _at("very-long"), ("t", Qt.Key.Key_PageDown, Qt.Key.Key_PageDown), ("t",)),
    Scene("desk-unfolded", _at("conversation"), ("p",), ("p",)),
    Scene("desk-skip", _at("two"), ("s",), ESCAPE),
    Scene("desk-note", _at("two"), ("n",), ESCAPE),
    Scene("desk-repair", _at("nine"), (("e", SHIFT),), ESCAPE),
    Scene("desk-write", _at("two"), (("e", SHIFT), "2"), ESCAPE),
    Scene("desk-known-answer", _at("four"), ("k", "2", "0", "3"), ESCAPE),
    Scene("desk-comment", _at("two"), ("c", (Qt.Key.Key_End, SHIFT), Qt.Key.Key_Return, *"why?"), (*ESCAPE, *ESCAPE)),
    Scene("desk-effects", _at("two"), ("w",), ("w",)),
    Scene("desk-done", _at("done")),
    Scene("desk-guidelines", _at("dimensions"), ("g",), ("g",)),
    Scene("desk-history", _at("pandalm"), ("h",), ESCAPE),
    Scene("desk-known-answers", _at("pandalm"), (("k", SHIFT),), ESCAPE),
    Scene("desk-new-queue", _command("new_queue"), (), ESCAPE),
    Scene("desk-new-person", _command("person"), (Qt.Key.Key_Up, Qt.Key.Key_Return), ESCAPE),
    Scene("desk-busy", _busy, at_once=True),
    Scene("desk-cancelled", _cancelled, at_once=True),
    Scene("desk-error", _gone),
    Scene("statistics-agreement", _statistics("pandalm", 0)),
    Scene("statistics-habits", _statistics("pandalm", 1)),
    Scene("statistics-models", _statistics("pandalm", 2)),
    Scene("statistics-again", _statistics("pandalm", 3)),
    Scene("statistics-nothing", _statistics("nine", 0)),
    Scene("keys", _over("show_keys")),
    Scene("help", _over("show_help")),
    Scene("desk-empty", _empty, leave=_full),
    Scene("server", _server),
    Scene("settings", lambda window: window.go("settings")),
)


def fill(workspace: Path) -> None:
    """Items of every kind, guidelines, queues, people, known answers, and labels that agree as real ones do."""
    new_workspace(workspace)
    with Workbench.open(workspace) as bench:
        for name, items in DATASETS.items():
            for one in items:
                bench.labelling.add_item(name, one)
        bench.guidelines.write("dimensions", GUIDELINES, DIMENSIONS)
        bench.profiles.add("Ada")
        bench.profiles.add("Ben Yusuf Okonkwo-Lindqvist")
        if (SHARED / "data/pandalm").is_dir():
            _import_pandalm(bench, workspace / "pandalm.jsonl")
            bench.queues.create(QueueSpec(name="checked", dataset="pandalm", overlap=9, repeats=0.3, golds=0.2, seed=1))
            _judge(bench, "pandalm", "checked", 60)
        _judge(bench, "done", "", 1)
        for name, said in DRAFTS.items():
            bench.drafts.save(name, name, said)
        bench.queues.create(QueueSpec(name="Monday, two people", dataset="two", overlap=2))


def _judge(bench: Workbench, dataset: str, queue: str, most: int) -> None:
    """Two people's labels: mostly the shorter response, a tie now and then, and known answers given or not."""
    if queue:
        shown, _ = bench.labelling.start(dataset, queue)
        for place in range(0, 40, 3):
            found = bench.datasets.page(dataset, place, 1)
            bench.queues.set_gold(dataset, found[0].id, Ranking(tiers=((0,), (1,))))
    for who in ("Ada", "me"):
        bench.profiles.use(who)
        shown, _ = bench.labelling.start(dataset, queue)
        for n in range(most):
            if shown is None:
                break
            lengths = [len(candidate.text) for candidate in shown.item.candidates]
            first = int(lengths[0] > lengths[1]) if n % 5 else n % 2
            tiers = ((0, 1),) if n % 9 == 4 else ((first,), (1 - first,))
            spent = 4_000 + 1_700 * (n % 7) + 60 * n
            shown = bench.labelling.record(
                dataset, shown, outcome="ranked", ranking=Ranking(tiers=tiers), milliseconds=spent
            ).next


def _import_pandalm(bench: Workbench, file: Path) -> None:
    """PandaLM's test set, judged by three people, as the workbench's own lines."""
    tiers = {0: [[0, 1]], 1: [[0], [1]], 2: [[1], [0]]}
    rows = json.loads((SHARED / "data/pandalm/testset-v1.json").read_text(encoding="utf-8"))
    with file.open("w", encoding="utf-8") as lines:
        for row in rows:
            name, models = f"pandalm-{row['idx']}", row["cmp_key"].split("_")
            made = datetime(2023, 6, 8, tzinfo=UTC).isoformat()
            said = [
                {
                    "id": f"{name}-{who}", "item": name, "annotator": who, "outcome": "ranked", "ranking": {"tiers": tiers[row[who]]},
                    "shown": [0, 1], "shown_seed": 0, "milliseconds": 0, "created": made,
                }
                for who in ("annotator1", "annotator2", "annotator3")
            ]  # fmt: skip
            sides = [{"text": str(row[f"response{n + 1}"]), "model": models[n]} for n in range(2)]
            asked = f"{row['instruction']}\n\n{row['input']}".strip()
            item = {"id": name, "prompt": {"turns": [{"role": "user", "content": asked}]}, "candidates": sides}
            lines.write(json.dumps({"workbench": 1, "item": item, "judgements": said}) + "\n")
    bench.datasets.import_files([file], "pandalm")
