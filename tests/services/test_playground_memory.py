"""The playground's models in memory by their names, over a decoder that only takes note."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workbench.domain.errors import NotFound
from workbench.domain.runs import ModelRef
from workbench.domain.settings import Settings
from workbench.jobs.decoder import Memory
from workbench.services import playground as module
from workbench.services.playground import PlaygroundService
from workbench.services.views import LoadedModel, MemoryView


class Noting:
    """A decoder's memory; what it is told is written down."""

    def __init__(self, log: Path, threads: Any, budget: Any) -> None:
        self.held, self.budget, self.told = Memory(), budget, []  # type: ignore[var-annotated]

    def memory(self) -> Memory:
        return self.held

    def free(self, model: Path) -> None:
        self.told.append(("free", model))

    def rebudget(self, bytes: int) -> None:
        self.told.append(("rebudget", bytes))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(module, "Decoder", Noting)
    known = ModelRef(name="stories", path="/models/7f", kind="sft", created=datetime(2026, 1, 1, tzinfo=UTC))

    def get(name: str) -> ModelRef:
        if name != known.name:
            raise NotFound("There is no such model.", "Choose another.")
        return known

    workspace = SimpleNamespace(store=None, lane=None, runs=tmp_path / "runs", path=tmp_path)
    models = SimpleNamespace(list=lambda: [known], get=get)
    settings = SimpleNamespace(get=lambda: Settings(decoder_memory=3))
    return PlaygroundService(cast(Any, workspace), cast(Any, models), cast(Any, settings), cast(Any, None))


def test_that_models_have_the_names_that_columns_give_them(service: Any, tmp_path: Path) -> None:
    checkpoint = tmp_path / "runs" / "dpo-3" / "checkpoints" / "40"
    elsewhere = Path("/somewhere/dpo-3/checkpoints/40")
    held = (("/models/7f", "policy", 5), (str(checkpoint), "reward", 6), (str(elsewhere), "policy", 7))
    service._decoder.held = Memory(held, 18, 99)
    names = ("stories", "dpo-3@40", "40")
    models = tuple(LoadedModel(name, *one) for name, one in zip(names, held, strict=True))
    assert service.memory() == MemoryView(models, 18, 99)


def test_that_a_decoder_that_does_not_run_holds_nothing(service: Any) -> None:
    service._models.list = lambda: pytest.fail("nobody's name is asked for")
    assert service.memory() == MemoryView()


def test_that_a_model_is_freed_by_name_or_by_a_folder_that_may_be_gone(service: Any) -> None:
    service.free("stories")
    service.free("/gone/since")
    assert service._decoder.told == [("free", Path("/models/7f")), ("free", Path("/gone/since"))]
    with pytest.raises(NotFound):
        service.free("nobody")


def test_that_a_budget_is_told_in_bytes_now_and_at_every_start(service: Any) -> None:
    service.rebudget(2)
    assert service._decoder.told == [("rebudget", 2 * 2**30)]
    assert service._decoder.budget() == 3 * 2**30
