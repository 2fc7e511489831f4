"""The playground's verbs with a real decoding worker on a real model, over a real workspace."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workbench.domain.decoding import Beam, Contrastive, ContrastiveSearch, Greedy, Sample
from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.judgement import Ranking
from workbench.domain.text import Candidate, Prompt
from workbench.services.views import Column, ColumnNews
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.usefixtures("all_warm")

ONCE = Prompt.from_text("Once upon a time", raw=True)
SHORT = Sample(max_new_tokens=12, seed=3)
# Many seconds long: sampling so many tokens of this model takes less time than it takes to stop it.
LONG = ContrastiveSearch(max_new_tokens=450, top_k=64)


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Workbench]:
    folder = tmp_path_factory.mktemp("playing") / "workspace"
    with Workbench.open(folder, create=True) as opened:
        opened.models.add_folder(shared / "models" / "stories260K", "stories")
        yield opened


def follow(bench: Workbench, until: Callable[[list[ColumnNews]], bool]) -> list[ColumnNews]:
    heard: list[ColumnNews] = []
    end = time.monotonic() + 120
    while not until(heard) and time.monotonic() < end:
        heard += bench.playground.poll()
        time.sleep(0.01)
    assert until(heard), heard
    return heard


def all_done(columns: int) -> Callable[[list[ColumnNews]], bool]:
    return lambda heard: sum(n.done for n in heard) == columns


def test_that_a_round_tells_its_tokens_and_its_end(playing: Workbench) -> None:
    playing.playground.start(ONCE, [Column("stories", SHORT), Column("stories", Beam(max_new_tokens=8, num_beams=2))])
    heard = follow(playing, all_done(2))
    for column in (0, 1):
        mine = [n for n in heard if n.column == column]
        text = "".join(t.text for n in mine for t in n.tokens)
        assert mine[-1].text == text and mine[-1].reason == "length" and not mine[-1].stopped
        assert mine[-1].completion == text.removeprefix(" ")
        assert mine[-1].numbers["tokens"] == sum(len(n.tokens) for n in mine)


def test_that_every_strategy_tells_what_it_looked_at(playing: Workbench, shared: Path) -> None:
    settings = [
        Contrastive(amateur="stories", max_new_tokens=5, amateur_sees_prompt=False),
        Contrastive(amateur=str(shared / "models" / "stories260K"), max_new_tokens=5),
        ContrastiveSearch(max_new_tokens=5),
        Beam(max_new_tokens=5, num_beams=4, num_groups=2, diversity_penalty=1.0, num_return=3),
        Contrastive(max_new_tokens=5),
    ]
    playing.playground.start(ONCE, [Column("stories", one) for one in settings])
    heard = follow(playing, all_done(5))
    columns = [[n for n in heard if n.column == number] for number in range(5)]
    tokens = [[t for n in column for t in n.tokens] for column in columns]
    assert all(t.contrast is not None and t.contrast.options[0].text for text in tokens[:2] for t in text)
    assert [t.id for t in tokens[1]] == [t.alternatives[0].id for t in tokens[1]], (
        "its own amateur: the expert's favourite"
    )
    assert all(t.search is not None and t.search.options[0].text for t in tokens[2])
    levels = [aside for n in columns[3] for aside in n.asides]
    assert [level.step for level in levels] == [1, 2, 3, 4, 5]
    assert {node.group for level in levels for node in level.nodes} == {0, 1}
    assert len(columns[3][-1].others) == 2
    assert "needs an amateur" in columns[4][-1].error_what


def test_that_a_new_round_ends_the_old_one_and_silences_it(playing: Workbench) -> None:
    endless = Column("stories", LONG)
    playing.playground.start(ONCE, [endless, endless])
    follow(playing, lambda heard: any(n.tokens for n in heard))
    playing.playground.start(ONCE, [Column("stories", SHORT)])
    heard = follow(playing, all_done(1))
    assert {n.column for n in heard} == {0}
    assert heard[-1].numbers["tokens"] <= 12


def test_that_stop_ends_the_round(playing: Workbench) -> None:
    playing.playground.start(ONCE, [Column("stories", LONG)])
    follow(playing, lambda heard: any(n.tokens for n in heard))
    playing.playground.stop()
    assert follow(playing, all_done(1))[-1].stopped


def told(heard: list[ColumnNews], column: int) -> list[int]:
    return [t.id for n in heard if n.column == column for t in n.tokens]


def test_that_going_on_says_what_would_have_been_said_without_the_stop(playing: Workbench) -> None:
    whole = [Column("stories", SHORT), Column("stories", Greedy(max_new_tokens=12))]
    playing.playground.start(ONCE, whole)
    heard = follow(playing, all_done(2))
    ends = [next(n for n in heard if n.column == place and n.done) for place in (0, 1)]
    begun = [Column(c.model, c.settings, tuple(told(heard, place)[:5])) for place, c in enumerate(whole)]
    playing.playground.start(ONCE, begun[::-1], places=(1, 0))
    rest = follow(playing, all_done(2))
    for place in (0, 1):
        assert told(rest, place) == told(heard, place)[5:]
        end = next(n for n in rest if n.column == place and n.done)
        assert (end.text, end.completion) == (ends[place].text, ends[place].completion)
        said = [
            [(t.text, t.start, t.end) for n in news if n.column == place for t in n.tokens] for news in (heard, rest)
        ]
        assert said[1] == said[0][5:], "offsets go on behind what was there"


def test_that_what_is_stopped_after_going_on_has_its_beginning(playing: Workbench) -> None:
    playing.playground.start(ONCE, [Column("stories", Greedy(max_new_tokens=3))])
    beginning = follow(playing, all_done(1))
    ids = tuple(told(beginning, 0))
    playing.playground.start(ONCE, [Column("stories", LONG, ids)])
    heard = follow(playing, lambda heard: any(n.tokens for n in heard))
    playing.playground.stop()
    heard += follow(playing, all_done(1))
    end = heard[-1]
    assert (
        end.reason == "stopped" and end.text.startswith(beginning[-1].text) and len(end.text) > len(beginning[-1].text)
    )
    assert end.completion == end.text.removeprefix(" ")


def test_that_every_answer_begins_as_it_is_told_to(playing: Workbench) -> None:
    playing.playground.start(ONCE, [Column("stories", Greedy(max_new_tokens=6))], prefill=" there was a dragon")
    end = follow(playing, all_done(1))[-1]
    assert end.completion == f" there was a dragon{end.text}" and end.text


def test_that_the_page_can_show_what_a_model_reads(playing: Workbench) -> None:
    raw = playing.playground.reading("stories", ONCE)
    assert "".join(piece for _, piece in raw).endswith("Once upon a time")
    chat = playing.playground.reading("stories", Prompt.from_text("Hello there"), "Well")
    words = "".join(piece for _, piece in chat)
    assert "Human:" in words and words.endswith("Well"), "without a template, turns are plain lines"


def test_that_generate_and_score_belong_together(playing: Workbench) -> None:
    prompts = [ONCE, Prompt.from_text("The dog", raw=True)]
    texts = playing.playground.generate("stories", prompts, SHORT)
    assert texts == playing.playground.generate("stories", prompts, SHORT)
    scored = playing.playground.score("stories", list(zip(prompts, texts, strict=True)))
    worse = playing.playground.score("stories", [(ONCE, "zzz qqq xxx jjj")])
    for one in scored:
        assert one.logprob == pytest.approx(sum(one.each)) and one.tokens == len(one.each)
    assert scored[0].logprob / scored[0].tokens > worse[0].logprob / worse[0].tokens
    assert playing.playground.generate("stories", [], SHORT) == []
    assert playing.playground.score("stories", []) == [] and playing.playground.reward("stories", []) == []


def test_that_generation_can_be_cancelled_by_its_progress(playing: Workbench) -> None:
    with pytest.raises(Conflict, match="stopped"):
        playing.playground.generate("stories", [ONCE] * 200, SHORT, lambda done, total: False)


def test_that_a_model_can_be_a_folder_and_a_wrong_name_is_told(playing: Workbench, shared: Path) -> None:
    folder = str(shared / "models" / "stories260K")
    assert len(playing.playground.generate(folder, [ONCE], Greedy(max_new_tokens=3))) == 1
    with pytest.raises(NotFound):
        playing.playground.start(ONCE, [Column("nobody", Greedy())])
    with pytest.raises(BadInput, match="not a reward model"):
        playing.playground.reward("stories", [(ONCE, "text")])


def test_that_an_empty_prompt_and_too_many_columns_are_refused(playing: Workbench) -> None:
    with pytest.raises(BadInput, match="empty"):
        playing.playground.start(Prompt.from_text("  "), [Column("stories", SHORT)])
    for count in (0, 7):
        with pytest.raises(BadInput, match="1 to 6"):
            playing.playground.start(ONCE, [Column("stories", SHORT)] * count)


def candidates(count: int = 2) -> list[Candidate]:
    return [Candidate(text=f"text {n}", model="stories", settings=SHORT, seed=3) for n in range(count)]


def test_that_a_vote_is_a_label_with_the_settings_of_its_texts(bench: Workbench) -> None:
    said = bench.playground.vote("votes", ONCE, candidates(3), ranking=Ranking(tiers=((1,), (0, 2))), milliseconds=1234)
    assert said.annotator == bench.settings.get().annotator and said.milliseconds == 1234
    assert bench.labelling.judgements("votes") == [said]
    assert bench.datasets.get("votes").judged == 1
    bench.playground.vote("votes", ONCE, candidates(2), outcome="all_bad")
    assert bench.datasets.get("votes").rows == 2
    with pytest.raises(BadInput):
        bench.playground.vote("votes", ONCE, candidates(2), ranking=Ranking(tiers=((0,), (1,), (2,))))
    assert bench.datasets.get("votes").rows == 2, "a wrong vote leaves no item behind"


def test_that_texts_sent_to_ranking_are_the_next_item_and_keep_their_making(bench: Workbench) -> None:
    made = bench.playground.send_to_ranking("later", ONCE, candidates())
    presentation, progress = bench.labelling.start("later")
    assert presentation is not None and presentation.item.id == made and progress.total == 1
    assert presentation.item.candidates[0].settings == SHORT and presentation.item.candidates[0].seed == 3
    with pytest.raises(BadInput, match="two to nine"):
        bench.playground.send_to_ranking("later", ONCE, candidates(1))


def test_that_presets_are_kept_replaced_and_forgotten(bench: Workbench) -> None:
    columns = [Column("a", Greedy()), Column("b", Beam(num_beams=2, early_stopping="never"))]
    bench.playground.save_preset(" two ", columns)
    bench.playground.save_preset("one", columns[:1])
    assert [(p.name, list(p.columns)) for p in bench.playground.presets()] == [("one", columns[:1]), ("two", columns)]
    bench.playground.save_preset("two", columns[1:])
    bench.playground.delete_preset("one")
    bench.playground.delete_preset("nothing")
    assert [(p.name, list(p.columns)) for p in bench.playground.presets()] == [("two", columns[1:])]
    assert bench.settings.get() == bench.settings.get(), "presets don't disturb the settings"
    with pytest.raises(BadInput, match="name"):
        bench.playground.save_preset("  ", columns)


def test_that_columns_can_be_looked_into_by_their_place(playing: Workbench) -> None:
    playground, settings = playing.playground, Sample(max_new_tokens=10, seed=3, top_p=0.9)
    playground.start(ONCE, [Column("stories", Greedy(max_new_tokens=8)), Column("stories", settings)])
    heard = follow(playing, all_done(2))
    tokens = [[t for n in heard if n.column == place for t in n.tokens] for place in (0, 1)]
    found = playground.distribute(1, 4, settings)
    assert (found.chosen, found.changed) == (tokens[1][4].id, None)
    assert [stage.rule for stage in found.stages] == ["model", "top_p"]
    assert playground.distribute(0, 4, Greedy(no_repeat_ngram=1)).chosen >= 0
    # One column goes on; the others are still there.
    start = tuple(t.id for t in tokens[1][:6])
    playground.start(ONCE, [Column("stories", settings, start=start)], places=[1])
    heard = follow(playing, all_done(1))
    assert [t.id for n in heard for t in n.tokens] == [t.id for t in tokens[1][6:]]
    assert playground.distribute(1, 4, settings).chosen == found.chosen
    assert playground.distribute(0, 4, Greedy()).chosen == tokens[0][4].id
    with pytest.raises(BadInput, match="isn't kept"):
        playground.distribute(5, 0, settings)


def test_that_texts_are_told_under_two_models(playing: Workbench) -> None:
    playground = playing.playground
    assert playground.align("stories", "stories", []) == []
    rows = playground.align("stories", "stories", [(ONCE, " there was a dog.")])
    scored = playground.score("stories", [(ONCE, " there was a dog.")])[0]
    assert [token.logprob for token in rows[0]] == pytest.approx(scored.each, abs=1e-3)
    assert all(token.kl == 0 for token in rows[0])


def test_that_memory_tells_what_is_loaded_and_a_killed_worker_comes_back(playing: Workbench) -> None:
    playground = playing.playground
    playground.start(ONCE, [Column("stories", SHORT)])
    before = [t.id for n in follow(playing, all_done(1)) for t in n.tokens]
    memory = playground.memory()
    assert [(one.name, Path(one.folder).name, one.role) for one in memory.models] == [
        ("stories", "stories260K", "policy")
    ]
    assert 0 < memory.used <= memory.budget
    playground.free("stories")
    end = time.monotonic() + 30
    while playground.memory().models and time.monotonic() < end:
        time.sleep(0.01)
    assert playground.memory().models == ()
    playground.start(ONCE, [Column("stories", LONG)])
    follow(playing, lambda heard: any(n.tokens for n in heard))
    pid = playground._decoder.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    lost = follow(playing, all_done(1))[-1]
    assert "SIGKILL" in lost.error_what and lost.error_hint
    assert playground.memory().models == ()
    playground.start(ONCE, [Column("stories", SHORT)])
    assert [t.id for n in follow(playing, all_done(1)) for t in n.tokens] == before
