"""What services say and write of runs, models and studies, piece by piece; nothing here needs a workspace."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workbench.domain.decoding import Greedy, Sample
from workbench.domain.errors import BadInput
from workbench.domain.runs import ModelRef
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.judge import JudgeSpec
from workbench.domain.specs.kinds import SPECS
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.weighted import WeightedSpec
from workbench.domain.study import Figure, Study, StudyColumn
from workbench.services import fit, hardware, model_export, models, studies, training
from workbench.services.feedback import LONGEST_NAME, signed
from workbench.services.references import function_trouble, usable_rows
from workbench.services.views import DatasetView

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def data(kind: Any = "preferences", rows: int = 10, judged: int = 4) -> DatasetView:
    return DatasetView("mine", kind, rows, judged, NOW)


def model(**more: Any) -> ModelRef:
    given: dict[str, Any] = {
        "name": "mine", "path": "/nowhere", "kind": "sft", "form": "full", "parameters": 7, "created": NOW,
    }  # fmt: skip
    return ModelRef(**(given | more))


# -- sentences of the fit check -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "rows", "steps", "says"),
    [
        (SftSpec(holdout=0.0), 1, 1, "1 row; 1 step."),
        (SftSpec(holdout=0.125), 1200, 30, "1,200 rows, 12.5% of them held out; 30 steps."),
        (PretrainSpec(holdout=0.0), 1, 2, "1 document; about 2 steps, depending on how many tokens they have."),
        (PpoSpec(holdout=0.0, batch_size=1), 3, 1, "3 prompts; 1 rollout of 1 completion."),
        (RewardSpec(holdout=0.0), 1, 2, "1 judged item; 2 steps, fewer where items are all tied or bad."),
        (GrpoSpec(holdout=0.0, batch_size=2, group_size=4), 9, 5, "9 prompts; 5 rollouts of 8 completions, 4 to each prompt."),
        (
            WeightedSpec(holdout=0.0, batch_size=2, group_size=3, completions="sampled"), 9, 5,
            "9 prompts; 5 rollouts of 6 completions, 3 to each prompt.",
        ),
        (DpoSpec(holdout=0.0), 4, 2, "4 judged items; at least 2 steps, more where a ranking gives several pairs."),
    ],
)  # fmt: skip
def test_that_rows_and_steps_are_one_sentence_in_the_words_of_the_kind(
    spec: Any, rows: int, steps: int, says: str
) -> None:
    view = data("demonstrations") if isinstance(spec, SftSpec) else data()
    assert training._row_note(spec, view, rows, steps) == says


def test_that_a_dataset_s_candidates_are_no_rollouts() -> None:
    said = training._row_note(WeightedSpec(holdout=0.0, completions="dataset"), data(), 4, 2)
    assert said.startswith("4 judged items; at least 2 steps")
    assert training._row_note(DpoSpec(holdout=0.0), None, 4, 2) == "4 rows; 2 steps."


@pytest.mark.parametrize(
    ("spec", "context", "words"),
    [
        (SftSpec(max_length=512, batch_size=4), 512, []),
        (SftSpec(max_length=513, batch_size=4), 512, ["at most 512 tokens"]),
        (SftSpec(max_length=9999, batch_size=4), 0, []),
        (SftSpec(batch_size=4, micro_batch_size=4, max_length=8), 512, []),
        (SftSpec(batch_size=4, micro_batch_size=5, max_length=8), 512, ["micro-batch is larger"]),
        (RewardSpec(method="lora", max_length=8), 512, ["score head is trained in full"]),
        (RewardSpec(method="bitfit", max_length=8), 512, []),
        (SftSpec(method="lora", max_length=8), 512, []),
    ],
)
def test_that_lengths_and_batches_that_do_not_fit_are_noted(spec: Any, context: int, words: list[str]) -> None:
    found = training._length_notes(spec, fit.Shape(8, 1, 10, context))
    assert len(found) == len(words)
    assert all(word in note for word, note in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("number", "words"),
    [(999_999, "999,999"), (10**6, "1.0 million"), (260_400_000, "260.4 million"), (10**9, "1.0 billion"), (0, "0")],
)
def test_that_large_numbers_are_said_in_words(number: int, words: str) -> None:
    assert training._count(number) == words


def test_that_every_kind_of_job_knows_which_bases_suit_it() -> None:
    assert training._PREFERRED_BASE.keys() == SPECS.keys()
    assert training._PREFERRED_BASE["score"] == ("reward",)
    assert all("reward" not in kinds for kind, kinds in training._PREFERRED_BASE.items() if kind != "score")


@pytest.mark.parametrize(
    ("kind", "view", "expected"),
    [
        ("dpo", data(), 4),
        ("reward", data(judged=0), 0),
        ("judge", data(), 10),
        ("score", data(), 10),
        ("sft", data("demonstrations"), 10),
        ("ppo", data("prompts"), 10),
    ],
)
def test_that_only_judged_items_teach_and_all_can_be_judged(kind: str, view: DatasetView, expected: int) -> None:
    assert usable_rows(view, kind) == expected


# -- functions of a person's own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "def score(p, c, r): ...",
        "class score: ...",
        "score = print",
        "a = score = len",
        "from math import sin as score",
        "import json as score",
    ],
)
def test_that_every_way_to_define_a_function_is_seen_without_running_it(source: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"{source}\nraise SystemExit('it was run')\n")
    assert function_trouble(file, "score") == []


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, "can't be read"),
        ("def other(): ...", "mine.py defines no function score."),
        ("def f():\n    def score(): ...", "mine.py defines no function score."),
        ("def score(:", "mine.py is no Python"),
        ("x = '\0'", "mine.py is no Python"),
    ],
)
def test_that_a_file_without_the_function_is_told(source: str | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    if source is not None:
        file.write_text(source)
    (trouble,) = function_trouble(file, "score")
    assert says in trouble


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (JudgeSpec(base="models/llama"), "llama"),
        (JudgeSpec(base="llama", annotator="Ada"), "Ada"),
        (JudgeSpec(judge="rule", rule="longer"), "longer"),
        (JudgeSpec(judge="rule", rule="/home/me/rules.py:best"), "rules:best"),
        (JudgeSpec(judge="rule", rule=f"{'r' * 99}.py:best"), "r" * LONGEST_NAME),
    ],
)
def test_that_a_judge_signs_with_its_own_name_or_that_of_its_model_or_rule(spec: JudgeSpec, name: str) -> None:
    assert signed(spec) == name


# -- cards of models ----------------------------------------------------------------------------------------------------------


def test_that_a_card_s_front_is_read_by_hubs() -> None:
    told = model_export._front(model(), 'my "own" licence', ["base-1", "mine"], "gguf")
    assert told.splitlines() == [
        "---", 'license: "my \\"own\\" licence"', "library_name: gguf", "tags:", "- rlhf-workbench", "- sft", "base_model:",
        '- "base-1"', "---",
    ]  # fmt: skip


def test_that_a_model_without_parents_names_no_base() -> None:
    told = model_export._front(model(), "", ["mine"], "safetensors")
    assert "base_model" not in told
    assert 'license: "unknown"' in told
    assert "library_name: transformers" in told


def test_that_cells_of_a_table_stay_in_their_cells() -> None:
    told = model_export._table(("a", "b"), [("one|two", "three\nfour")])
    assert told == "| a | b |\n| --- | --- |\n| one\\|two | three four |"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, ""),
        (b"\xff\xfe", ""),
        (b"# One\n\ntext\n## Two", "### One\n\ntext\n#### Two"),
        (b"```\n# a comment\n```\n# One", "```\n# a comment\n```\n### One"),
        (b"---\nlicense: mit\n---\n# One", "### One"),
        (b"---\nno end of it", "---\nno end of it"),
    ],
)
def test_that_an_older_card_is_taken_in_below(content: bytes | None, told: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "README.md").write_bytes(content)
    assert model_export._readme(tmp_path) == told


@pytest.mark.parametrize(("value", "shown"), [([1, "a"], "1, a"), (32000, "32,000"), ("llama", "llama"), (0.5, "0.5")])
def test_that_facts_of_a_config_are_for_people(value: object, shown: str) -> None:
    assert models._plain(value) == shown


def test_that_a_model_s_facts_come_from_its_own_config_and_its_adapter_s(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "vocab_size": 32000}))
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 16, "base_model_name_or_path": None}))
    assert models._config_facts(tmp_path) == [
        ("Architecture", "LlamaForCausalLM"), ("Vocabulary", "32,000"), ("Rank of the adapter", "16"),
    ]  # fmt: skip
    assert models._config_facts(tmp_path / "gone") == [("Files", "the folder can't be read")]


@pytest.mark.parametrize(
    ("before", "moved"),
    [("/gone/base", True), ("../base", False), ("THERE", False)],
)
def test_that_only_an_absolute_base_that_has_gone_is_looked_for_again(before: str, moved: bool, tmp_path: Path) -> None:
    base, file = tmp_path / "base", tmp_path / "adapter_config.json"
    base.mkdir()
    named = str(tmp_path) if before == "THERE" else before
    file.write_text(json.dumps({"base_model_name_or_path": named, "r": 8}))
    models._point_at(file, base)
    said = json.loads(file.read_text())
    assert said == {"base_model_name_or_path": str(base) if moved else named, "r": 8}


@pytest.mark.parametrize("content", [None, "{", "{}", '{"base_model_name_or_path": null}'])
def test_that_a_folder_that_is_no_adapter_any_more_is_left_alone(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "adapter_config.json"
    if content is not None:
        file.write_text(content)
    models._point_at(file, tmp_path)
    assert (file.read_text() if content is not None else None) == content


@pytest.mark.parametrize("name", ["", ".hidden", "a b", "a/b", "x" * 81, "ä"])
def test_that_names_that_are_no_file_s_name_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="can't be a model's name"):
        models._checked(name)
    assert models._checked("A-1.b_c") == "A-1.b_c"


# -- studies ------------------------------------------------------------------------------------------------------------------


def test_that_a_study_s_table_has_a_line_for_each_column_and_blanks_for_what_was_not_measured() -> None:
    columns = (
        StudyColumn(label="greedy", model="a", settings=Greedy(), figures={"tokens": Figure(value=3.5)}),
        StudyColumn(
            label="hot, twice", model="b", settings=Sample(temperature=1.5),
            figures={"rule": Figure(value=1.0, low=0.5, high=1.5, texts=4)},
        ),
    )  # fmt: skip
    study = Study(prompts=2, samples=2, columns=columns)
    heads, first, second = csv.reader(io.StringIO(studies._table(study)))
    assert heads[:4] == ["column", "model", "strategy", "settings"]
    assert heads[4:] == [f"{name}{end}" for name in study.measures for end in ("", "_low", "_high")]
    cells = {head: (first[place], second[place]) for place, head in enumerate(heads)}
    assert cells["column"] == ("greedy", "hot, twice")
    assert cells["strategy"] == ("greedy", "sample")
    assert cells["settings"][0] == "{}"
    assert json.loads(cells["settings"][1]) == {"temperature": 1.5}
    assert (cells["tokens"], cells["tokens_low"]) == (("3.5", ""), ("", ""))
    assert (cells["rule"], cells["rule_low"], cells["rule_high"]) == (("", "1.0"), ("", "0.5"), ("", "1.5"))


# -- the machine --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visible", "gpus", "slots"),
    [
        (None, 2, ("cpu", "cuda:0", "cuda:1")),
        ("", 2, ("cpu",)),
        ("1", 2, ("cpu", "cuda:0")),
        ("0,1,2", 2, ("cpu", "cuda:0", "cuda:1")),
        ("0,-1,1", 2, ("cpu", "cuda:0")),
        ("-1", 2, ("cpu",)),
        ("GPU-1f, GPU-2e", 3, ("cpu", "cuda:0", "cuda:1")),
        (None, 0, ("cpu",)),
    ],
)
def test_that_a_run_may_work_where_cuda_would_let_it(
    visible: str | None, gpus: int, slots: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "read_gpus", lambda: (hardware.Gpu("H", 0.0, 1.0, 8.0),) * gpus)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert hardware.slots() == slots


@pytest.mark.parametrize(("device", "free"), [("auto", 6.0), ("cuda", 6.0), ("cpu", None)])
def test_that_free_memory_is_the_roomiest_gpu_s_unless_the_processor_works(
    device: Any, free: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = (hardware.Gpu("a", 0.0, 7.0, 8.0), hardware.Gpu("b", 0.0, 2.0, 8.0))
    monkeypatch.setattr(fit, "read_gpus", lambda: gpus)
    found = fit.available_gib(SftSpec(device=device))
    assert found == free if free is not None else found > 0
    monkeypatch.setattr(fit, "read_gpus", lambda: ())
    assert fit.available_gib(SftSpec(device="auto")) > 0
