"""Speculative decoding: the target's texts and its distribution, whatever the draft; rounds that can be told again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from tests.engine.architectures import make_model
from workbench.domain.choices import DraftRound, DraftTrace, TokenChoice
from workbench.domain.decoding import Greedy, Sample, Speculative
from workbench.domain.errors import BadInput
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.drafts import CHUNK
from workbench.engine.decoding.general import General
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.measure import Measured, Noted, measured
from workbench.engine.decoding.sample import sample
from workbench.engine.decoding.speculative import speculative
from workbench.engine.decoding.task import Outcome, Steps, Task
from workbench.engine.decoding.voice import Voice

PROMPT = [1, 3, 2, 7, 3, 2]
ARCHITECTURES = [
    "gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi", "phi3", "neox", "opt", "falcon",
    "mixtral", "qwen2moe", "qwen3moe",
]  # fmt: skip


@dataclass
class Said:
    """What a decoding said."""

    tokens: list[Measured]
    rounds: list[DraftRound]
    outcome: Outcome | None = None

    @property
    def ids(self) -> list[int]:
        return [token.id for token in self.tokens]


def listen(steps: Steps) -> Said:
    said = Said([], [])
    while True:
        try:
            told = next(steps)
        except StopIteration as finished:
            said.outcome = finished.value
            return said
        if isinstance(told, DraftRound):
            said.rounds.append(told)
        elif isinstance(told, Noted):
            said.tokens += measured([told])
        elif isinstance(told, Measured):
            said.tokens.append(told)


def spoken(target: Any, draft: Any | None, settings: Speculative, task: Task, room: int | None = None) -> Said:
    other = None if draft is None else General(draft)
    return listen(speculative(General(target), task, settings, other, room=room))


def task_of(limit: int = 24, eos: Sequence[int] = (0,), **more: Any) -> Task:
    return Task(PROMPT, limit, frozenset(eos), **more)


@pytest.mark.parametrize("gamma", range(1, 9))
@pytest.mark.parametrize("draft", ["qwen2", None], ids=["model", "ngram"])
def test_that_greedy_drafts_give_greedys_text(zoo: dict[str, Any], gamma: int, draft: str | None) -> None:
    plain = listen(greedy(General(zoo["llama"]), task_of(), Greedy()))
    said = spoken(zoo["llama"], draft and zoo[draft], Speculative(temperature=0.0, gamma=gamma), task_of())
    assert said.ids == plain.ids
    assert said.outcome is not None and plain.outcome is not None
    assert said.outcome.hypotheses[0].ids == tuple(plain.ids)
    assert said.outcome.reason == plain.outcome.reason
    assert [token.logprob for token in said.tokens] == pytest.approx([t.logprob for t in plain.tokens], abs=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_drafts_change_no_text_on_any_architecture(name: str) -> None:
    """Greedy and, with the model as its own draft, drawn: rollback leaves the cache as a fresh reading would."""
    model, other = make_model(name), make_model("gpt2")
    task = Task([1, 5, 9, 4], 20, frozenset({2}))
    plain = listen(greedy(General(model), task, Greedy())).ids
    assert spoken(model, other, Speculative(temperature=0.0, gamma=3), task).ids == plain
    assert spoken(model, None, Speculative(temperature=0.0, gamma=3), task).ids == plain
    drawn = listen(sample(General(model), task, Sample(seed=5))).ids
    assert spoken(model, model, Speculative(seed=5, gamma=3), task).ids == drawn


def test_that_a_draft_equal_to_the_model_is_always_taken_and_says_what_sample_says(zoo: dict[str, Any]) -> None:
    settings = {"temperature": 0.9, "top_p": 0.95, "repetition_penalty": 1.2, "seed": 3}
    said = spoken(zoo["gpt2"], zoo["gpt2"], Speculative(**settings, gamma=4), task_of(30))
    assert said.ids == listen(sample(General(zoo["gpt2"]), task_of(30), Sample(**settings))).ids
    verdicts = [token.verdict for one in said.rounds for token in one.drafted]
    assert set(verdicts) == {"accepted"}
    assert all(token.expected == pytest.approx(1.0, abs=1e-5) for one in said.rounds for token in one.drafted)


def test_that_drafts_which_the_model_never_says_are_never_taken(zoo: dict[str, Any]) -> None:
    """Disjoint supports: a draft that says one token only, which isn't in the model's text."""
    model = zoo["llama"]
    plain = listen(greedy(General(model), task_of(), Greedy())).ids
    silent = next(token for token in range(1, 61) if token not in plain)
    said = spoken(model, Forced(zoo["qwen2"], silent), Speculative(temperature=0.0, gamma=3), task_of())
    assert {token.verdict for one in said.rounds for token in one.drafted} == {"rejected", "unused"}
    assert {token.expected for one in said.rounds for token in one.drafted if token.verdict == "rejected"} == {0.0}
    assert said.ids == plain


class Forced:
    """A model that says one token only."""

    def __init__(self, model: Any, token: int) -> None:
        self._model, self._token = model, token
        self.config, self.device, self.base_model = model.config, model.device, model.base_model

    def forward(self, input_ids: Any, **given: Any) -> Any:
        return self(input_ids=input_ids, **given)

    def __call__(self, **given: Any) -> Any:
        told = self._model(**given)
        told.logits = torch.full_like(told.logits, -50.0)
        told.logits[..., self._token] = 50.0
        return told


def test_that_rounds_tell_what_was_drafted_judged_and_added(zoo: dict[str, Any]) -> None:
    said = spoken(zoo["llama"], zoo["qwen2"], Speculative(temperature=3.0, gamma=4, seed=1), task_of(40, ()))
    assert [one.round for one in said.rounds] == list(range(1, len(said.rounds) + 1))
    told = iter(said.tokens)
    for one in said.rounds:
        taken = [token for token in one.drafted if token.verdict == "accepted"]
        judged = [token for token in one.drafted if token.verdict != "unused"]
        assert [token.verdict for token in one.drafted] == sorted(
            (token.verdict for token in one.drafted), key=["accepted", "rejected", "unused"].index
        )
        assert all((token.u * token.q < token.p) == (token.verdict == "accepted") for token in judged)
        for place, token in enumerate(taken):
            trace = next(told)
            assert (trace.id, trace.draft) == (
                token.id,
                DraftTrace(round=one.round, position=place, p=token.p, q=token.q, u=token.u, verdict="accepted"),
            )
        if one.added is not None:
            added = next(told)
            assert added.draft is not None
            assert (added.id, added.draft.verdict, added.draft.q) == (one.added, one.verdict, None)
            assert added.draft.p == pytest.approx(added.p_used, rel=1e-5)
            assert one.verdict == ("bonus" if len(taken) == len(one.drafted) else "residual")
        assert one.draft_seconds > 0
        assert one.target_seconds > 0
    assert next(told, None) is None
    assert any(one.plain_seconds for one in said.rounds)


def test_that_acceptance_is_as_often_as_expected(zoo: dict[str, Any]) -> None:
    taken, hoped, judged = 0, 0.0, 0
    for seed in range(40):
        settings = Speculative(temperature=4.0, gamma=3, seed=seed)
        for one in spoken(zoo["llama"], zoo["qwen2"], settings, task_of(24, ())).rounds:
            for token in one.drafted:
                if token.verdict != "unused":
                    judged, taken, hoped = judged + 1, taken + (token.verdict == "accepted"), hoped + token.expected
    assert judged > 500
    assert 0.1 < hoped / judged < 0.95
    assert abs(taken - hoped) < 4 * (judged / 4) ** 0.5  # a variance of at most 1/4 each


def test_that_rules_see_the_tokens_that_were_drafted_before(zoo: dict[str, Any]) -> None:
    """With n-grams of one forbidden no token comes twice; a rule that didn't see drafted tokens would let it."""
    settings = {"no_repeat_ngram": 1, "presence_penalty": 0.5, "frequency_penalty": 0.5, "seed": 2}
    task = task_of(30, ())
    said = spoken(zoo["llama"], zoo["llama"], Speculative(**settings, gamma=6), task)
    assert len({*PROMPT, *said.ids}) == len(set(PROMPT)) + 30
    assert said.ids == listen(sample(General(zoo["llama"]), task, Sample(**settings))).ids


