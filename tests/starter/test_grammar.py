"""The grammar of the starter kit makes what it promises."""

import importlib.util
import random
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from workbench.analysis.story_rule import ENDING, is_happy, score_story

STARTER = Path(__file__).resolve().parents[2] / "resources" / "starter"


@pytest.fixture(scope="module")
def grammar() -> ModuleType:
    spec = importlib.util.spec_from_file_location("starter_grammar", STARTER / "grammar.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_that_every_mood_ends_as_it_says(grammar: ModuleType) -> None:
    rng = random.Random(0)
    for mood in ("happy", "sad", "open"):
        for _ in range(200):
            assert is_happy(grammar.story(rng, grammar.Wish("Mia", "bell", mood))) == (mood == "happy")


def test_that_a_wish_is_in_its_story(grammar: ModuleType) -> None:
    rng = random.Random(1)
    for _ in range(300):
        wish = grammar.draw_wish(rng)
        score = score_story(grammar.request(rng, wish.name, wish.thing), grammar.story(rng, wish))
        assert score.hero
        assert score.thing
        assert score.ends


def test_that_a_story_without_its_end_says_so(grammar: ModuleType) -> None:
    rng = random.Random(2)
    assert ENDING not in grammar.story(rng, grammar.Wish("Mia", "bell", "happy"), ends=False)


def test_that_sentences_are_rarely_repeated(grammar: ModuleType) -> None:
    rng = random.Random(3)
    stories = [grammar.document(rng) for _ in range(2000)]
    counts = Counter(s.strip() for d in stories for s in d.split(".") if s.strip() not in {"", "The end"})
    assert len(counts) / counts.total() > 0.8


def test_that_demonstrations_leave_room_for_preferences(grammar: ModuleType) -> None:
    rng = random.Random(4)
    scores = []
    for _ in range(600):
        wish = grammar.draw_wish(rng)
        text = grammar.demonstration(rng, wish.name, wish.thing)
        scores.append(score_story(grammar.request(rng, wish.name, wish.thing), text).total)
    assert 0.55 < sum(scores) / len(scores) < 0.75


def test_that_no_article_stands_before_the_wrong_sound(grammar: ModuleType) -> None:
    rng = random.Random(5)
    texts = " ".join(grammar.document(rng) for _ in range(2000)).lower()
    assert not re.findall(r"\ba [aeio]\w+|\ban [^aeiou\W]\w*", texts)


def test_that_articles_fit_their_nouns(grammar: ModuleType) -> None:
    assert grammar.article("acorn") == "an acorn"
    assert grammar.article("bell") == "a bell"
