"""Law 5: columns of one model are rows of one batch with common random numbers, and each is what it is alone."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.domain.choices import TokenChoice
from workbench.domain.decoding import Beam, Greedy, Sample
from workbench.domain.errors import BadInput
from workbench.engine.decoding import measure, telling
from workbench.engine.decoding.columns import Columns, joinable
from workbench.engine.decoding.decode import ColumnTask, decode, decode_columns
from workbench.engine.decoding.general import General
from workbench.engine.decoding.measure import Noted, measured
from workbench.engine.decoding.naming import choice
from workbench.engine.decoding.task import Task
from workbench.engine.decoding.telling import Ending, Told
from workbench.engine.decoding.voice import Voice

ONCE = "Once upon a time"
SIX: list[Greedy | Sample] = [
    Greedy(max_new_tokens=30),
    Sample(max_new_tokens=30, seed=3),
    Sample(max_new_tokens=12, seed=3, temperature=0.7, top_p=0.9),
    Sample(max_new_tokens=30, seed=4, temperature=1.4, mirostat_tau=2.0),
    Greedy(max_new_tokens=30, repetition_penalty=1.5, no_repeat_ngram=2),
    Sample(max_new_tokens=30, seed=3, top_k=5, stop=("the",)),
]


def together(voice: Voice, columns: list[ColumnTask]) -> tuple[list[list[TokenChoice]], list[Ending]]:
    """Every column in turn, one step at a time, to its end."""
    steps, _ = decode_columns(voice, columns)
    said: list[list[TokenChoice]] = [[] for _ in steps]
    endings: dict[int, Ending] = {}
    while len(endings) < len(steps):
        for number, one in enumerate(steps):
            if number in endings:
                continue
            try:
                told = next(one)
            except StopIteration as ended:
                endings[number] = ended.value
            else:
                said[number] += [choice(voice.pieces, one) for one in told] if isinstance(told, list) else []
    return said, [endings[number] for number in range(len(steps))]


def alone(voice: Voice, column: ColumnTask) -> tuple[list[TokenChoice], Ending]:
    steps = decode(voice, column.prompt, column.settings, start=column.start)
    said = []
    while True:
        try:
            told = next(steps)
        except StopIteration as ended:
            return said, ended.value
        if isinstance(told, TokenChoice):
            said.append(told)


def prompt_of(voice: Voice, text: str = ONCE) -> list[int]:
    ids: list[int] = voice.tokenizer(text)["input_ids"]
    return ids


def test_that_six_columns_at_once_are_what_each_is_alone(stories: Voice) -> None:
    columns = [ColumnTask(prompt_of(stories), settings) for settings in SIX]
    said, endings = together(stories, columns)
    for column, told, ending in zip(columns, said, endings, strict=True):
        expected, end = alone(stories, column)
        assert ending == end
        assert [(c.id, c.text, c.start, c.rank, c.kept) for c in told] == [
            (c.id, c.text, c.start, c.rank, c.kept) for c in expected
        ]
        for one, other in zip(told, expected, strict=True):
            assert one.p_used == pytest.approx(other.p_used, abs=1e-4)
            assert [a.cut_by for a in one.alternatives[:5]] == [a.cut_by for a in other.alternatives[:5]]
            assert (one.mirostat is None) == (other.mirostat is None)


def test_that_the_order_of_columns_changes_nothing(stories: Voice) -> None:
    """In the batch they stand by their rules: greedy ones first, equal rules together."""
    columns = [ColumnTask(prompt_of(stories), settings) for settings in SIX]
    order = [3, 0, 5, 1, 4, 2, 1, 0]
    said, endings = together(stories, columns)
    mixed, mixed_endings = together(stories, [columns[number] for number in order])
    for number, told, ending in zip(order, mixed, mixed_endings, strict=True):
        assert ([c.id for c in told], ending) == ([c.id for c in said[number]], endings[number])


def test_that_statistics_of_all_columns_are_taken_at_once(stories: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    plain = measure.measure

    def counted(look: Any, rows: Any, ids: Any) -> Any:
        sizes.append(len(rows))
        return plain(look, rows, ids)

    monkeypatch.setattr(measure, "measure", counted)
    monkeypatch.setattr(telling, "TOGETHER", 1e6)
    columns = [ColumnTask(prompt_of(stories), one.model_copy(update={"max_new_tokens": 9})) for one in SIX[:5]]
    said, _ = together(stories, columns)
    assert sizes == [5, 40], "the first tokens at once, all others at the end"
    assert [len(told) for told in said] == [9] * 5


def test_that_seconds_for_all_hold_the_statistics(stories: Voice) -> None:
    steps, columns = decode_columns(stories, [ColumnTask(prompt_of(stories), one) for one in SIX[:2]])
    next(steps[0])
    assert columns._unmeasured.seconds > 0
    assert columns.seconds == columns._seconds + columns._unmeasured.seconds


def test_that_columns_with_a_start_or_another_prompt_stand_beside_the_others(stories: Voice) -> None:
    first, _ = alone(stories, ColumnTask(prompt_of(stories), SIX[1]))
    ids = tuple(choice.id for choice in first)
    columns = [
        ColumnTask(prompt_of(stories), SIX[1], ids[:7]),
        ColumnTask(prompt_of(stories, "Lily and Tom wanted to play in the park."), SIX[1]),
        ColumnTask(prompt_of(stories), SIX[1], ids),  # nothing is left to say
        ColumnTask(prompt_of(stories), SIX[0]),
    ]
    said, endings = together(stories, columns)
    for column, told, ending in zip(columns, said, endings, strict=True):
        expected, end = alone(stories, column)
        assert ([c.id for c in told], ending) == ([c.id for c in expected], end)
    assert [c.id for c in said[0]] == list(ids[7:]) and said[2] == []


def test_that_columns_of_one_seed_have_common_random_numbers(stories: Voice) -> None:
    same = [ColumnTask(prompt_of(stories), Sample(max_new_tokens=25, seed=7)) for _ in range(3)]
    said, _ = together(stories, same)
    assert [c.id for c in said[0]] == [c.id for c in said[1]] == [c.id for c in said[2]]
    near = [ColumnTask(prompt_of(stories), Sample(max_new_tokens=25, seed=7, temperature=t)) for t in (1.0, 1.0001)]
    first, second = together(stories, near)[0]
    assert [c.id for c in first] == [c.id for c in second], "hardly another distribution, the same luck"
    other = [ColumnTask(prompt_of(stories), Sample(max_new_tokens=25, seed=8))]
    assert [c.id for c in together(stories, other)[0][0]] != [c.id for c in said[0]]


def test_that_the_model_reads_all_columns_at_once(stories: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    step = General.step

    def counted(self: General, ids: Any) -> Any:
        sizes.append(len(ids))
        return step(self, ids)

    monkeypatch.setattr(General, "step", counted)
    tasks = [
        (Task(prompt_of(stories), 10, frozenset()), settings)
        for settings in (Greedy(), Sample(seed=1), Sample(temperature=0.5))
    ]
    columns = Columns(General(stories.model), tasks)
    for _ in zip(*(columns.steps(number) for number in range(3)), strict=True):
        pass
    assert sizes == [3] * 9
    assert columns.seconds > 0


def test_that_a_column_that_is_closed_leaves_the_batch(stories: Voice) -> None:
    steps, together = decode_columns(stories, [ColumnTask(prompt_of(stories), settings) for settings in SIX[:3]])
    for one in steps:
        next(one)
    steps[0].close()
    for _ in range(3):
        next(steps[1])
        next(steps[2])
    assert together._stepper.rows == 2
    expected, _ = alone(stories, ColumnTask(prompt_of(stories), SIX[1]))
    rest = [c.id for told in steps[1] if isinstance(told, list) for c in told]
    assert rest == [c.id for c in expected][-len(rest) :]


def test_that_a_column_without_a_choice_fails_alone(stories: Voice) -> None:
    every = frozenset(range(512))
    tasks = [
        (Task(prompt_of(stories), 5, every), Greedy(min_new_tokens=3)),
        (Task(prompt_of(stories), 5, frozenset()), Greedy()),
    ]
    columns = Columns(General(stories.model), tasks)
    first, second = columns.steps(0), columns.steps(1)
    with pytest.raises(BadInput, match="forbid every token"):
        next(first)
    assert len(list(second)) == 5


def test_that_a_drawing_column_without_a_choice_fails_alone(stories: Voice) -> None:
    every = frozenset(range(512))
    settings = Sample(seed=2, max_new_tokens=5)
    tasks = [
        (Task(prompt_of(stories), 5, frozenset()), settings),
        (Task(prompt_of(stories), 5, every), settings.model_copy(update={"min_new_tokens": 3})),
    ]
    columns = Columns(General(stories.model), tasks)
    first, second = columns.steps(0), columns.steps(1)
    told = [next(first)]
    with pytest.raises(BadInput, match="forbid every token"):
        next(second)
    told += list(first)
    alone = list(Columns(General(stories.model), tasks[:1]).steps(0))
    assert [getattr(one, "id", None) for one in told] == [getattr(one, "id", None) for one in alone]


def test_which_columns_can_stand_together() -> None:
    assert joinable(Greedy()) and joinable(Sample(), (1, 2)) and joinable(Sample(mirostat_tau=3.0))
    assert not joinable(Sample(mirostat_tau=3.0), (1,)), "it has to read its past first"
    assert not joinable(Beam())


def test_that_tokens_measured_together_say_what_they_say_alone(stories: Voice) -> None:
    steps = Columns(General(stories.model), [(Task(prompt_of(stories), 9, frozenset()), SIX[2])]).steps(0)
    noted = [one for one in steps if isinstance(one, Noted)]
    assert len(noted) == 9
    for one, told in zip(noted, measured(noted), strict=True):
        assert told == measured([one])[0]


def batches(told: Told) -> list[int]:
    return [len(one) for one in told if isinstance(one, list) and one]


def test_that_a_slow_model_is_told_token_by_token_and_a_fast_one_in_pictures(
    stories: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = ColumnTask(prompt_of(stories), Greedy(max_new_tokens=12))
    monkeypatch.setattr(telling, "TOGETHER", 0.0)
    assert batches(decode_columns(stories, [column])[0][0]) == [1] * 12
    monkeypatch.setattr(telling, "TOGETHER", 1e6)
    assert batches(decode_columns(stories, [column])[0][0]) == [1, 11], "the first at once"
