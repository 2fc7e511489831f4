"""What recipes share that let the policy write: prompts, what is compared with what, signs of rewards that are hacked, held-out answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from workbench.domain.errors import BadInput, RunFailed
from workbench.domain.specs.ppo import PpoSpec
from workbench.engine import online
from workbench.engine.device import Setup
from workbench.engine.models import Loaded
from workbench.engine.online import (
    Asked,
    Judged,
    check_start,
    coarse,
    describe_scores,
    encode_prompts,
    evaluate,
    judge,
    repetition,
    stream,
    warn_of_truncation,
)
from workbench.engine.reward_sources import Scores
from workbench.engine.roles import Roles
from workbench.engine.rollout import Rollout

CPU = Setup(torch.device("cpu"), torch.float32)
PROMPTS = [[1, 403, 407], [1, 270], [1]]
SAID = Rollout([[410, 261, 2], [417, 2], [300]], torch.zeros(3, 3), [True, True, False])
ROW = {"prompt": [{"role": "user", "content": "Once"}], "raw": True}


class Notices:
    """Keeps what a run tells."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, ...]] = []
        self.samples: list[tuple[Any, ...]] = []

    def notice(self, *words: str) -> None:
        self.notices.append(words)

    def sample(self, *what: Any) -> None:
        self.samples.append(what)


class Constant(NamedTuple):
    """A source that gives every completion its number."""

    value: float

    def score(self, prompts: list[Any], completions: list[Any], rows: list[Any], setup: Setup) -> Scores:
        return Scores(torch.full((len(completions),), self.value), {"function": torch.arange(float(len(completions)))})


@pytest.fixture
def roles(loaded: Loaded) -> Roles:
    return Roles(loaded, loaded.model, None, None)


def rows_of(*texts: str) -> list[dict[str, Any]]:
    return [{"prompt": [{"role": "user", "content": text}], "raw": True} for text in texts]


def test_that_each_prompt_is_asked_once_in_the_order_of_the_rows(loaded: Loaded) -> None:
    found, left_out = encode_prompts(rows_of("Tom", "Lily", "Tom", "Ben"), loaded.tokenizer, "auto", 50)
    assert [one.row["prompt"][0]["content"] for one in found] == ["Tom", "Lily", "Ben"]
    assert left_out.total() == 0  # a repeat is no loss


def test_that_prompts_that_leave_no_room_are_counted_once_each(loaded: Loaded) -> None:
    long = "a dog and a cat and a bird"
    size = len(encode_prompts(rows_of(long), loaded.tokenizer, "auto", 99)[0][0].ids)
    for longest, there in ((size, 2), (size - 1, 1)):
        found, left_out = encode_prompts(rows_of(long, "Tom", long), loaded.tokenizer, "auto", longest)
        assert len(found) == there
        assert left_out.total() == 2 - there
    assert "leaves no room for the completion" in next(iter(left_out))