def test_that_an_end_within_a_draft_ends_the_text(zoo: dict[str, Any]) -> None:
    model = zoo["llama"]
    plain = listen(greedy(General(model), task_of(eos=()), Greedy())).ids
    end = next(token for place, token in enumerate(plain) if place > 3 and token not in plain[:place])
    said = spoken(model, model, Speculative(temperature=0.0, gamma=8), task_of(eos=(end,)))
    assert said.ids == plain[: plain.index(end) + 1]
    assert said.outcome is not None
    assert said.outcome.reason == "end"
    assert said.rounds[-1].added is None
    assert said.rounds[-1].drafted[-1].id == end


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_that_no_draft_goes_beyond_the_limit(zoo: dict[str, Any], limit: int) -> None:
    said = spoken(zoo["llama"], zoo["llama"], Speculative(temperature=0.0, gamma=4), task_of(limit, ()))
    assert said.ids == listen(greedy(General(zoo["llama"]), task_of(limit, ()), Greedy())).ids
    assert len(said.ids) == limit
    assert sum(len(one.drafted) + 1 for one in said.rounds) == limit
    assert said.outcome is not None
    assert said.outcome.reason == "length"


def test_that_a_draft_with_a_shorter_context_falls_silent(zoo: dict[str, Any]) -> None:
    settings = Speculative(temperature=0.0, gamma=4)
    said = spoken(zoo["llama"], zoo["llama"], settings, task_of(30, ()), room=len(PROMPT) + 9)
    assert said.ids == listen(greedy(General(zoo["llama"]), task_of(30, ()), Greedy())).ids
    assert [len(one.drafted) for one in said.rounds][-1] == 0
    resumed = spoken(
        zoo["llama"], zoo["llama"], settings, task_of(30, (), start=tuple(said.ids[:20])), room=len(PROMPT) + 9
    )
    assert resumed.ids == said.ids[20:]


