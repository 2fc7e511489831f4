"""The grammar behind the starter kit: short English stories, and requests for them. Everything it makes is synthetic.

A story has five to seven sentences drawn from templates with slots; the ending is happy, sad or open. `Wish` says what a
story should contain, so that demonstrations of different quality can be made.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from workbench.analysis.story_rule import ENDING, NAMES, THINGS

Mood = Literal["happy", "sad", "open"]

ANIMALS = "fox rabbit bear mouse owl duck hedgehog squirrel goat cat dog badger frog turtle otter pony".split()
TRAITS = "small brave curious clever quiet gentle funny sleepy kind shy cheerful stubborn young old lazy busy".split()
COLOURS = "red blue green yellow golden silver purple orange white black".split()
LOOKS = "shiny tiny heavy dusty round crooked bright soft strange pretty wooden painted".split()
PLACES = [
    "in a quiet village", "near the old mill", "at the edge of the forest", "beside a wide river", "on a windy hill",
    "under a big oak tree", "in a little stone house", "by the sea", "behind the garden wall", "in a deep green valley",
    "next to the market", "on a small farm",
]  # fmt: skip
SPOTS = [
    "under a bush", "in the tall grass", "behind the barn", "on the beach", "at the bottom of the well", "in the attic",
    "beside the road", "between two rocks", "under the bridge", "in an old chest", "on the kitchen table", "near the pond",
]  # fmt: skip
TIMES = ["morning", "afternoon", "evening", "day", "night"]
WEATHERS = "sunny rainy windy cold warm foggy snowy cloudy quiet bright".split()
HOBBIES = [
    "climb trees", "count the stars", "read by the fire", "bake bread", "swim in the river", "paint pictures", "look for shells",
    "sing to the birds", "run in the fields", "plant seeds", "tell long stories", "build little houses", "watch the clouds", "fish",
]  # fmt: skip
WATERS = ["the river", "the pond", "a muddy ditch", "the sea", "the old well", "a cold stream"]
HELPERS = [
    "the baker",
    "the old miller",
    "a wise crow",
    "the neighbour",
    "a friendly sailor",
    "the teacher",
    "a passing farmer",
    "the gardener",
]
OPENINGS = [
    "Once upon a time, {a_trait} {animal} named {name} lived {place}.",
    "{name} was {a_trait} {animal} who lived {place}.",
    "Long ago, {place}, there lived {a_trait} {animal} called {name}.",
    "There was once {a_trait} {animal} named {name}, who lived {place}.",
    "{A_trait} and {trait2} {animal} named {name} lived {place}.",
]
HABITS = [
    "Every {time}, {name} liked to {hobby}.",
    "{name} loved to {hobby} and to {hobby2}.",
    "When it was {weather}, {name} would {hobby}.",
    "The {animal} liked nothing better than to {hobby}.",
    "Most of all, {name} liked to {hobby} with {helper}.",
]
FINDINGS = [
    "One {weather} {time}, {name} found {a_thing} {spot}.",
    "One {time}, there was {a_thing} {spot}, and {name} picked it up.",
    "On a {weather} {time}, {helper} gave {name} {a_thing}.",
    "{name} dreamed of {a_thing}, and one {time} it was there, {spot}.",
    "One {weather} {time}, {name} saw {a_thing} {spot}.",
]
DETAILS = [
    "The {thing} was {colour} and {look}.",
    "It was the most {look} {thing} that {name} had ever seen.",
    "Nobody knew where the {colour} {thing} came from.",
    "{name} carried the {look} {thing} home with great care.",
    "The {thing} shone {colour} in the light.",
]
TROUBLES = [
    "But {a_trait} {animal2} took the {thing} and ran away.",
    "Then the {weather} wind blew the {thing} into {water}.",
    "But {name} tripped {spot}, and the {thing} fell into {water}.",
    "Then it began to rain {place}, and {name} could not find the {thing}.",
    "But {helper} said that the {thing} was not for {an_animal}.",
    "Then a terrible storm came, and the {thing} rolled into {water}.",
]
EFFORTS = [
    "{name} asked {helper} for help, and they looked {spot}.",
    "{name} searched {spot} until {time}.",
    "With the help of {helper}, {name} looked {spot} and everywhere else.",
    "{name} sat down {spot} and thought for a long time.",
    "So {name} followed the path to {helper} and told the whole story.",
]
ENDINGS: dict[Mood, list[str]] = {
    "happy": [
        "In the end {name} had the {thing} again, and everybody was happy.",
        "{name} laughed and danced with the {thing} until {time}.",
        "They found it together, and {name} smiled all the way home.",
        "{name} hugged {helper}, and they were friends from that {time} on.",
        "At last all was well, and {name} was glad and proud.",
        "The whole village cheered, and {name} sang a joyful song.",
        "{name} shared the {thing} with {helper}, and both were delighted.",
    ],
    "sad": [
        "But the {thing} was gone, and {name} cried alone.",
        "{name} never saw the {thing} again and was very sad.",
        "The {thing} was broken, and {name} went home in tears.",
        "Nobody came to help, and {name} was lonely and afraid.",
        "{name} sighed, for the {thing} was lost in the dark.",
        "It was too late, and {name} wept {spot}.",
        "So {name} sat in the empty house, gloomy and alone.",
    ],
    "open": [
        "{name} put the {thing} on the shelf and went to bed.",
        "The next {time}, {name} went back to work as before.",
        "{name} is still looking at the {thing} today.",
        "Then {name} walked home from {helper} and made some tea.",
        "And the {colour} {thing} stayed {spot}.",
        "{name} told {helper} about it the next {time}.",
        "After that, {name} went to {hobby}.",
    ],
}
REQUESTS = [
    "Tell me a story about {name} and {a_thing}.",
    "Write a short story about {name} and {a_thing}.",
    "Please tell a story with {name} and {a_thing} in it.",
    "I would like a story about {a_thing} and {name}.",
    "Can you tell me about {name} and {a_thing}?",
    "A story about {a_thing} and someone named {name}, please.",
    "What happened to {name} and {a_thing}?",
    "Make up a tale about {name}, who has {a_thing}.",
]


@dataclass(frozen=True)
class Wish:
    """What a story is to contain."""

    name: str
    thing: str
    mood: Mood


def article(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def draw_wish(rng: random.Random, happy: float = 0.4, sad: float = 0.35) -> Wish:
    """A hero, a thing and a mood, at random."""
    mood: Mood = rng.choices(["happy", "sad", "open"], [happy, sad, 1 - happy - sad])[0]  # type: ignore[assignment]
    return Wish(rng.choice(NAMES), rng.choice(THINGS), mood)


def request(rng: random.Random, name: str, thing: str) -> str:
    """One of the ways to ask for a story."""
    return rng.choice(REQUESTS).format(name=name, a_thing=article(thing))


def story(rng: random.Random, wish: Wish, *, ends: bool = True) -> str:
    """One story; `ends=False` leaves it without its closing words, cut after a sentence."""
    fixed = {
        "animal": rng.choice(ANIMALS),
        "place": rng.choice(PLACES),
        "colour": rng.choice(COLOURS),
    }
    plan = [rng.choice(OPENINGS)]
    if rng.random() < 0.5:
        plan.append(rng.choice(HABITS))
    plan.append(rng.choice(FINDINGS))
    if rng.random() < 0.5:
        plan.append(rng.choice(DETAILS))
    plan.append(rng.choice(TROUBLES))
    if rng.random() < 0.5:
        plan.append(rng.choice(EFFORTS))
    plan.append(rng.choice(ENDINGS[wish.mood]))
    sentences = [_fill(rng, template, wish, fixed) for template in plan]
    if not ends:
        return " ".join(sentences[:-1])
    return " ".join([*sentences, ENDING])


def _fill(rng: random.Random, template: str, wish: Wish, fixed: dict[str, str]) -> str:
    trait, time = rng.choice(TRAITS), rng.choice(TIMES)
    weather = rng.choice([w for w in WEATHERS if time != "night" or w not in {"sunny", "bright"}])
    slots = {
        "name": wish.name, "thing": wish.thing, "a_thing": article(wish.thing), "animal": fixed["animal"], "place": fixed["place"],
        "an_animal": article(fixed["animal"]), "a_trait": article(trait), "A_trait": article(trait).capitalize(),
        "trait2": rng.choice(TRAITS), "animal2": rng.choice(ANIMALS), "time": time, "weather": weather,
        "hobby": rng.choice(HOBBIES), "hobby2": rng.choice(HOBBIES), "helper": rng.choice(HELPERS), "spot": rng.choice(SPOTS),
        "look": rng.choice(LOOKS), "water": rng.choice(WATERS), "colour": fixed["colour"],
    }  # fmt: skip
    return template.format(**slots)


def document(rng: random.Random) -> str:
    """One document of the pretraining corpus: a story, in half of the cases after a request for it.

    The requests of the corpus are followed loosely (the thing is another one in a third of the documents), so that the base
    model knows what stories and requests look like, and following them well is left to be learned.
    """
    wish = draw_wish(rng)
    text = story(rng, wish)
    if rng.random() < 0.5:
        return text
    thing = wish.thing if rng.random() < 0.67 else rng.choice(THINGS)
    return f"{request(rng, wish.name, thing)}\n\n{text}"


def demonstration(rng: random.Random, name: str, thing: str) -> str:
    """A story as an ordinary writer gives it: mostly about what was asked for, less often with a happy ending."""
    wish = draw_wish(rng, happy=0.32, sad=0.38)
    return story(
        rng,
        Wish(name if rng.random() < 0.92 else wish.name, thing if rng.random() < 0.8 else wish.thing, wish.mood),
        ends=rng.random() < 0.8,
    )
