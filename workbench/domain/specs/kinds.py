"""The union of all specs, the data that each needs, and how JSON becomes one of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from workbench.domain.errors import BadInput
from workbench.domain.rows import DatasetKind, SnapshotKind
from workbench.domain.specs.dpo import DpoSpec
from workbench.domain.specs.grpo import GrpoSpec
from workbench.domain.specs.judge import JudgeSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.domain.specs.pretrain import PretrainSpec
from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.specs.reward import RewardSpec
from workbench.domain.specs.score import ScoreSpec
from workbench.domain.specs.sft import SftSpec
from workbench.domain.specs.study import StudySpec
from workbench.domain.specs.weighted import WeightedSpec

TrainSpec = PretrainSpec | SftSpec | RewardSpec | DpoSpec | PpoSpec | GrpoSpec | WeightedSpec
FeedbackSpec = JudgeSpec | ReviseSpec | ScoreSpec
Spec = TrainSpec | FeedbackSpec | StudySpec
AnySpec = Annotated[Spec, Field(discriminator="kind")]
SPECS: dict[str, type[Spec]] = {
    "pretrain": PretrainSpec,
    "sft": SftSpec,
    "reward": RewardSpec,
    "dpo": DpoSpec,
    "ppo": PpoSpec,
    "grpo": GrpoSpec,
    "weighted": WeightedSpec,
    "judge": JudgeSpec,
    "revise": ReviseSpec,
    "score": ScoreSpec,
    "study": StudySpec,
}
DATA_KIND: dict[str, DatasetKind] = {
    "pretrain": "documents",
    "sft": "demonstrations",
    "reward": "preferences",
    "dpo": "preferences",
    "ppo": "prompts",
    "grpo": "prompts",
    "weighted": "prompts",
    "judge": "preferences",
    "revise": "prompts",
    "score": "preferences",
    "study": "prompts",
}
# What its dataset is frozen as, where that isn't the dataset's own kind.
FROZEN_AS: dict[str, SnapshotKind] = {**DATA_KIND, "reward": "rankings", "judge": "items", "score": "items"}


def data_kind(spec: Spec) -> DatasetKind:
    """The data that a spec needs: that of its kind, but where imitated completions are those of a dataset, judged ones."""
    if isinstance(spec, WeightedSpec) and spec.completions == "dataset":
        return "preferences"
    return DATA_KIND[spec.kind]


def frozen_as(spec: Spec) -> SnapshotKind:
    """What a spec's dataset is frozen as: candidates that are imitated come as whole rankings, so that ties are among them."""
    if isinstance(spec, WeightedSpec) and spec.completions == "dataset":
        return "rankings"
    return FROZEN_AS[spec.kind]


_ADAPTER: TypeAdapter[Spec] = TypeAdapter(AnySpec)


def parse_spec(payload: dict[str, Any]) -> Spec:
    """Validate a spec; raises BadInput that names each field and its bounds."""
    try:
        return _ADAPTER.validate_python(payload)
    except ValidationError as error:
        raise BadInput(*explain(error)) from error


def explain(error: ValidationError) -> tuple[str, str]:
    """A validation error as (what, hint): one sentence for each field that is wrong."""
    sentences = []
    for problem in error.errors():
        place = ".".join(str(p) for p in problem["loc"] if p not in SPECS)
        sentences.append(
            f"{place or 'spec'}: {problem['msg'][0].lower()}{problem['msg'][1:]} (given: {problem['input']!r:.80})"
        )
    return "The settings can't be used: " + "; ".join(sentences), "Correct the named fields and try again."