def test_that_prompts_that_cannot_be_written_are_counted_by_reason(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(tokenizer: Any, prompt: Any, chat_format: str) -> list[int]:
        if "Tom" in prompt.text:
            raise BadInput("The template refuses it.", "Mend it.")
        return [1, 2]

    monkeypatch.setattr(online, "encode_prompt", refuse)
    found, left_out = encode_prompts(rows_of("Tom", "Lily", "Tom 2"), loaded.tokenizer, "auto", 9)
    assert len(found) == 1
    assert left_out == {"The template refuses it.": 2}


@pytest.mark.parametrize("longest", [0, -3])
def test_that_completions_as_long_as_everything_are_refused(loaded: Loaded, longest: int) -> None:
    with pytest.raises(BadInput, match="no room for a prompt") as told:
        encode_prompts(rows_of("Tom"), loaded.tokenizer, "auto", longest)
    assert "max_new_tokens" in told.value.hint


@pytest.mark.parametrize(("fields", "told"), [({}, 0), ({"top_k": 1}, 1), ({"top_p": 0.99}, 1)])
def test_that_a_truncated_distribution_is_warned_of(fields: dict[str, Any], told: int) -> None:
    notices = Notices()
    warn_of_truncation(PpoSpec(**fields), notices)  # type: ignore[arg-type]
    assert len(notices.notices) == told
    assert all("KL" in words and "top_k" in hint for words, hint in notices.notices)


def test_that_streams_are_functions_of_all_their_numbers_in_order() -> None:
    drawn = {
        numbers: float(torch.rand((), generator=stream(*numbers))) for numbers in ((7, 1), (7, 2), (1, 7), (7, 1, 5))
    }
    assert len(set(drawn.values())) == 4
    assert float(torch.rand((), generator=stream(7, 1))) == drawn[7, 1]


@pytest.mark.parametrize(
    ("ids", "share"),
    [([], 0.0), ([5], 0.0), ([5, 6], 0.0), ([5, 5, 5], 0.5), ([1, 2, 1, 2, 1], 0.5), ([1, 2, 3, 4], 0.0)],
)
def test_that_repetition_is_the_share_of_pairs_seen_before(ids: list[int], share: float) -> None:
    assert repetition(ids) == pytest.approx(share)


def test_that_scores_are_described_over_completions_and_not_over_padding() -> None:
    scores = Scores(torch.tensor([1.0, 2.0, 6.0]), {"rule": torch.tensor([0.0, 0.0, 3.0])})
    told = describe_scores(scores, [[5], [5, 6], [7, 7, 7, 7, 7, 7]], [True, False, False])
    assert told["reward/score"] == pytest.approx(3.0)
    assert told["reward/std"] == pytest.approx((14 / 3) ** 0.5)
    assert told["reward/rule"] == pytest.approx(1.0)
    assert told["length/mean"] == pytest.approx(3.0)
    assert told["length/eos_rate"] == pytest.approx(1 / 3)
    assert told["length/repetition"] == pytest.approx(0.8 / 3)
    assert told["reward/length_correlation"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("dtype", "rough"), [(torch.float32, False), (torch.bfloat16, True), (torch.float16, True)])
def test_that_only_float32_is_fine_enough_to_compare_with_what_the_sampler_kept(
    dtype: torch.dtype, rough: bool
) -> None:
    assert coarse(CPU._replace(compute=dtype)) is rough


@pytest.mark.parametrize(
    ("step", "compute", "afresh"),
    [(0, torch.float32, True), (4, torch.float32, False), (4, torch.bfloat16, True), (4, torch.float16, True)],
)
def test_that_held_out_kl_compares_two_fresh_passes_where_the_sampler_is_rough(
    step: int, compute: torch.dtype, afresh: bool, roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def judged(*_: Any, afresh: bool) -> Judged:
        asked.append(afresh)
        return Judged(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.0]]), None)

    monkeypatch.setattr(online, "judge", judged)
    monkeypatch.setattr(online, "sample", lambda *_: Rollout([[5, 6]], torch.zeros(1, 2), [False]))
    setup = CPU._replace(compute=compute)
    told = evaluate(
        roles, Constant(2.0), [Asked(ROW, [1])], PpoSpec(), setup, Notices(), step, show=False, reference=True  # type: ignore[arg-type]
    )  # fmt: skip
    assert asked == [afresh]
    assert told["eval/kl"] == pytest.approx(2.5)
    assert told["eval/reward/score"] == 2.0


@pytest.mark.parametrize(("count", "show", "shown"), [(0, True, 0), (2, True, 2), (9, True, 3), (2, False, 0)])
def test_that_as_many_held_out_answers_are_shown_as_asked_for(
    count: int, show: bool, shown: int, roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "sample", lambda *_: SAID)
    notices = Notices()
    held = [Asked(ROW, ids) for ids in PROMPTS]
    told = evaluate(
        roles, Constant(1.5), held, PpoSpec(sample_count=count), CPU, notices, 3, show=show, reference=False  # type: ignore[arg-type]
    )  # fmt: skip
    assert "eval/kl" not in told
    assert [sample[:2] for sample in notices.samples] == [(3, index) for index in range(shown)]
    for (_, index, prompt, _, about), length in zip(notices.samples, (3, 2, 1), strict=False):
        assert prompt == "Once"
        assert about == {"reward": 1.5, "length": float(length), "ended": float(index < 2)}