@pytest.mark.parametrize("draft", ["qwen2", "llama", None], ids=["other", "itself", "ngram"])
@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_that_going_on_gives_the_text_that_would_have_come_without_the_stop(
    zoo: dict[str, Any], draft: str | None, temperature: float
) -> None:
    settings = Speculative(temperature=temperature, gamma=3, seed=8)
    limit = CHUNK + 8
    other = draft and zoo[draft]
    whole = spoken(zoo["llama"], other, settings, task_of(limit, ()))
    for place in (1, 2, 3, 4, 5, 9, 14, CHUNK, CHUNK + 1, limit - 1):
        rest = spoken(zoo["llama"], other, settings, task_of(limit, (), start=tuple(whole.ids[:place])))
        assert rest.ids == whole.ids[place:], place
        assert [(o.round, o.added) for o in rest.rounds] == [
            (o.round, o.added) for o in whole.rounds[-len(rest.rounds) :]
        ]


def test_that_a_branch_goes_on_from_tokens_that_it_would_not_have_said(zoo: dict[str, Any]) -> None:
    settings = Speculative(temperature=0.0, gamma=3)
    task = task_of(24, (), start=(9, 9, 4, 11, 9))
    said = spoken(zoo["llama"], zoo["qwen2"], settings, task)
    assert said.ids == listen(greedy(General(zoo["llama"]), task, Greedy())).ids


