"""The card beside a model travels with it."""

from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.sft import SftSpec
from workbench.engine.cards import card


def test_that_a_card_names_no_folder_of_this_machine() -> None:
    spec = PpoSpec(
        name="mine", base="/home/someone/models/llama", reward_model="/home/someone/models/judge", data="prompts"
    )
    text = card(spec, rows=10, steps=5, values={"reward/score": 1.5})
    assert "/home" not in text
    assert '"base": "llama"' in text
    assert '"reward_model": "judge"' in text
    assert spec.base == "/home/someone/models/llama"


def test_that_a_card_says_what_the_model_was_made_from() -> None:
    text = card(
        SftSpec(name="mine", base="/m/llama", data="demos"),
        rows=400,
        steps=95,
        values={"loss": 0.443, "eval/loss": 0.5},
    )
    for part in (
        "# mine",
        "`sft`",
        "all weights",
        "| base | llama |",
        "| data | demos |",
        "| rows trained on | 400 |",
        "| loss | 0.443 |",
    ):
        assert part in text
    assert text.index("| eval/loss |") < text.index("| loss |")


def test_that_a_card_shows_how_to_load_each_kind() -> None:
    full = card(RewardSpec(base="/m/a"), 1, 1, {})
    adapter = card(RewardSpec(base="/m/a", method="lora"), 1, 1, {})
    assert "AutoModelForSequenceClassification.from_pretrained(FOLDER)" in full
    assert "PeftModel.from_pretrained(base, FOLDER)" in adapter
    assert "num_labels=1" in adapter


def test_that_a_card_names_the_method_and_who_can_load_its_result() -> None:
    prompt = card(SftSpec(base="/m/a", method="prompt"), 1, 1, {})
    assert "(prompt tuning)" in prompt
    assert "PeftModel.from_pretrained(base, FOLDER)" in prompt
    assert "AutoModelForCausalLM.from_pretrained(FOLDER)" in card(SftSpec(base="/m/a", method="bitfit"), 1, 1, {})
    assert "plain peft can't" in card(SftSpec(base="/m/a", method="bottleneck"), 1, 1, {})
