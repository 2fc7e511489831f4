"""The printed command, read by the real command line, describes the very same run."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cli.main import make_parser
from workbench.cli.train import make_spec
from workbench.cli.values import parse_sets
from workbench.domain.errors import BadInput
from workbench.domain.specs.common import LoraPart, TrainingSpec
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.kinds import SPECS, Spec, parse_spec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.services.command_line import changed_fields, command_line

WORK = Path("/w/my work")


def read_back(line: str, draft: Spec | None = None) -> Spec:
    """What `workbench` would start on being given this line by a shell."""
    words = shlex.split(line)
    assert words[0] == "workbench"
    arguments = make_parser(words[1:]).parse_args(words[1:])
    assert arguments.workspace == WORK
    return make_spec(arguments, draft or SPECS[arguments.kind]())


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
TRAINING = sorted(kind for kind, spec in SPECS.items() if issubclass(spec, TrainingSpec))
SPECS_AT_RANDOM = st.sampled_from(TRAINING).flatmap(
    lambda kind: st.fixed_dictionaries(
        {
            "kind": st.just(kind),
            "base": NAMES,
            "data": NAMES,
            "name": st.from_regex(r"[A-Za-z0-9._-]{0,12}", fullmatch=True),
            "seed": st.integers(0, 2**31 - 1),
            "epochs": st.floats(1e-6, 1000),
            "learning_rate": st.floats(1e-12, 1.0),
            "max_steps": st.integers(0, 10_000_000),
            "warmup": st.floats(0, 0.99),
            "gradient_checkpointing": st.booleans(),
            "method": st.sampled_from(["full", "lora"]),
            "schedule": st.sampled_from(["cosine", "linear", "constant"]),
            "lora": st.fixed_dictionaries(
                {"rank": st.integers(1, 1024), "alpha": st.floats(1e-3, 4096), "targets": NAMES}
            ),
        }
    )
)


FEEDBACK_AT_RANDOM = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("judge"),
            "base": NAMES,
            "data": NAMES,
            "judge": st.sampled_from(["model", "rule"]),
            "rule": st.sampled_from(["longer", "my rules.py:taste"]),
            "annotator": st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
            "criterion": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
            "confidence": st.floats(0.5, 0.99),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("revise"),
            "base": NAMES,
            "data": NAMES,
            "principles": st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
            "demonstrations": st.one_of(st.just(""), NAMES),
            "rounds": st.integers(1, 16),
        }
    ),
)


@settings(max_examples=25, deadline=None)
@given(fields=st.one_of(SPECS_AT_RANDOM, FEEDBACK_AT_RANDOM))
def test_that_any_spec_survives_the_way_through_a_shell(fields: dict[str, Any]) -> None:
    spec = parse_spec(fields)
    assert read_back(command_line(spec, WORK)) == spec


@pytest.mark.parametrize(
    "spec",
    [
        DpoSpec(base="b", data="d", beta=0.2, label_smoothing=0.1, sft_weight=1.0),
        RewardSpec(base="b", data="d", margin=True, center=0.0),
        PretrainSpec(base="b", data="d", weight_decay=0.0, beta2=0.999, max_length=64),
        PpoSpec(base="b", data="d", reward_model="r", whiten_rewards=True, kl_target=6.0, value_clip=0.0, lam=1.0),
        SftSpec(base="b", data="d", lora=LoraPart(rank=4, dropout=0.5, targets="q_proj,v_proj"), method="lora"),
        SftSpec(base="b", data="d", precision="bfloat16", device="cuda", chat_format="plain", keep_checkpoints=1000),
    ],
    ids=lambda s: s.kind,
)
def test_that_the_fields_of_each_kind_survive(spec: Spec) -> None:
    assert read_back(command_line(spec, WORK)) == spec


@pytest.mark.parametrize(
    "name", ["-pairs", "--data", "-1", "my data", "it's", '"quoted"', "$HOME", "a;b", "`x`", "مرحبا", "日本", "*", "a=b", "#1"]
)  # fmt: skip
def test_that_any_name_of_a_dataset_or_model_is_taken_as_a_name(name: str) -> None:
    spec = SftSpec(base=name, data=name)
    assert read_back(command_line(spec, WORK)) == spec


@pytest.mark.parametrize("name", ["12", "1e5", "true", "null", "NaN", "Infinity", "-0", "007", "1.0", "-"])
def test_that_a_run_s_name_that_looks_like_a_value_stays_text(name: str) -> None:
    spec = SftSpec(base="b", data="d", name=name)
    assert read_back(command_line(spec, WORK)).name == name


@pytest.mark.parametrize("targets", ["q_proj", '["q"]', "{}", '"all"', "[", "1,2", "null"])
def test_that_targets_that_look_like_json_stay_text(targets: str) -> None:
    spec = SftSpec(base="b", data="d", lora=LoraPart(targets=targets))
    made = read_back(command_line(spec, WORK))
    assert made.lora.targets == targets
    assert made.lora.rank == LoraPart().rank


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_that_a_spec_of_defaults_needs_no_option(kind: str) -> None:
    assert shlex.split(command_line(SPECS[kind](), WORK)) == ["workbench", "train", "/w/my work", kind]
    assert changed_fields(SPECS[kind]()) == {}


@pytest.mark.parametrize("kind", TRAINING)
def test_that_the_kind_s_own_default_counts_as_default(kind: str) -> None:
    usual = SftSpec().learning_rate
    changed = changed_fields(SPECS[kind](learning_rate=usual))
    assert changed == ({} if kind == "sft" else {"learning_rate": usual})


def test_that_parts_are_named_with_dots_and_only_where_they_differ() -> None:
    spec = PpoSpec(lora=LoraPart(rank=8, alpha=32.0), reward_model="judge")
    assert changed_fields(spec) == {"lora.rank": 8, "reward_model": "judge"}
    line = command_line(spec, WORK)
    assert "--set lora.rank=8" in line
    assert "alpha" not in line


def test_that_the_line_is_one_line_whatever_the_names_hold() -> None:
    assert "\n" not in command_line(SftSpec(base="b", data="tab\u2028sep"), WORK)


def test_that_the_draft_s_choices_give_way_to_what_the_line_says() -> None:
    draft = PpoSpec(base="newest", data="latest", reward_model="some")
    spec = PpoSpec(base="mine", data="my data", reward_model="judge")
    assert read_back(command_line(spec, WORK), draft) == spec


def test_that_a_written_spec_can_be_changed_by_options(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(DpoSpec(base="b", data="d", beta=0.3, seed=7).model_dump_json())
    words = ["train", str(WORK), "dpo", "--spec", str(file), "--set", "beta=0.5", "--data", "other"]
    made = make_spec(make_parser(words).parse_args(words), DpoSpec(base="newest"))
    assert made == DpoSpec(base="b", data="other", beta=0.5, seed=7)


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", "null", '"text"'])
def test_that_a_file_that_is_no_spec_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "spec.json").write_text(content)
    words = ["train", str(WORK), "sft", "--spec", str(tmp_path / "spec.json")]
    with pytest.raises(BadInput, match=r"spec\.json can't be read as a spec"):
        make_spec(make_parser(words).parse_args(words), SftSpec())


def test_that_every_field_of_every_kind_can_be_set_by_its_name() -> None:
    for kind, spec in SPECS.items():
        for name, value in json.loads(spec().model_dump_json()).items():
            if name in {"kind", "lora", "base", "data"}:
                continue
            text = value if isinstance(value, str) else json.dumps(value)
            words = ["train", str(WORK), kind, "--set", f"{name}={text}"]
            assert make_spec(make_parser(words).parse_args(words), spec()) == spec(), (kind, name)


@pytest.mark.parametrize(("pairs", "wrong"), [(["beta"], "beta"), (["=3"], "=3"), ([""], "")])
def test_that_a_set_without_a_key_or_a_value_is_refused(pairs: list[str], wrong: str) -> None:
    with pytest.raises(BadInput, match=f"--set {wrong} has no value") as caught:
        parse_sets(pairs)
    assert "KEY=VALUE" in caught.value.hint
