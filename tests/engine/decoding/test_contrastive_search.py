"""Contrastive search against a plain statement of the formula that reads the whole text for every candidate."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from tests.engine.architectures import make_model
from tests.engine.decoding.told import Told, finish
from workbench.domain.choices import TokenChoice
from workbench.domain.decoding import ContrastiveSearch, Greedy
from workbench.engine.decoding.contrastive_search import contrastive_search
from workbench.engine.decoding.decode import decode
from workbench.engine.decoding.general import General
from workbench.engine.decoding.greedy import greedy
from workbench.engine.decoding.many import decode_many
from workbench.engine.decoding.task import Task
from workbench.engine.decoding.voice import Voice

PROMPT = [1, 7, 9, 33, 7, 9]
EOS = frozenset({2})
ARCHITECTURES = [
    "gpt2", "llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "mistral", "phi", "phi3", "neox", "opt", "falcon",
    "mixtral", "qwen2moe", "qwen3moe",
]  # fmt: skip


def plainly(
    model: Any, settings: ContrastiveSearch, limit: int, own: bool = True
) -> list[tuple[int, float, int, float]]:
    """(token, penalty, against, score) of each step; `own=False` forgets the text behind the prompt."""
    text, found = list(PROMPT), []
    while len(found) < limit and (not found or found[-1][0] not in EOS):
        with torch.inference_mode():
            p = torch.softmax(model(torch.tensor([text])).logits[0, -1].float(), -1)
            best = None
            for token in p.topk(settings.top_k).indices.tolist():
                told = model(torch.tensor([[*text, token]]), output_hidden_states=True)
                states = told.hidden_states[-1][0].double()
                last, context = states[-1], states[: len(text) if own else len(PROMPT)]
                likeness = torch.cosine_similarity(last[None], context, dim=-1)
                penalty, against = float(likeness.max()), int(likeness.argmax())
                score = (1 - settings.alpha) * float(p[token]) - settings.alpha * penalty
                if best is None or score > best[3]:
                    best = (token, penalty, against, score)
        assert best is not None
        found.append(best)
        text.append(best[0])
    return found


def searched(model: Any, settings: ContrastiveSearch, limit: int = 8, start: tuple[int, ...] = ()) -> Told:
    task = Task(PROMPT, limit, EOS, start=start)
    return finish(contrastive_search(General(model, hidden=True), task, settings))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_that_it_finds_what_the_plain_statement_finds(name: str) -> None:
    model, settings = make_model(name), ContrastiveSearch(alpha=0.6, top_k=4)
    expected = plainly(model, settings, 6)
    told = searched(model, settings, 6)
    assert told.ids == [token for token, *_ in expected]
    for token, (_, penalty, against, score) in zip(told.tokens, expected, strict=True):
        assert token.search.penalty == pytest.approx(penalty, abs=1e-4)
        assert token.search.score == pytest.approx(score, abs=1e-4)
        assert token.search.against == against or penalty > 0.9999, "several places may be equally like it"


def test_that_a_version_that_forgets_its_own_text_is_caught() -> None:
    model, settings = make_model("gpt2"), ContrastiveSearch(alpha=0.8, top_k=6)
    assert plainly(model, settings, 8) != plainly(model, settings, 8, own=False)


@pytest.mark.parametrize("settings", [ContrastiveSearch(alpha=0.0, top_k=8), ContrastiveSearch(alpha=0.9, top_k=1)])
@pytest.mark.parametrize("name", ["gpt2", "llama", "neox", "gemma2"])
def test_that_alpha_zero_and_k_one_are_greedy(name: str, settings: ContrastiveSearch) -> None:
    model = make_model(name)
    assert searched(model, settings, 12).ids == finish(greedy(General(model), Task(PROMPT, 12, EOS), Greedy())).ids


def test_that_the_options_are_the_k_most_probable_tokens() -> None:
    told = searched(make_model("llama"), ContrastiveSearch(top_k=5), 5)
    for token in told.tokens:
        options = token.search.options
        assert [o.id for o in options] == [o.id for o in token.options[:5]]
        assert [o.p for o in options] == pytest.approx([o.p_model for o in token.options[:5]], abs=1e-6)
        assert max(o.score for o in options) == token.search.score
        assert all(o.score == pytest.approx(0.4 * o.p - 0.6 * o.penalty, abs=1e-5) for o in options)
        assert all(0 <= o.against < len(PROMPT) + 5 for o in options)


def test_that_tokens_that_the_rules_forbid_are_no_candidates() -> None:
    told = searched(make_model("gpt2"), ContrastiveSearch(top_k=8, no_repeat_ngram=1), 10)
    assert len({*told.ids, *PROMPT}) == len(told.ids) + len(set(PROMPT))
    assert all(not {o.id for o in t.search.options} & {*PROMPT, *told.ids[:i]} for i, t in enumerate(told.tokens))


@pytest.mark.parametrize("kept", [1, 5])
def test_that_going_on_gives_the_unbroken_text(kept: int) -> None:
    for name in ("gpt2", "llama"):
        model, settings = make_model(name), ContrastiveSearch(repetition_penalty=1.2)
        whole = searched(model, settings, 10)
        rest = searched(model, settings, 10, tuple(whole.ids[:kept]))
        assert rest.ids == whole.ids[kept:]
        assert rest.outcome.hypotheses[0].ids == tuple(whole.ids)


def test_that_a_real_model_repeats_itself_less_than_greedy(stories: Voice) -> None:
    """What the method is for; and each option has its text."""
    prompt = stories.tokenizer("Once upon a time, there was a little")["input_ids"]

    def told(settings: Any) -> list[TokenChoice]:
        return [c for c in decode(stories, prompt, settings) if isinstance(c, TokenChoice)]

    plain, searched = told(Greedy(max_new_tokens=70)), told(ContrastiveSearch(max_new_tokens=70, alpha=0.7))
    pairs = [{(a.id, b.id) for a, b in pairwise(text)} for text in (plain, searched)]
    assert len(pairs[1]) / len(searched) > len(pairs[0]) / len(plain)
    assert all(o.text == stories.pieces[o.id] for c in searched[:5] for o in c.search.options)  # type: ignore[union-attr]


def test_that_many_prompts_are_searched_one_after_the_other(stories: Voice) -> None:
    prompts = [stories.tokenizer(text)["input_ids"] for text in ("The dog", "Lily and Tom")]
    settings = ContrastiveSearch(max_new_tokens=8)
    together = decode_many(stories, prompts, settings)
    assert together is not None
    assert [decode_many(stories, [prompt], settings) for prompt in prompts] == [[text] for text in together]


def test_that_the_last_candidates_fit_the_context(stories: Voice) -> None:
    near = stories.tokenizer("the cat " * 400)["input_ids"][:509]
    choices = [c for c in decode(stories, near, ContrastiveSearch(max_new_tokens=50)) if isinstance(c, TokenChoice)]
    assert len(choices) == 3
