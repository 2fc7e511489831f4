"""Decoding settings: one class for each strategy."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from workbench.domain.frozen import Frozen

RuleName = Literal["temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon", "eta", "mirostat"]
ORDER: tuple[RuleName, ...] = get_args(RuleName)


NGRAM = "ngram"  # a draft that needs no model


class _Common(Frozen):
    """Settings that every strategy has."""

    max_new_tokens: int = Field(
        128, ge=1, le=32768, description="Stop after this many new tokens.", json_schema_extra={"unit": "tokens"}
    )
    min_new_tokens: int = Field(
        0,
        ge=0,
        le=32768,
        description="Don't allow the end of the text before this many new tokens.",
        json_schema_extra={"unit": "tokens", "advanced": True},
    )
    stop: tuple[str, ...] = Field(
        (),
        description="Stop when one of these texts appears; it is left out of the result.",
        json_schema_extra={"advanced": True},
    )
    repetition_penalty: float = Field(
        1.0,
        gt=0.0,
        le=10.0,
        description="Divide the logits of tokens already in the context by this (1 = off).",
        json_schema_extra={"advanced": True},
    )
    no_repeat_ngram: int = Field(
        0,
        ge=0,
        le=32,
        description="Forbid repeating any n-gram of this length (0 = off).",
        json_schema_extra={"unit": "tokens", "advanced": True},
    )
    presence_penalty: float = Field(
        0.0,
        ge=-2.0,
        le=2.0,
        description="Subtract this once from the logit of each token already generated.",
        json_schema_extra={"advanced": True},
    )
    frequency_penalty: float = Field(
        0.0,
        ge=-2.0,
        le=2.0,
        description="Subtract this times its count from the logit of each token already generated.",
        json_schema_extra={"advanced": True},
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the random numbers; the same seed gives the same text.")


class Greedy(_Common):
    """Always the most probable token."""

    strategy: Literal["greedy"] = "greedy"


class Sampling(_Common):
    """Settings of every strategy that draws its tokens."""

    temperature: float = Field(
        1.0, ge=0.0, le=10.0, description="Divide logits by this: below 1 sharper, above 1 flatter, 0 is greedy."
    )
    top_k: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Keep the k most probable tokens (0 = all).",
        json_schema_extra={"unit": "tokens"},
    )
    top_p: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Keep the smallest set of tokens whose probabilities reach this mass (1 = all).",
    )
    min_p: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Keep tokens at least this many times as probable as the most probable one (0 = all).",
    )
    typical_p: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Keep the tokens whose surprise is nearest to the entropy, until they reach this mass (1 = all).",
        json_schema_extra={"advanced": True},
    )
    epsilon: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Keep tokens with at least this probability (0 = all).",
        json_schema_extra={"advanced": True},
    )
    eta: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Keep tokens with at least this probability, less where the entropy H is high: min(eta, √eta · e^-H) (0 = all).",
        json_schema_extra={"advanced": True},
    )
    order: tuple[RuleName, ...] = Field(
        ORDER,
        description="Order in which the rules act; those that aren't named follow in their usual order.",
        json_schema_extra={"advanced": True},
    )

    @field_validator("order", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("order")
    @classmethod
    def _whole(cls, value: tuple[RuleName, ...]) -> tuple[RuleName, ...]:
        doubled = sorted({name for name in value if value.count(name) > 1})
        if doubled:
            raise ValueError(f"{', '.join(doubled)} stands twice")
        return (*value, *(name for name in ORDER if name not in value))


class Sample(Sampling):
    """Draw each token from the (cut and reshaped) distribution."""

    strategy: Literal["sample"] = "sample"
    mirostat_tau: float = Field(
        0.0,
        ge=0.0,
        le=32.0,
        description="Steer the surprise of the text towards this, cutting what surprises more (mirostat 2; 0 = off, usual 5).",
        json_schema_extra={"unit": "bits", "advanced": True},
    )
    mirostat_eta: float = Field(
        0.1,
        gt=0.0,
        le=1.0,
        description="How fast mirostat's bound follows the surprise of the tokens drawn.",
        json_schema_extra={"advanced": True},
    )


class Speculative(Sampling):
    """Draw as `sample` does, several tokens a pass: a draft proposes them, the model keeps what fits its own distribution.

    There is no mirostat: its bound moves with every token, so tokens that are proposed together would each need another one.
    """

    strategy: Literal["speculative"] = "speculative"
    draft: str = Field(
        NGRAM,
        min_length=1,
        max_length=4096,
        description="What proposes tokens: a smaller model with the same tokenizer, a run's checkpoint (RUN@STEP), or ngram: the text so far.",
    )
    gamma: int = Field(
        4, ge=1, le=32, description="Tokens proposed in each round, at most.", json_schema_extra={"unit": "tokens"}
    )


class Beam(_Common):
    """Keep the best hypotheses and expand all of them at once."""

    strategy: Literal["beam"] = "beam"
    num_beams: int = Field(4, ge=1, le=64, description="Hypotheses kept at each step.")
    length_rule: Literal["power", "gnmt"] = Field(
        "power", description="How a finished hypothesis' score is divided by its length."
    )
    length_penalty: float = Field(
        1.0, ge=-5.0, le=5.0, description="Exponent of the length rule: 0 is the raw sum, larger favours longer texts."
    )
    early_stopping: bool | Literal["never"] = Field(
        False,
        description="When to stop looking for better hypotheses once enough have ended.",
        json_schema_extra={"advanced": True},
    )
    num_groups: int = Field(
        1,
        ge=1,
        le=64,
        description="Groups among which the beams are shared out, each kept from saying what the others say (1 = plain beam search).",
        json_schema_extra={"advanced": True},
    )
    diversity_penalty: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="What a token loses for each beam of an earlier group that goes on with it in this step.",
        json_schema_extra={"unit": "nats", "advanced": True, "when": ["num_groups", list(range(2, 65))]},
    )
    num_return: int = Field(
        1, ge=1, le=64, description="Finished hypotheses returned, best first.", json_schema_extra={"advanced": True}
    )

    @field_validator("num_groups")
    @classmethod
    def _even(cls, value: int, info: ValidationInfo) -> int:
        beams = info.data.get("num_beams", value)
        if beams % value:
            raise ValueError(f"{value} groups can't share {beams} beams evenly")
        return value


class ContrastiveSearch(_Common):
    """Of the most probable tokens, take the one that is probable and least like anything in prompt and text."""

    strategy: Literal["contrastive_search"] = "contrastive_search"
    alpha: float = Field(
        0.6,
        ge=0.0,
        le=1.0,
        description="Weight of being unlike the text so far against being probable (0 is greedy).",
    )
    top_k: int = Field(
        4,
        ge=1,
        le=64,
        description="Candidates of each step; each costs one row of the model's pass (1 is greedy).",
        json_schema_extra={"unit": "tokens"},
    )


class Contrastive(_Common):
    """Take what an expert says more readily than an amateur does, among the tokens that are plausible to the expert."""

    strategy: Literal["contrastive"] = "contrastive"
    amateur: str = Field(
        "",
        max_length=4096,
        description="The amateur: a weaker model with the same tokenizer, such as a smaller one or a run's checkpoint (RUN@STEP).",
    )
    alpha: float = Field(
        0.1,
        gt=0.0,
        le=1.0,
        description="A token is plausible with at least this times the expert's greatest probability (1 is the expert's greedy choice).",
    )
    coefficient: float = Field(
        1.0, ge=0.0, le=10.0, description="Weight of the amateur's log-probability (0 = it isn't listened to)."
    )
    amateur_temperature: float = Field(
        1.0,
        gt=0.0,
        le=10.0,
        description="Divide the amateur's logits by this: below 1 it is surer of itself than it is.",
        json_schema_extra={"advanced": True},
    )
    amateur_sees_prompt: bool = Field(
        True, description="Whether the amateur reads the prompt; else it reads its last token and what was generated."
    )
    num_beams: int = Field(
        1,
        ge=1,
        le=64,
        description="Hypotheses kept at each step, by the sum of scores (1 = no search).",
        json_schema_extra={"advanced": True},
    )
    sample: bool = Field(
        False,
        description="Draw from the softmax of the scores instead of taking the best.",
        json_schema_extra={"advanced": True},
    )

    @field_validator("sample")
    @classmethod
    def _either(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("num_beams", 1) > 1:
            raise ValueError("sampling draws one text; it can't be searched for with beams")
        return value


DecodingSettings = Annotated[
    Greedy | Sample | Beam | ContrastiveSearch | Contrastive | Speculative, Field(discriminator="strategy")
]
STRATEGIES: dict[
    str,
    type[Greedy] | type[Sample] | type[Beam] | type[ContrastiveSearch] | type[Contrastive] | type[Speculative],
] = {
    "greedy": Greedy,
    "sample": Sample,
    "beam": Beam,
    "contrastive_search": ContrastiveSearch,
    "contrastive": Contrastive,
    "speculative": Speculative,
}


def draws(settings: DecodingSettings) -> bool:
    """Whether these settings say another text with another seed."""
    if isinstance(settings, Contrastive):
        return settings.sample
    return isinstance(settings, Sampling) and settings.temperature > 0


def other_model(settings: DecodingSettings) -> str | None:
    """The second model that these settings need, as they name it; None when they need none."""
    if isinstance(settings, Contrastive):
        return settings.amateur or None
    return settings.draft if isinstance(settings, Speculative) and settings.draft != NGRAM else None


def with_folder(settings: DecodingSettings, folder: str) -> DecodingSettings:
    """The settings with their second model's name replaced by its folder; those without one stay as they are."""
    if other_model(settings) is None:
        return settings
    return settings.model_copy(update={"amateur" if isinstance(settings, Contrastive) else "draft": folder})
