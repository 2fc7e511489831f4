"""What goes wrong in a run of any kind ends it with a sentence and a hint, and what was learned until then is kept."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.kinds import SAMPLED, small
from workbench.domain.errors import WorkbenchError
from workbench.domain.specs.kinds import parse_spec
from workbench.engine.device import Setup
from workbench.engine.worker import RECIPES, explain
from workbench.protocol.run_folder import RunFolder

Make = Callable[..., RunFolder]
Here = Callable[[RunFolder], list[dict[str, Any]]]
TRAINED = ("pretrain", "sft", "reward", "dpo", "ppo", "grpo", "weighted")
ASKED = ("judge", "revise", "score")  # they train nothing
MOODY = """calls = []
def score(prompts, completions, rows):
    calls.append(1)
    if len(calls) > 3:
        {trouble}
    return [float(len(text)) for text in completions]
"""
SHORT: dict[str, Any] = {"eval_every": 0, "sample_every": 0, "sample_count": 0}


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, Callable[[torch.optim.Optimizer], None]], None]:
    """Lets something happen at the start of a step of a recipe."""

    def arm(kind: str, when: int, happens: Callable[[torch.optim.Optimizer], None]) -> None:
        recipe = importlib.import_module(RECIPES[kind])
        really = recipe.set_learning_rate

        def then(optimizer: torch.optim.Optimizer, step: int, *more: Any) -> float:
            if step == when:
                happens(optimizer)
            return float(really(optimizer, step, *more))

        monkeypatch.setattr(recipe, "set_learning_rate", then)

    return arm


def failed(folder: RunFolder, here: Here) -> tuple[str, str, str]:
    """(kind, what, hint) of how a run ends."""
    with pytest.raises(Exception) as caught:
        here(folder)
    kind, what, hint = explain(caught.value)
    assert what
    assert hint.endswith(".")
    return kind, what, hint


def kept(folder: RunFolder) -> list[str]:
    assert not folder.model.exists()
    return [path.name for path in folder.complete_checkpoints()]


@pytest.mark.parametrize("kind", TRAINED)
def test_that_weights_that_become_no_numbers_end_the_run_and_the_last_good_checkpoint_stays(
    kind: str, request: pytest.FixtureRequest, make_run: Make, here: Here, at_step: Callable[..., None]
) -> None:
    def diverge(optimizer: torch.optim.Optimizer) -> None:
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.data.fill_(torch.nan)

    at_step(kind, 3, diverge)
    folder = make_run(*small(kind, request, **SHORT))
    error, what, hint = failed(folder, here)
    assert error == "run_failed"
    assert "nan" in what or "no numbers" in what
    assert "learning rate" in hint
    assert kept(folder) == ["2"]


@pytest.mark.parametrize("kind", TRAINED)
def test_that_a_run_out_of_memory_keeps_the_steps_that_are_done_and_goes_on_from_there(
    kind: str,
    request: pytest.FixtureRequest,
    make_run: Make,
    here: Here,
    curves: Callable[..., Any],
    at_step: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, rows = small(kind, request, **SHORT)
    straight, folder = make_run(spec, rows, "straight"), make_run(spec, rows, "short of memory")
    here(straight)

    def run_out(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as patched:
        at_step(kind, 3, lambda _: patched.setattr(Setup, "backward", run_out))
        error, what, hint = failed(folder, here)
    assert error == "out_of_memory"
    assert "memory" in what
    assert "micro_batch_size" in hint
    assert kept(folder) == ["2", "3"]
    monkeypatch.undo()
    here(folder)
    assert curves(folder) == curves(straight)
    ours, theirs = (load_file(next(one.model.glob("*.safetensors"))) for one in (folder, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("kind", ["sft", "ppo"])
def test_that_a_run_out_of_memory_between_two_optimizers_keeps_the_checkpoint_of_before(
    kind: str, request: pytest.FixtureRequest, make_run: Make, here: Here, at_step: Callable[..., None]
) -> None:
    def run_out_while_stepping(optimizer: torch.optim.Optimizer) -> None:
        def run_out(*_: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory.")

        optimizer.register_step_post_hook(run_out)

    at_step(kind, 3, run_out_while_stepping)
    folder = make_run(*small(kind, request, **SHORT))
    assert failed(folder, here)[0] == "out_of_memory"
    assert kept(folder) == ["2"]


@pytest.mark.parametrize("kind", SAMPLED)
def test_that_a_reward_function_that_raises_or_gives_another_number_of_scores_loses_no_step(
    kind: str,
    request: pytest.FixtureRequest,
    make_run: Make,
    here: Here,
    tmp_path: Path,
) -> None:
    for name, trouble, word in (
        ("raising", "raise ValueError('moody')", "moody"),
        ("short", "return [0.0]", "gave 1 rewards for 6"),
    ):
        file = tmp_path / f"{name}.py"
        file.write_text(MOODY.format(trouble=trouble))
        rewards = {"function": f"{file}:score"}
        folder = make_run(*small(kind, request, reward_model="", rewards=rewards, **SHORT), name)
        error, what, _ = failed(folder, here)
        assert error == "run_failed"
        assert word in what
        assert kept(folder) == ["2", "3"]


@pytest.mark.parametrize("kind", [*TRAINED, *ASKED])
def test_that_data_of_another_kind_is_refused_by_the_names_of_its_columns(
    kind: str, request: pytest.FixtureRequest, make_run: Make, here: Here
) -> None:
    spec, _ = small(kind, request)
    error, what, hint = failed(make_run(spec, [{"picture": "a cat", "caption": "a dog"}] * 3), here)
    assert error == "run_failed"
    assert "picture, caption" in what
    assert "kind" in hint


@pytest.mark.parametrize("kind", TRAINED)
def test_that_a_model_without_biases_has_nothing_to_train_by_bitfit(
    kind: str, request: pytest.FixtureRequest, make_run: Make, here: Here
) -> None:
    error, what, hint = failed(make_run(*small(kind, request, method="bitfit")), here)
    assert error in {"run_failed", "bad_input"}
    assert "bias" in what
    assert "method" in hint or "adapter" in hint or "training" in hint


@pytest.mark.parametrize("kind", [kind for kind in TRAINED if kind != "pretrain"])
def test_that_rows_that_are_all_longer_than_the_context_end_the_run_with_the_reason(
    kind: str, request: pytest.FixtureRequest, make_run: Make, here: Here
) -> None:
    spec, rows = small(kind, request)
    long = [{**row, "prompt": [{"role": "user", "content": f"{n} and so on " * 300}]} for n, row in enumerate(rows[:6])]
    error, what, hint = failed(make_run(spec, long), here)
    assert error == "run_failed"
    assert "No row of the dataset is usable" in what
    assert "128" in what or "120" in what
    assert "max_length" in hint


@pytest.mark.parametrize("kind", [*(kind for kind in TRAINED if kind != "pretrain"), "revise", "judge"])
def test_that_chat_data_is_refused_where_a_template_is_asked_for_and_the_model_has_none(
    kind: str, request: pytest.FixtureRequest, make_run: Make, here: Here
) -> None:
    spec, rows = small(kind, request, chat_format="template")
    chats = [{**row, "raw": False} for row in rows]
    error, what, hint = failed(make_run(spec, chats), here)
    assert error in {"run_failed", "bad_input"}
    assert "chat template" in what
    assert "chat_format" in hint or "plain" in hint


@pytest.fixture
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Path]:
    """The stories model, or a reward model on it, with weights that are no numbers."""

    def make(kind: str) -> Path:
        folder = tmp_path / "broken"
        source = request.getfixturevalue("judge_folder" if kind == "score" else "stories")
        shutil.copytree(source, folder, copy_function=shutil.copyfile)
        weights = load_file(folder / "model.safetensors")
        weights["model.norm.weight"][:] = torch.nan
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return folder

    return make


@pytest.mark.parametrize("kind", [*TRAINED, *ASKED])
def test_that_a_model_whose_weights_are_no_numbers_ends_the_run(
    kind: str, request: pytest.FixtureRequest, make_run: Make, here: Here, broken: Callable[[str], Path]
) -> None:
    spec, rows = small(kind, request, base=str(broken(kind)))
    error, what, _ = failed(make_run(spec, rows), here)
    assert error == "run_failed"
    assert "nan" in what or "number" in what


@pytest.mark.parametrize("kind", ASKED)
def test_that_feedback_that_runs_out_of_memory_keeps_what_was_said_and_goes_on(
    kind: str,
    request: pytest.FixtureRequest,
    make_run: Make,
    here: Here,
    said: Callable[..., list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from workbench.engine.report import Report

    folder = make_run(*small(kind, request))
    told = Report.metric

    def then_run_out(self: Report, *more: Any, **named: Any) -> None:
        told(self, *more, **named)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Report, "metric", then_run_out)
        error, _, hint = failed(folder, here)
    assert error == "out_of_memory"
    assert hint
    result = {"judge": "judged", "revise": "revised", "score": "scored"}[kind]
    first = len(said(folder, result))
    assert 0 < first < 5
    here(folder)
    assert said(folder, "finished")
    assert len(said(folder, result)) == 5


@pytest.mark.parametrize("kind", [*TRAINED, *ASKED])
def test_that_a_spec_out_of_bounds_is_refused_with_the_field(kind: str, request: pytest.FixtureRequest) -> None:
    spec, _ = small(kind, request)
    for field, value in (("batch_size", 0), ("seed", -1), ("precision", "float8"), ("no_such_field", 1)):
        with pytest.raises(WorkbenchError, match=field) as caught:
            parse_spec({**spec.model_dump(), field: value})
        assert caught.value.hint
