"""Drafts: one for each item and annotator, overwritten, and gone in the transaction of the judgement."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.domain.errors import NotFound, StorageFailed
from workbench.domain.judgement import Judgement
from workbench.store import labels as labels_module
from workbench.store.store import Store, open_store

BODY = {"tiers": [[1], [0]], "note": "half\nsaid 👋", "spans": [], "strength": 2, "write": ""}
Judge = Callable[..., Judgement]
KILLED = """
import sys
from pathlib import Path
from workbench.store.store import open_store

store = open_store(Path(sys.argv[1]))
store.drafts.save("pairs", "i0", "me", {"tiers": [[1]]})
print("saved", flush=True)
sys.stdin.read()
"""


def test_that_a_draft_is_overwritten_and_thrown_away(ten: Store) -> None:
    assert ten.drafts.get("pairs", "i0", "me") is None
    ten.drafts.save("pairs", "i0", "me", {"tiers": [[1]]})
    ten.drafts.save("pairs", "i0", "me", BODY)
    assert ten.drafts.get("pairs", "i0", "me") == BODY
    ten.drafts.save("pairs", "i0", "me", None)
    ten.drafts.save("pairs", "i0", "me", None)
    assert ten.drafts.get("pairs", "i0", "me") is None


def test_that_drafts_of_others_and_of_other_items_stay(ten: Store, judge: Judge) -> None:
    for item, who in (("i0", "me"), ("i0", "you"), ("i1", "me")):
        ten.drafts.save("pairs", item, who, BODY | {"note": f"{who} on {item}"})
    ten.labels.add(judge("i0"), "pairs")
    assert ten.drafts.get("pairs", "i0", "me") is None
    assert ten.drafts.get("pairs", "i0", "you") == BODY | {"note": "you on i0"}
    assert ten.drafts.get("pairs", "i1", "me") == BODY | {"note": "me on i1"}


def test_that_a_judgement_that_fails_keeps_its_draft(ten: Store, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    ten.drafts.save("pairs", "i0", "me", BODY)
    forget = labels_module.forget_draft

    def full(*arguments: object) -> None:
        forget(*arguments)  # type: ignore[arg-type]
        raise OSError("no space left on device")

    monkeypatch.setattr(labels_module, "forget_draft", full)
    with pytest.raises(StorageFailed, match="disk is full"):
        ten.labels.add(judge("i0"), "pairs")
    assert ten.drafts.get("pairs", "i0", "me") == BODY
    assert ten.labels.current("pairs") == []


def test_that_a_draft_survives_a_process_killed_after_it_was_saved(ten: Store) -> None:
    workspace: Path = ten._workspace
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(workspace)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline().strip() == "saved"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    child.stdin.close()
    again = open_store(workspace)
    assert again.drafts.get("pairs", "i0", "me") == {"tiers": [[1]]}
    again.close()


def test_that_a_draft_needs_its_item(ten: Store) -> None:
    with pytest.raises(NotFound, match="no item 'gone' in pairs"):
        ten.drafts.save("pairs", "gone", "me", BODY)
    with pytest.raises(NotFound):
        ten.drafts.get("absent", "i0", "me")