def test_that_the_cache_after_a_rollback_is_that_of_a_fresh_reading(zoo: dict[str, Any]) -> None:
    stepper = General(zoo["llama"])
    settings = Speculative(temperature=3.0, gamma=5, seed=4)
    steps = speculative(stepper, task_of(30, ()), settings, General(zoo["qwen2"]))
    ids: list[int] = []
    for told in steps:
        if isinstance(told, Measured):
            ids.append(told.id)
        elif isinstance(told, DraftRound) and told.round > 1 and told.verdict == "residual":
            break
    # Held now: everything but the token that was added last. Say it and compare.
    assert isinstance(told, DraftRound)
    accepted = [token.id for token in told.drafted if token.verdict == "accepted"]
    held = [*PROMPT, *ids, *accepted]
    assert stepper.length == len(held)
    fresh = General(zoo["llama"])
    fresh.prefill([held])
    assert torch.allclose(stepper.step([told.added or 0]), fresh.step([told.added or 0]), atol=1e-5)


def test_that_ngrams_propose_what_followed_the_last_time(stories: Voice) -> None:
    prompt = stories.tokenizer.encode("Lily saw a big red ball. Tom saw a big red ball. Lily saw a big")
    found = list(decode(stories, prompt, Speculative(temperature=0.0, max_new_tokens=12, gamma=4)))
    first = next(told for told in found if isinstance(told, DraftRound))
    assert "".join(token.text for token in first.drafted) == " red ball"
    plain = "".join(t.text for t in decode(stories, prompt, Greedy(max_new_tokens=12)) if isinstance(t, TokenChoice))
    assert "".join(told.text for told in found if isinstance(told, TokenChoice)) == plain


def test_that_a_stop_text_cuts_within_a_round(stories: Voice) -> None:
    prompt = stories.tokenizer.encode("Once upon a time")
    others = {"twin": stories}
    settings = {"max_new_tokens": 40, "temperature": 0.0}
    plain = "".join(t.text for t in decode(stories, prompt, Greedy(max_new_tokens=40)) if isinstance(t, TokenChoice))
    stop = plain[17:23]
    steps = decode(stories, prompt, Speculative(**settings, draft="twin", gamma=8, stop=(stop,)), others=others)
    text = "".join(told.text for told in steps if isinstance(told, TokenChoice))
    assert text == plain[: plain.index(stop)]


def test_that_a_draft_with_another_tokenizer_is_refused(stories: Voice) -> None:
    class Other:
        def get_vocab(self) -> dict[str, int]:
            return {**stories.tokenizer.get_vocab(), "▁once": 7}

    others = {"/models/foreign": replace(stories, tokenizer=Other())}
    with pytest.raises(BadInput, match="foreign can't draft: its tokenizer differs"):
        decode(stories, [1, 2], Speculative(draft="/models/foreign"), others=others)
    with pytest.raises(BadInput, match="no draft small"):
        decode(stories, [1, 2], Speculative(draft="small"))


def test_that_a_draft_may_have_more_or_fewer_logits_than_the_model() -> None:
    """Embeddings are padded differently within a family; ids that one of the two lacks are never said."""
    target, task = make_model("llama", 128), Task([1, 5, 9], 16, frozenset({2}))
    plain = listen(greedy(General(target), task, Greedy())).ids
    for vocabulary in (120, 160):
        said = spoken(target, make_model("gpt2", vocabulary), Speculative(temperature=0.0), task)
        assert said.ids == plain
        drawn = spoken(target, make_model("gpt2", vocabulary), Speculative(temperature=5.0), task)
        assert all(token.id < min(128, vocabulary) for one in drawn.rounds for token in one.drafted)


def test_that_rules_which_forbid_everything_say_so(zoo: dict[str, Any]) -> None:
    small = make_model("llama", 128)
    with pytest.raises(BadInput, match="forbid every token"):
        spoken(small, small, Speculative(no_repeat_ngram=1, gamma=5), Task([1], 140, frozenset()))
