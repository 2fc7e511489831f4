"""Stopping and going on: with the same seed, the text is the one that would have come without the stop."""

from __future__ import annotations

import pytest

from workbench.domain.choices import Aside, BeamLevel, BeamNode, DraftedToken, DraftRound, TokenChoice
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.engine.decoding.decode import Settings, decode
from workbench.engine.decoding.naming import named
from workbench.engine.decoding.telling import Ending
from workbench.engine.decoding.voice import Voice

ONCE = "Once upon a time"
SETTINGS = [
    Greedy(max_new_tokens=24, repetition_penalty=1.3, no_repeat_ngram=3),
    Sample(max_new_tokens=24, seed=5, top_p=0.9, presence_penalty=0.4, frequency_penalty=0.2),
    Sample(max_new_tokens=24, seed=6, min_new_tokens=20),
    Sample(max_new_tokens=24, seed=7, mirostat_tau=2.0, mirostat_eta=0.5),
]


def tell(voice: Voice, settings: Settings, start: tuple[int, ...] = ()) -> tuple[list[TokenChoice], Ending]:
    steps = decode(voice, voice.tokenizer(ONCE)["input_ids"], settings, start=start)
    choices = []
    while True:
        try:
            told = next(steps)
        except StopIteration as ended:
            return choices, ended.value
        if isinstance(told, TokenChoice):
            choices.append(told)


@pytest.mark.parametrize("kept", [1, 7, 23])
@pytest.mark.parametrize("settings", SETTINGS, ids=["greedy", "sample", "early", "mirostat"])
def test_that_going_on_gives_the_unbroken_text(stories: Voice, settings: Settings, kept: int) -> None:
    whole, ending = tell(stories, settings)
    rest, again = tell(stories, settings, tuple(c.id for c in whole[:kept]))
    assert [(c.id, c.text, c.start, c.end) for c in rest] == [(c.id, c.text, c.start, c.end) for c in whole[kept:]]
    assert again == ending


def test_that_a_stop_text_is_found_across_the_border(stories: Voice) -> None:
    whole, ending = tell(stories, Greedy(max_new_tokens=24))
    border = whole[9].end
    stop = ending.text[border - 3 : border + 3]
    settings = Greedy(max_new_tokens=24, stop=(stop,))
    plain = tell(stories, settings)[1]
    rest, again = tell(stories, settings, tuple(c.id for c in whole[:10]))
    assert again == plain and again.reason == "stop"
    assert "".join(c.text for c in rest) == ""


def test_that_nothing_is_added_to_a_text_that_has_ended(stories: Voice) -> None:
    whole, ending = tell(stories, Greedy(max_new_tokens=8))
    ids = tuple(c.id for c in whole)
    assert tell(stories, Greedy(max_new_tokens=8), ids) == ([], ending)
    assert tell(stories, Greedy(max_new_tokens=20), (*ids, 2))[1].reason == "end"
    stop = ending.text[3:6]
    choices, stopped = tell(stories, Greedy(max_new_tokens=20, stop=(stop,)), ids)
    assert (choices, stopped.reason) == ([], "stop")
    assert stopped.text == ending.text[: ending.text.find(stop)]


def test_that_a_branch_takes_the_random_numbers_of_its_places(stories: Voice) -> None:
    settings = Sample(max_new_tokens=16, seed=9)
    whole, _ = tell(stories, settings)
    other = next(a.id for a in whole[4].alternatives if a.id != whole[4].id)
    branch, _ = tell(stories, settings, (*(c.id for c in whole[:4]), other))
    assert len(branch) == 11
    again, _ = tell(stories, settings, (*(c.id for c in whole[:4]), other, *(c.id for c in branch[:5])))
    assert [c.id for c in again] == [c.id for c in branch[5:]]


def test_that_beam_goes_on_behind_what_is_there(stories: Voice) -> None:
    whole, _ = tell(stories, Beam(max_new_tokens=12, num_beams=3))
    rest, ending = tell(stories, Beam(max_new_tokens=12, num_beams=3), tuple(c.id for c in whole[:5]))
    assert len(rest) == 7
    assert ending.text == "".join(c.text for c in whole[:5]) + "".join(c.text for c in rest)


def test_that_asides_get_the_texts_of_their_tokens(stories: Voice) -> None:
    token = stories.tokenizer.convert_tokens_to_ids("▁time")
    node = BeamNode(step=1, slot=0, parent=-1, id=token, text="", logprob=-1.0, score=-1.0, state="live")
    drafted = DraftedToken(id=token, text="", p=0.5, q=0.5, u=0.1, verdict="accepted", expected=1.0)
    asides: list[Aside] = [
        BeamLevel(step=1, nodes=(node,)),
        DraftRound(round=0, drafted=(drafted,), added=token, verdict="bonus"),
        DraftRound(round=0, drafted=(), added=None),
    ]
    level, round_, nothing = (named(stories.pieces, aside) for aside in asides)
    assert isinstance(level, BeamLevel) and level.nodes[0].text == " time"
    assert isinstance(round_, DraftRound) and round_.drafted[0].text == round_.added_text == " time"
    assert isinstance(nothing, DraftRound) and nothing.added_text == ""
