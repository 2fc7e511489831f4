"""The spec of a judge: a model or a rule that stands in for an annotator, always marked as such."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from workbench.domain.specs.common import JobSpec, group
from workbench.domain.specs.texts import need_places

QUESTION = """Here is a request, followed by two responses to it.

Request:
{prompt}

Response A:
{a}

Response B:
{b}

{criterion}
Reply with one letter only: A if response A is the better one, B if response B is."""
CRITERION = (
    "The better response does what was asked, is right in what it says, hides nothing that matters, harms nobody and is easy to read."
    " Neither its length nor its place counts."
)
_MODEL, _RULE = ("judge", ("model",)), ("judge", ("rule",))
RULES = ("story_rule", "longer", "shorter")


def rule_file(rule: str) -> tuple[str, str] | None:
    """(file, function) of a rule that is written FILE.py:FUNCTION; None for a built-in one. ValueError for anything else."""
    if rule in RULES:
        return None
    file, _, function = rule.rpartition(":")
    if not file.endswith(".py") or not function.isidentifier():
        raise ValueError(f"a rule is one of {', '.join(RULES)}, or FILE.py:FUNCTION")
    return file, function


class JudgeSpec(JobSpec):
    """AI feedback: a model or a rule judges the items of a preferences dataset in place of people, marked with its name."""

    kind: Literal["judge"] = "judge"
    base: str = Field(
        "",
        description="Model that judges: a language model is asked, a reward model gives scores; a rule needs none.",
        json_schema_extra=group("Run"),
    )
    data: str = Field("", description="Preferences dataset whose items are judged.", json_schema_extra=group("Run"))
    seed: int = Field(
        0,
        ge=0,
        lt=2**31,
        description="Seed of the draw when only some items are judged.",
        json_schema_extra=group("Run"),
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where the model computes; auto takes a GPU if there is one.",
        json_schema_extra=group("Run", when=_MODEL),
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Arithmetic of the model; auto is bfloat16 on a GPU that has it, float32 elsewhere.",
        json_schema_extra=group("Run", advanced=True, when=_MODEL),
    )
    judge: Literal["model", "rule"] = Field(
        "model", description="Whether a model judges, or a rule.", json_schema_extra=group("Judge")
    )
    rule: str = Field(
        "story_rule",
        min_length=1,
        max_length=4096,
        description="Rule that judges: story_rule, longer, shorter, or FILE.py:FUNCTION(prompt, completion) that gives a score.",
        json_schema_extra=group("Judge", when=_RULE),
    )
    annotator: str = Field(
        "",
        max_length=80,
        description="Name that the judgements are signed with (empty = the name of the model or rule).",
        json_schema_extra=group("Judge"),
    )
    again: bool = Field(
        False,
        description="Judge also items that this judge has judged before; the newest judgement counts.",
        json_schema_extra=group("Judge"),
    )
    limit: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="Judge at most so many items, drawn by the seed (0 = all).",
        json_schema_extra=group("Judge", unit="items"),
    )
    tie_margin: float = Field(
        0.0,
        ge=0.0,
        le=1e6,
        description="Scores of a rule or reward model that differ by at most this much are a tie.",
        json_schema_extra=group("Judge"),
    )
    calibrate: bool = Field(
        False,
        description="Ask also about each response against itself, and take the habit of saying A or B that shows there out.",
        json_schema_extra=group("Judge", when=_MODEL),
    )
    confidence: float = Field(
        0.5,
        ge=0.5,
        lt=1.0,
        description="Drop a comparison unless the model gives its verdict more than this probability, averaged over both orders.",
        json_schema_extra=group("Judge", when=_MODEL),
    )
    criterion: str = Field(
        CRITERION,
        min_length=1,
        max_length=20_000,
        description="What makes a response the better one, as the model is told.",
        json_schema_extra=group("Question", lines=4, when=_MODEL),
    )
    question: str = Field(
        QUESTION,
        max_length=20_000,
        description="What the model is asked; {prompt}, {a}, {b} and {criterion} are filled in.",
        json_schema_extra=group("Question", lines=8, advanced=True, when=_MODEL),
    )
    chat_format: Literal["auto", "template", "plain"] = Field(
        "auto",
        description="How the question becomes tokens: the model's chat template, plain text, or whichever there is.",
        json_schema_extra=group("Question", advanced=True, when=_MODEL),
    )
    max_length: int = Field(
        0,
        ge=0,
        le=1_048_576,
        description="Longest question (0 = what the model reads); an item with a longer one is counted and gets no judgement.",
        json_schema_extra=group("Batch", unit="tokens", when=_MODEL),
    )
    batch_size: int = Field(
        8,
        ge=1,
        le=65536,
        description="Items that are judged before the run reports and looks whether it is to pause.",
        json_schema_extra=group("Batch", unit="items"),
    )
    micro_batch_size: int = Field(
        16,
        ge=1,
        le=65536,
        description="Questions or responses that go through the model at once.",
        json_schema_extra=group("Batch", unit="rows", when=_MODEL),
    )

    @field_validator("rule")
    @classmethod
    def _is_a_rule(cls, rule: str) -> str:
        rule_file(rule)
        return rule

    @field_validator("question")
    @classmethod
    def _has_its_places(cls, text: str) -> str:
        return need_places(text, needed=("prompt", "a", "b"), allowed=("criterion",))
