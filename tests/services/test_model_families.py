"""Models that can't continue a text: known by their config, and kept out of jobs that need one that can."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.services.fake_runs import FakeRuns
from workbench.domain.architecture import family_of
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.sft import SftSpec
from workbench.services.model_folder import family_in


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "masked"),
        ({"architectures": ["BertForPreTraining"]}, "masked"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "span"),
        ({"architectures": ["LlamaForCausalLM"]}, "causal"),
        ({"architectures": ["GPT2LMHeadModel"]}, "causal"),
        ({"architectures": ["LlamaForSequenceClassification"]}, None),
        ({}, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_that_a_config_says_what_its_model_can_do(config: dict[str, object], family: str | None) -> None:
    assert family_of(config) == family


def test_that_a_folder_without_a_config_says_nothing(tmp_path: Path) -> None:
    assert family_in(tmp_path) is None
    (tmp_path / "config.json").write_text("[]")
    assert family_in(tmp_path) is None


def test_that_a_masked_model_is_a_base_for_pretraining_alone_and_its_card_says_so(
    fake: FakeRuns, tmp_path: Path
) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(fake.stories, folder, copy_function=shutil.copyfile)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForMaskedLM"]}))
    bench = fake.furnished(begin=False)
    bench.models.add_folder(folder, "encoder", kind="pretrain")
    fit = bench.training.fit(SftSpec(base="encoder", data="demos"))
    assert any("fills gaps" in sentence and "causal" in sentence for sentence in fit.trouble)
    assert not any("fills gaps" in s for s in bench.training.fit(PretrainSpec(base="encoder", data="demos")).trouble)
    assert "fills gaps" in dict(bench.models.card("encoder"))["Use"]
    assert "playground can't" in dict(bench.models.card("encoder"))["Use"]
    assert "Use" not in dict(bench.models.card("stories"))


def test_that_the_card_of_an_encoder_decoder_says_where_it_can_be_used(fake: FakeRuns, tmp_path: Path) -> None:
    folder = tmp_path / "t5"
    shutil.copytree(fake.stories, folder, copy_function=shutil.copyfile)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "is_encoder_decoder": True}))
    bench = fake.furnished(begin=False)
    bench.models.add_folder(folder, "t5", kind="pretrain")
    assert dict(bench.models.card("t5"))["Use"].endswith("the playground can use it, other jobs can't")


def test_that_the_steps_of_packed_demonstrations_are_estimated_by_their_length(fake: FakeRuns) -> None:
    bench = fake.furnished(begin=False)
    spec = SftSpec(base="stories", data="demos", batch_size=1, max_length=512)
    assert bench.training.fit(spec.model_copy(update={"packing": True})).steps < bench.training.fit(spec).steps
