import json
import shlex
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from tests.services.fake_runs import FakeRuns, sft, until
from workbench.cli.main import make_parser
from workbench.cli.train import make_spec
from workbench.domain.errors import BadInput, StorageFailed
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.runs import JobState
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.kinds import SPECS
from workbench.domain.specs.online import RewardPart
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.weighted import WeightedSpec
from workbench.domain.text import Candidate, Prompt
from workbench.services import fit as estimates
from workbench.services.command_line import command_line
from workbench.services.references import function_trouble
from workbench.services.workbench import Workbench


def judged_items(bench: Workbench, name: str, items: int, judged: int) -> None:
    bench.datasets.create(name, "preferences")
    candidates = (Candidate(text="good"), Candidate(text="bad"))
    for n in range(items):
        bench.labelling.add_item(name, Item(id=f"i{n}", prompt=Prompt.from_text(f"p{n}"), candidates=candidates))
    presentation, _ = bench.labelling.start(name)
    for _ in range(judged):
        assert presentation is not None
        said = bench.labelling.record(
            name, presentation, outcome="ranked", ranking=Ranking(tiers=((0,), (1,))), milliseconds=5
        )
        assert isinstance(said.judgement, Judgement)
        presentation = said.next


def test_that_a_draft_takes_the_newest_things_that_suit_its_kind(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    for name, kind in (("polite", "sft"), ("judge", "reward")):
        bench.models.add_folder(fake.stories, name, kind=kind)
    judged_items(bench, "pairs", 3, 2)
    judged_items(bench, "unjudged", 3, 0)
    bench.datasets.create("empty", "demonstrations")
    assert (bench.training.draft("sft").base, bench.training.draft("sft").data) == ("stories", "demos")
    assert (bench.training.draft("dpo").base, bench.training.draft("dpo").data) == ("polite", "pairs")
    ppo = bench.training.draft("ppo")
    assert isinstance(ppo, PpoSpec)
    assert (ppo.base, ppo.reward_model, ppo.data) == ("polite", "judge", "unjudged")
    assert bench.training.draft("pretrain").data == ""


def test_that_a_draft_of_an_unknown_kind_names_the_known_ones(fake: FakeRuns) -> None:
    with pytest.raises(BadInput) as caught:
        fake.open(begin=False).training.draft("dance")
    assert all(kind in caught.value.hint for kind in SPECS)


def test_that_the_fit_of_a_sound_spec_counts_rows_steps_and_memory(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    fit = bench.training.fit(sft(batch_size=4, epochs=2.0, holdout=0.1))
    assert fit.trouble == ()
    assert (fit.rows, fit.steps) == (20, 9)
    assert 0 < fit.memory_gib < fit.available_gib
    assert all(note.endswith(".") for note in fit.notes)
    assert any("260,032 of 260,032 parameters" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (SftSpec(data="demos"), "Choose a base model."),
        (SftSpec(base="stories"), "Choose a dataset."),
        (SftSpec(base="nobody", data="demos"), "There is no model called 'nobody'."),
        (SftSpec(base="stories", data="nothing"), "There is no dataset called 'nothing'."),
        (SftSpec(base="judge", data="demos"), "judge is a reward model; choose a language model as base."),
        (SftSpec(base="stories", data="empty"), "empty is empty."),
        (RewardSpec(base="stories", data="demos"), "demos holds demonstrations; a reward run needs preferences."),
        (DpoSpec(base="stories", data="unjudged"), "No item of unjudged is judged yet."),
        (PretrainSpec(base="stories", data="demos"), "demos holds demonstrations; a pretrain run needs documents."),
        (PpoSpec(base="stories", data="demos"), "Choose a reward model, or another source of rewards."),
        (PpoSpec(base="stories", data="demos", reward_model="stories"), "stories is no reward model"),
        (
            PpoSpec(base="stories", data="demos", reward_model="judge", batch_size=2, minibatches=4),
            "A rollout of 2 completions can't be split into 4 minibatches.",
        ),
    ],
)
def test_that_what_keeps_a_run_from_starting_is_said_and_nothing_is_changed(
    fake: FakeRuns, spec: SftSpec, sentence: str
) -> None:
    bench = fake.furnished(begin=False)
    bench.models.add_folder(fake.stories, "judge", kind="reward")
    bench.datasets.create("empty", "demonstrations")
    judged_items(bench, "unjudged", 2, 0)
    assert sentence in " ".join(bench.training.fit(spec).trouble)
    with pytest.raises(BadInput) as caught:
        bench.training.start(spec)
    assert sentence in caught.value.what
    assert bench.runs.list() == []
    assert not list((bench.path / "runs").glob("*"))


def test_that_a_base_may_be_a_folder_but_not_one_without_weights(fake: FakeRuns, tmp_path: Path) -> None:
    bench = fake.furnished(begin=False)
    assert bench.training.fit(sft(base=str(fake.stories))).trouble == ()
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_text((fake.stories / "config.json").read_text())
    (trouble,) = bench.training.fit(sft(base=str(bare))).trouble
    assert "bare" in trouble
    bench.datasets.create("texts", "documents")
    bench.datasets.append("texts", ["Once upon a time."] * 5)
    assert bench.training.fit(PretrainSpec(base=str(bare), data="texts")).trouble == ()


def test_that_a_model_whose_folder_has_gone_is_trouble(fake: FakeRuns, tmp_path: Path) -> None:
    bench = fake.furnished(begin=False)
    home = tmp_path / "moved"
    home.mkdir()
    for file in fake.stories.iterdir():
        (home / file.name).write_bytes(file.read_bytes())
    bench.models.add_folder(home, "moved")
    home.rename(tmp_path / "elsewhere")
    assert bench.training.fit(sft(base="moved")).trouble


def test_that_memory_that_is_not_there_is_said_without_forbidding_the_run(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    fit = bench.training.fit(sft(batch_size=65536, max_length=1_000_000))
    assert fit.trouble == ()
    assert any("may not fit" in note for note in fit.notes)
    assert any("at most 512 tokens" in note for note in fit.notes)


def test_that_a_disk_that_is_too_small_for_the_checkpoints_is_trouble(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    spec = sft(keep_checkpoints=1000, method="lora")
    spec.lora.rank = 1024
    needed = estimates.disk_needed_gib(spec, 260_032, estimates.shape_of(fake.stories))
    assert needed > 50
    trouble = bench.training.fit(spec).trouble
    assert bool(trouble) == (needed > estimates.disk_free_gib(bench.path))
    assert all("Checkpoints and result take about" in sentence for sentence in trouble)


def test_that_a_started_run_stands_alone_in_its_folder(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    view = bench.training.start(sft(batch_size=2))
    spec = json.loads((view.folder / "spec.json").read_text())
    assert spec["base"] == str(fake.stories)
    assert spec["data"] == "demos"
    assert spec["batch_size"] == 2
    assert set(spec) == set(SftSpec.model_fields)
    snapshot = next((bench.path / "snapshots").glob("*.parquet"))
    assert (view.folder / "data.parquet").read_bytes() == snapshot.read_bytes()
    assert bench.runs.get(view.id).spec == sft(batch_size=2)


def test_that_the_file_of_a_reward_function_goes_with_the_run(fake: FakeRuns, tmp_path: Path) -> None:
    bench = fake.furnished(begin=False)
    file = tmp_path / "mine.py"
    file.write_text("raise SystemExit('never executed here')\ndef score(p, c, r):\n    return [0.0] * len(c)\n")
    spec = GrpoSpec(base="stories", data="demos", rewards=RewardPart(function=f"{file}:score"))
    assert bench.training.fit(spec).trouble == ()
    view = bench.training.start(spec)
    assert (view.folder / "reward_function.py").read_text() == file.read_text()
    assert f"rewards.function={file}:score" in bench.training.command(spec)


def test_that_demonstrations_bring_their_answers_and_other_data_is_refused_where_answers_are_needed(
    fake: FakeRuns,
) -> None:
    bench = fake.furnished(begin=False)
    bench.datasets.create("asks", "prompts")
    spec = GrpoSpec(base="stories", data="demos", rewards=RewardPart(answer_weight=1.0))
    view = bench.training.start(spec)
    assert "completion" in read_table(view.folder / "data.parquet").column_names
    trouble = " ".join(bench.training.fit(spec.model_copy(update={"data": "asks"})).trouble)
    assert "asks has no answers to compare with" in trouble


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (None, "score", "can't be read"),
        ("def score(:", "score", "is no Python"),
        ("def other(): ...\n", "score", "defines no function score"),
        ("from somewhere import thing as score\n", "score", ""),
        ("score = lambda p, c, r: [0.0] * len(c)\n", "score", ""),
    ],
)
def test_that_what_is_wrong_with_a_function_is_said_without_executing_it(
    content: str | None, name: str, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content)
    found = function_trouble(file, name)
    assert bool(found) == bool(sentence)
    assert all(sentence in line for line in found)


def test_that_imitation_takes_sampled_completions_of_any_prompts_or_candidates_that_are_judged(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    judged_items(bench, "pairs", 3, 2)
    rules = RewardPart(length_target=5)
    spec = WeightedSpec(base="stories", data="pairs", rewards=rules, holdout=0.0)
    assert "completions, 8 to each prompt" in " ".join(bench.training.fit(spec).notes)
    offline = spec.model_copy(update={"completions": "dataset"})
    assert bench.training.fit(offline).rows == 2
    view = bench.training.start(offline)
    assert "completions" in read_table(view.folder / "data.parquet").column_names
    (trouble,) = bench.training.fit(offline.model_copy(update={"data": "demos"})).trouble
    assert "a weighted run needs preferences" in trouble


def test_that_a_rollout_has_as_many_completions_as_minibatches(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    spec = GrpoSpec(
        base="stories", data="demos", batch_size=2, group_size=2, minibatches=5, rewards=RewardPart(story_weight=1)
    )
    assert "A rollout of 4 completions can't be split into 5 minibatches." in bench.training.fit(spec).trouble
    assert bench.training.fit(spec.model_copy(update={"minibatches": 4})).trouble == ()


def test_that_ppo_gets_the_folder_of_its_reward_model_and_both_parents(fake: FakeRuns) -> None:
    fake.play = {"steps": 1, "model": str(fake.stories)}
    bench = fake.furnished()
    bench.models.add_folder(fake.stories, "judge", kind="reward", synthetic=True)
    view = bench.training.start(PpoSpec(base="stories", data="demos", reward_model="judge"))
    assert json.loads((view.folder / "spec.json").read_text())["reward_model"] == str(fake.stories)
    done = bench.runs.wait(view.id, 60)
    model = bench.models.get(done.model or "")
    assert (model.parents, model.kind, model.synthetic) == (("stories", "judge"), "ppo", True)


def test_that_runs_are_numbered_by_kind_and_a_folder_that_is_there_is_passed_over(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    (bench.path / "runs" / "sft-2").mkdir(parents=True)
    assert [bench.training.start(sft()).id for _ in range(2)] == ["sft-1", "sft-3"]


def test_that_a_runs_folder_that_can_not_be_written_to_is_one_sentence_and_changes_nothing(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    runs = bench.path / "runs"
    if runs.exists():
        runs.rmdir()
    runs.write_text("a file stands in the way")
    with pytest.raises(StorageFailed) as caught:
        bench.training.start(sft())
    assert "could not be written" in caught.value.what
    assert caught.value.hint
    assert bench.runs.list() == []


def test_that_a_detached_start_has_launched_its_worker_before_it_returns(fake: FakeRuns) -> None:
    fake.play = {"steps": 40, "delay": 0.02}
    bench = fake.furnished(begin=False)
    view = bench.training.start(sft(), detach=True)
    assert view.state is JobState.STARTING
    assert (view.folder / "process.json").exists()
    fake.close(bench)
    again = fake.open()
    until(lambda: again.runs.view(view.id).state is JobState.DONE)


def test_that_the_command_names_only_what_differs_and_quotes_it() -> None:
    spec = DpoSpec(base="my model's", data="pairs", beta=0.2, gradient_checkpointing=True, name="1e5")
    spec.lora.rank = 4
    line = command_line(spec, Path("/w/my work"))
    words = shlex.split(line)
    assert words[:4] == ["workbench", "train", "/w/my work", "dpo"]
    assert words[4:8] == ["--base", "my model's", "--data", "pairs"]
    assert sorted(words[9::2]) == ["beta=0.2", "gradient_checkpointing=true", "lora.rank=4", 'name="1e5"']


@pytest.mark.parametrize(
    "spec",
    [
        SftSpec(base="stories", data="demos", max_steps=3, learning_rate=3e-7, name="12", schedule="linear"),
        SftSpec(base="stories", data="demos", method="lora", gradient_checkpointing=True, warmup=0.25),
    ],
)
def test_that_the_command_starts_the_very_same_run(fake: FakeRuns, spec: SftSpec) -> None:
    bench = fake.furnished(begin=False)
    line = bench.training.command(spec)
    words = shlex.split(line)[1:]
    made = make_spec(make_parser(words).parse_args(words), bench.training.draft("sft"))
    assert made == spec
