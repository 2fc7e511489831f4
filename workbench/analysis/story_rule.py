"""The starter kit's preference: a rule about short stories that anybody can check by reading.

A request names a hero and a thing ("Tell me a story about Mia and a lantern."). A good story has the hero, has the thing,
ends happily, and ends. The score is the share of the four that hold, from 0 to 1; a fragment (one that starts in the middle of a
sentence, or has fewer than four sentences) counts half. Everything that this rule judges is synthetic and marked so; it
stands in for people in the tour and in tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMES = tuple(
    "Mia Tom Lily Ben Ruby Max Anna Leo Nora Finn Ella Sam Rosa Jack Ivy Oscar Clara Hugo Daisy Felix Lucy Otto Greta Theo"
    " Wanda Pip Molly Gus Hazel Archie Stella Ned Poppy Ralph Tilda Bruno Cora Edgar Flora Milo".split()
)
THINGS = tuple(
    "lantern kite drum bell basket ladder mirror candle ribbon button kettle spoon whistle compass map feather acorn pebble"
    " shell crown ring key box book clock hat scarf boat wagon rope brush flute pumpkin apple pear cake pie jar bottle"
    " blanket pillow umbrella marble puzzle balloon coin seed flower ball cup".split()
)
ENDING = "The end."
SENTENCES = 4
HAPPY = frozenset(
    "happy happily glad smiled smile smiling laughed laughing joy joyful cheered hugged danced proud delighted friends"
    " celebrated sang thankful".split()
)
SAD = frozenset(
    "sad sadly cried crying tears alone lonely never lost broken gone sorry afraid empty gloomy wept sighed nobody".split()
)
_WORD = re.compile(r"[A-Za-z]+")
_SENTENCE = re.compile(r"[^.!?]+[.!?]*")


@dataclass(frozen=True)
class StoryScore:
    """The four criteria, each true or false, and whether the text is a story at all."""

    whole: bool
    hero: bool
    thing: bool
    happy: bool
    ends: bool

    @property
    def total(self) -> float:
        """Share of the four criteria that hold, from 0 to 1; half of that for a fragment."""
        return (1.0 if self.whole else 0.5) * (self.hero + self.thing + self.happy + self.ends) / 4


def asked_for(request: str) -> tuple[str, str]:
    """The hero and the thing that a request names, or "" for what it doesn't name."""
    words = _WORD.findall(request)
    hero = next((w for w in words if w in NAMES), "")
    thing = next((w for w in words if w in THINGS), "")
    return hero, thing


def is_happy(story: str) -> bool:
    """Whether the last sentence before the closing words has a happy word and no sad one."""
    body = story.strip().removesuffix(ENDING)
    sentences = [s for s in _SENTENCE.findall(body) if _WORD.search(s)]
    if not sentences:
        return False
    words = {w.lower() for w in _WORD.findall(sentences[-1])}
    return bool(words & HAPPY) and not words & SAD


def is_whole(story: str) -> bool:
    """Whether a text begins as a sentence does and has at least four of them before the closing words."""
    body = story.strip().removesuffix(ENDING).strip()
    sentences = [s for s in _SENTENCE.findall(body) if _WORD.search(s)]
    return body[:1].isupper() and len(sentences) >= SENTENCES


def score_story(request: str, story: str) -> StoryScore:
    """Judge one story against the request that it answers."""
    hero, thing = asked_for(request)
    words = _WORD.findall(story)
    return StoryScore(
        whole=is_whole(story),
        hero=hero in words,
        thing=thing in words or f"{thing}s" in words,
        happy=is_happy(story),
        ends=story.strip().endswith(ENDING),
    )