def test_that_no_more_held_out_prompts_are_answered_than_the_limit(
    roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def sample(policy: Loaded, prompts: list[list[int]], *_: Any) -> Rollout:
        seen.append(len(prompts))
        return Rollout([[5]] * len(prompts), torch.zeros(len(prompts), 1), [True] * len(prompts))

    monkeypatch.setattr(online, "sample", sample)
    held = [Asked(ROW, [1])] * (online.EVALUATED + 7)
    evaluate(roles, Constant(0.0), held, PpoSpec(), CPU, Notices(), 1, show=False, reference=False)  # type: ignore[arg-type]
    assert seen == [online.EVALUATED]


def test_that_the_policy_is_its_own_reference_to_the_last_bit_whatever_the_batches(roles: Roles) -> None:
    found = judge(roles, PROMPTS, SAID, PpoSpec(micro_batch_size=2), CPU, afresh=True)
    assert found.ref_logprobs is not None
    assert torch.equal(found.logprobs, found.ref_logprobs)
    assert found.values is None
    assert (found.logprobs == 0).tolist() == [[False, False, False], [False, False, True], [False, True, True]]
    alone = judge(roles, PROMPTS, SAID, PpoSpec(micro_batch_size=1), CPU, afresh=True, reference=False)
    torch.testing.assert_close(alone.logprobs, found.logprobs, atol=1e-5, rtol=1e-5)
    assert alone.ref_logprobs is None


def test_that_what_the_sampler_kept_is_taken_unless_it_is_asked_anew(roles: Roles) -> None:
    kept = SAID._replace(logprobs=torch.full((3, 3), -7.0))
    assert judge(roles, PROMPTS, kept, PpoSpec(), CPU, afresh=False).logprobs.eq(-7.0).all()
    assert not judge(roles, PROMPTS, kept, PpoSpec(), CPU, afresh=True).logprobs.eq(-7.0).any()


@pytest.fixture
def sampled(roles: Roles) -> Rollout:
    """The rollout with the log-probabilities that a fresh pass gives."""
    return SAID._replace(logprobs=judge(roles, PROMPTS, SAID, PpoSpec(), CPU, afresh=True).logprobs)


def test_that_a_sound_start_is_passed(roles: Roles, sampled: Rollout) -> None:
    check_start(roles, sampled, PROMPTS, PpoSpec(), CPU)


@pytest.mark.parametrize("wrong", ["the sampler", "the sampler is no number", "the reference"])
def test_that_a_start_at_which_the_models_differ_ends_the_run(
    wrong: str, roles: Roles, sampled: Rollout, loaded: Loaded, make_other: Callable[[], Any]
) -> None:
    logprobs = sampled.logprobs.clone()
    if wrong == "the reference":
        roles = roles._replace(frozen=make_other())
    else:
        logprobs[1, 1] += 0.002 if wrong == "the sampler" else torch.nan
    start = sampled._replace(logprobs=logprobs)
    with pytest.raises(
        RunFailed, match="policy to reference" if wrong == "the reference" else "what was sampled differs"
    ):
        check_start(roles, start, PROMPTS, PpoSpec(), CPU)
    if wrong == "the reference":  # nobody asks one that isn't held to
        check_start(roles, start, PROMPTS, PpoSpec(), CPU, reference=False)


@pytest.fixture
def make_other(stories: Path) -> Callable[[], Any]:
    from workbench.engine.models import load_policy

    def make() -> Any:
        model = load_policy(stories).model
        with torch.no_grad():
            model.model.norm.weight.mul_(1.01)
        return model

    return make


def test_that_a_difference_below_what_rounding_does_is_passed(roles: Roles, sampled: Rollout) -> None:
    check_start(
        roles, sampled._replace(logprobs=sampled.logprobs + 0.0005 * (sampled.logprobs != 0)), PROMPTS, PpoSpec(), CPU
    )


def test_that_only_as_many_rows_are_compared_as_fit_a_micro_batch(roles: Roles, sampled: Rollout) -> None:
    logprobs = sampled.logprobs.clone()
    logprobs[2, 0] += 1.0
    check_start(roles, sampled._replace(logprobs=logprobs), PROMPTS, PpoSpec(micro_batch_size=2), CPU)
    with pytest.raises(RunFailed):
        check_start(roles, sampled._replace(logprobs=logprobs), PROMPTS, PpoSpec(micro_batch_size=3), CPU)
