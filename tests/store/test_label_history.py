"""Judging, undoing and redoing in any order, by two people, against a model that keeps lists."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from workbench.domain.errors import Conflict
from workbench.domain.judgement import Item, Judgement, Ranking
from workbench.domain.text import Candidate, Prompt
from workbench.store.filling import NewRow
from workbench.store.store import Store, open_store

PEOPLE = ("ann", "ben")
ITEMS = 4
people = st.sampled_from(PEOPLE)


def make_item(number: int) -> Item:
    return Item(
        id=f"i{number}", prompt=Prompt.from_text(f"q{number}"), candidates=(Candidate(text="a"), Candidate(text="b"))
    )


class Labelling(RuleBasedStateMachine):
    """The store beside two stacks for each person: what counts, and what can be redone."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = self._opened()
        self.store.datasets.create("pairs", "preferences")
        self.store.datasets.append("pairs", [NewRow((make_item(n), [])) for n in range(ITEMS)])
        self.done: dict[str, list[Judgement]] = {p: [] for p in PEOPLE}
        self.undone: dict[str, list[Judgement]] = {p: [] for p in PEOPLE}
        self.said = 0

    def _opened(self) -> Store:
        return open_store(Path(self.folder.name) / "workspace")

    @rule(who=people, number=st.integers(0, ITEMS - 1), better=st.integers(0, 1))
    def judge(self, who: str, number: int, better: int) -> None:
        self.said += 1
        ranking = Ranking(tiers=((better,), (1 - better,)))
        judgement = Judgement(
            id=f"j{self.said}", item=f"i{number}", annotator=who, outcome="ranked", ranking=ranking, shown=(0, 1),
            shown_seed=1, milliseconds=5, created=datetime.now(UTC),
        )  # fmt: skip
        self.store.labels.add(judgement, "pairs")
        self.done[who].append(judgement)
        self.undone[who].clear()

    @rule(who=people)
    def undo(self, who: str) -> None:
        if not self.done[who]:
            with pytest.raises(Conflict):
                self.store.labels.undo("pairs", who)
            return
        judgement = self.done[who].pop()
        assert self.store.labels.undo("pairs", who) == judgement
        self.undone[who].append(judgement)

    @rule(who=people)
    def redo(self, who: str) -> None:
        if not self.undone[who]:
            with pytest.raises(Conflict):
                self.store.labels.redo("pairs", who)
            return
        judgement = self.undone[who].pop()
        assert self.store.labels.redo("pairs", who) == judgement
        self.done[who].append(judgement)

    @rule()
    def close_and_open(self) -> None:
        self.store.close()
        self.store = self._opened()

    @invariant()
    def the_newest_verdict_of_each_person_counts(self) -> None:
        counting = {(j.item, j.annotator): j for p in PEOPLE for j in self.done[p]}
        found = self.store.labels.current("pairs")
        assert {(j.item, j.annotator): j for j in found} == counting
        assert len(found) == len(counting)

    @invariant()
    def progress_and_queue_follow(self) -> None:
        for who in PEOPLE:
            judged = {j.item for j in self.done[who]}
            progress = self.store.labels.progress("pairs", who)
            assert (progress.judged, progress.total) == (len(judged), ITEMS)
            assert (progress.can_undo, progress.can_redo) == (bool(self.done[who]), bool(self.undone[who]))
            waiting = self.store.labels.next_unjudged("pairs", who, limit=ITEMS)
            assert [p.item.id for p in waiting] == [f"i{n}" for n in range(ITEMS) if f"i{n}" not in judged]
        everything = {j.item for p in PEOPLE for j in self.done[p]}
        assert self.store.datasets.get("pairs").judged == len(everything)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestLabelling = Labelling.TestCase
TestLabelling.settings = settings(
    max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
