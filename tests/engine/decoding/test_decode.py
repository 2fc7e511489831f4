"""Texts: pieces join to the text, stop texts cut across token borders, many prompts at once are what they are alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from workbench.domain.choices import TokenChoice
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import BadInput
from workbench.engine.decoding.decode import Settings, decode
from workbench.engine.decoding.many import decode_many, seed_of_row
from workbench.engine.decoding.pieces import Pieces, TextStream, cut_at_stop, text_of, undecided_tail
from workbench.engine.decoding.telling import Ending
from workbench.engine.decoding.voice import Voice

ONCE = "Once upon a time"


def tell(voice: Voice, text: str, settings: Settings) -> tuple[list[TokenChoice], Ending]:
    """All choices for a raw prompt, and the ending."""
    steps = decode(voice, voice.tokenizer(text)["input_ids"], settings)
    choices = []
    while True:
        try:
            choice = next(steps)
        except StopIteration as ended:
            return choices, ended.value
        if isinstance(choice, TokenChoice):
            choices.append(choice)


EVERY = [Greedy(max_new_tokens=40), Sample(max_new_tokens=40, seed=3), Beam(max_new_tokens=24, num_beams=3)]


@pytest.mark.parametrize("settings", EVERY, ids=lambda s: s.strategy)
def test_that_pieces_and_offsets_join_to_the_text(stories: Voice, settings: Settings) -> None:
    choices, ending = tell(stories, ONCE, settings)
    assert "".join(c.text for c in choices) == ending.text
    for choice in choices:
        assert ending.text[choice.start : choice.end] == choice.text
        assert TokenChoice.model_validate(choice.model_dump()) == choice
    assert ending.text.startswith((" ", ","))


def test_that_the_text_continues_the_prompt_with_its_space(stories: Voice) -> None:
    choices, ending = tell(stories, ONCE, Greedy(max_new_tokens=10))
    prompt = stories.tokenizer(ONCE)["input_ids"]
    whole = stories.tokenizer.decode([*prompt, *(c.id for c in choices)], skip_special_tokens=True)
    assert whole == ONCE + ending.text


def test_that_alternatives_hold_the_chosen_token_at_its_rank(stories: Voice) -> None:
    choices, _ = tell(stories, ONCE, Sample(max_new_tokens=30, seed=1, top_k=8, top_p=0.9))
    for choice in choices:
        assert len(choice.alternatives) == 20
        assert choice.kept <= 8
        assert choice.alternatives[choice.rank].id == choice.id
        assert choice.alternatives[choice.rank].cut_by is None
        kept = sum(alternative.p_used for alternative in choice.alternatives)
        assert kept == pytest.approx(1.0, abs=1e-5)
        assert all((a.p_used == 0) == (a.cut_by is not None) for a in choice.alternatives)


def test_that_bytes_of_one_character_come_out_together(stories: Voice) -> None:
    ids = stories.tokenizer("a 😀 é!", add_special_tokens=False)["input_ids"]
    stream = TextStream(stories.tokenizer, [])
    pieces = [stream.push(token) for token in ids]
    assert "".join(pieces) == "a 😀 é!"
    assert "" in pieces and "😀" in pieces
    table = Pieces(stories.tokenizer)
    lone = next(token for token, piece in zip(ids, pieces, strict=True) if piece == "")
    assert table[lone].startswith("<0x"), "a lone byte is shown by its name"
    assert table[stories.tokenizer.convert_tokens_to_ids("▁time")] == " time"
    assert table[2] == "</s>"


@pytest.mark.parametrize("settings", EVERY, ids=lambda s: s.strategy)
@pytest.mark.parametrize("border", [3, 7, 12])
def test_that_a_stop_text_cuts_inside_and_across_tokens(stories: Voice, settings: Settings, border: int) -> None:
    _, whole = tell(stories, ONCE, settings)
    stop = whole.text[border : border + 6]
    choices, ending = tell(stories, ONCE, settings.model_copy(update={"stop": (stop,)}))
    assert ending.reason == "stop"
    assert stop not in ending.text
    assert "".join(c.text for c in choices) == ending.text
    if not isinstance(settings, Beam):
        assert ending.text == whole.text[: whole.text.find(stop)]


def test_that_no_token_is_shown_that_a_stop_text_takes_back(stories: Voice) -> None:
    _, whole = tell(stories, ONCE, Greedy(max_new_tokens=30))
    stop = whole.text[10:24]
    shown = ""
    for choice in decode(
        stories, stories.tokenizer(ONCE)["input_ids"], Greedy(max_new_tokens=30, stop=(stop, "never said"))
    ):
        shown += choice.text if isinstance(choice, TokenChoice) else ""
        assert whole.text[:10].startswith(shown)
    assert shown == whole.text[:10]


def test_how_much_of_an_end_may_begin_a_stop_text() -> None:
    assert undecided_tail("the en", ("end", "stop")) == 2
    assert undecided_tail("the s", ("end", "stop")) == 1
    assert undecided_tail("the", ("x", "")) == 0
    assert cut_at_stop("a.b.c", (".c", ".b")) == 1
    assert cut_at_stop("abc", ("", "d")) is None


def test_that_the_end_of_the_context_ends_the_text(stories: Voice) -> None:
    near = stories.tokenizer("the cat " * 400)["input_ids"][:508]
    assert len(near) == 508
    steps = decode(stories, near, Greedy(max_new_tokens=100))
    assert len([c for c in steps if c is not None]) <= 4
    with pytest.raises(BadInput, match="reads at most 512"):
        decode(stories, near * 2, Greedy())


def test_that_an_empty_prompt_is_refused_with_a_sentence(stories: Voice) -> None:
    with pytest.raises(BadInput, match="no tokens"):
        next(decode(stories, [], Greedy()))


@pytest.mark.parametrize(
    "settings",
    [
        Greedy(max_new_tokens=20),
        Sample(max_new_tokens=20, seed=5, temperature=0.8, top_k=20, repetition_penalty=1.1),
        Sample(max_new_tokens=25, seed=8, stop=("was", "time")),
        Beam(max_new_tokens=10, num_beams=2),
    ],
    ids=lambda s: f"{s.strategy}-{len(s.stop)}",
)
def test_that_many_prompts_at_once_are_what_they_are_alone(stories: Voice, settings: Settings) -> None:
    texts = [ONCE, "The cat", "Lily and Tom wanted to play with the big", ONCE]
    prompts = [stories.tokenizer(text)["input_ids"] for text in texts]
    seen: list[tuple[int, int]] = []
    together = decode_many(stories, prompts, settings, progress=lambda done, total: seen.append((done, total)))
    assert together is not None
    alone = [tell(stories, text, seed_of_row(settings, row))[1].completion for row, text in enumerate(texts)]
    assert together == alone
    assert seen[-1] == (4, 4)
    if isinstance(settings, Sample) and not settings.stop:
        assert together[0] != together[3], "equal prompts have seeds of their own"


def test_that_many_prompts_can_be_stopped(stories: Voice) -> None:
    prompts = [stories.tokenizer(ONCE)["input_ids"]] * 3
    looks = iter([True, True, False])
    assert decode_many(stories, prompts, Sample(max_new_tokens=50), wanted=lambda: next(looks)) is None


def test_that_the_end_token_is_told_but_has_no_text(stories: Voice) -> None:
    eager = replace(stories, eos=frozenset({stories.tokenizer.convert_tokens_to_ids("▁a"), 2}))
    choices, ending = tell(eager, "Once upon", Greedy(max_new_tokens=5))
    assert ending.reason == "end" and len(choices) == 1
    special, _ = tell(stories, ONCE, Greedy(max_new_tokens=150))
    assert special[-1].id != 2 or special[-1].text == ""


def test_that_further_hypotheses_come_as_texts(stories: Voice) -> None:
    _, ending = tell(stories, ONCE, Beam(max_new_tokens=8, num_beams=3, num_return=3))
    assert len(ending.others) == 2
    assert all(text and isinstance(text, str) for text, _ in ending.others)
    scores = [score for _, score in ending.others]
    assert scores == sorted(scores, reverse=True)


def test_that_text_of_ids_is_what_a_stream_tells(stories: Any) -> None:
    ids = stories.tokenizer(" and then", add_special_tokens=False)["input_ids"]
    prompt = stories.tokenizer(ONCE)["input_ids"]
    stream = TextStream(stories.tokenizer, prompt)
    assert text_of(stories.tokenizer, prompt, ids) == "".join(stream.push(i) for i in ids)
