"""Numbers that need another model, families over one text, settings, and studies of the page's columns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QWidget

from tests.gui.pages.playground.made_up import aligned, study
from tests.gui.pages.playground.scripted.conftest import Stage, ended, model
from workbench.domain.decoding import Beam, Greedy, Sample, Speculative
from workbench.domain.errors import BadInput, Conflict
from workbench.domain.runs import JobState
from workbench.gui.pages.playground.aligned import AlignedView
from workbench.gui.pages.playground.drawer import SettingsPanel
from workbench.gui.pages.playground.measuring import MeasuresPanel
from workbench.gui.pages.playground.rounds import RoundsView
from workbench.gui.pages.playground.study_panel import StudyPanel, columns_in_words
from workbench.gui.theme import Theme
from workbench.services.column_numbers import Measures, Taken
from workbench.services.views import Column


def measured(stage: Stage, *numbers: dict[str, float], trouble: tuple[str, ...] = ()) -> list[Any]:
    """Numbers are wanted from now on; returns what the service is asked."""
    asked: list[Any] = []
    stage.page.measuring.measures = Measures(reward="judge")
    stage.taken = Taken(numbers, trouble)
    service = stage.page.measuring._service
    whole = service.take
    service.take = lambda prompt, said, measures: asked.append((said, measures)) or whole(prompt, said, measures)  # type: ignore[method-assign]
    return asked


def test_that_numbers_come_below_the_columns_that_have_a_text(stage: Stage) -> None:
    stage.columns(Greedy(), Sample(), Beam())
    asked = measured(stage, {"reward": 1.5}, {"reward": -2.0})
    stage.ask()
    stage.tell(ended(0, " a", reason="end"), ended(1, error_what="Lost."), ended(2, " c", reason="length"))
    ((said, measures),) = asked
    assert [(one.column.settings.strategy, one.text, one.ended) for one in said] == [
        ("greedy", "a", True),
        ("beam", "c", False),
    ]
    assert measures.reward == "judge"
    rewards = [card.foot.numbers.get("reward") for card in stage.page.row.cards]
    assert rewards == [1.5, None, -2.0]
    assert [c.numbers.get("reward") for c in stage.rounds.list()[0].columns] == rewards, "kept with the round"


def test_that_numbers_of_another_text_are_dropped(stage: Stage) -> None:
    measured(stage, {"reward": 1.5}, {"reward": 2.5})
    stage.bridge.hold = stage.page.measuring._service.take
    stage.play([" a"], [" b"])
    stage.ask("Another")
    stage.bridge.release()
    assert all("reward" not in card.foot.numbers for card in stage.page.row.cards)


def test_that_a_number_that_cant_be_taken_is_told_and_the_others_stand(stage: Stage) -> None:
    measured(stage, {"reward": 1.5}, {}, trouble=("judge is gone. Choose another.",))
    stage.play([" a"], [" b"])
    assert stage.shell.told == [("A number couldn't be taken.", "judge is gone. Choose another.", "warning")]
    assert stage.page.row.cards[0].foot.numbers["reward"] == 1.5


def test_that_nothing_is_taken_where_nothing_is_wanted(stage: Stage) -> None:
    asked = measured(stage)
    stage.page.measuring.measures = Measures(samples=1)
    stage.play([" a"], [" b"])
    assert asked == [], "one sample is like itself"


def test_that_every_choice_of_numbers_is_told_once(qtbot: Any) -> None:
    told: list[Measures] = []
    panel = MeasuresPanel([model("judge", "reward"), model("sft")], Measures(reference="gone"), told.append)
    qtbot.addWidget(panel)
    offered = [[box.itemText(n) for n in range(box.count())] for box in (panel.reward, panel.reference)]
    assert offered == [["–", "judge"], ["–", "gone", "sft"]] and panel.reference.currentData() == "gone"
    panel.reward.setCurrentIndex(1)
    panel.samples.setValue(4)
    assert told == [Measures(reward="judge", reference="gone")], "a number is told when it stands"
    for _ in range(2):
        panel.samples.editingFinished.emit()
    assert told[1:] == [Measures(reward="judge", reference="gone", samples=4)]


def test_that_heat_shows_kl_only_for_the_tokens_that_were_said(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    row = aligned(3, 1.0)
    shifted = tuple(one.model_copy(update={"id": n}) for n, one in enumerate(row))
    monkeypatch.setattr(stage.page.measuring, "_aligned", lambda model, reference, pairs: [shifted])
    measured(stage, {}, {})
    stage.page.measuring.measures = Measures(reference="sft")
    stage.ask()
    stage.tell(ended(0, " a", " b", " c"), ended(1, " a", " b", " c", " d"))
    kl = [[card.view._kl(n) for n in range(3)] for card in stage.page.row.cards]
    assert kl == [[one.kl for one in shifted], [None] * 3], "a text that is cut otherwise shows none"


def family(stage: Stage) -> None:
    stage.models[:] = [model("base", "base"), model("sft-1"), model("sft-2"), model("dpo", "dpo")]
    stage.page.shown()
    stage.columns(Greedy(max_new_tokens=4), names=["sft-2"])


def test_that_a_family_speaks_and_is_laid_over_the_last_text(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def align(model: str, reference: str, pairs: Any) -> Any:
        asked.append((model, reference, pairs[0][1]))
        return [aligned(2, 0.5)]

    monkeypatch.setattr(stage.said, "align", align, raising=False)
    family(stage)
    stage.page.bar.prompt.setPlainText("Once")
    stage.pick("One family on this prompt")
    names = ["base", "sft-2", "dpo"]
    assert [c.model for c in stage.said.asked[0].columns] == names, (
        "the newest of each kind, in the order they are made"
    )
    assert {c.settings.max_new_tokens for c in stage.said.asked[0].columns} == {4}
    stage.tell(*(ended(n, f" {name}") for n, name in enumerate(names)))
    view = stage.page.lab.pane.content
    assert isinstance(view, AlignedView) and stage.page.lab.pane.title.text() == "C · 3 models over this text"
    assert asked == [(name, "base", "dpo") for name in names]
    stage.page.lab.close()
    stage.page.start()
    stage.tell(*(ended(n, " x") for n in range(3)))
    assert stage.page.lab.pane.content is None, "only the round that was asked for it"


def test_that_a_model_without_relatives_says_so(stage: Stage) -> None:
    stage.page.bar.prompt.setPlainText("Once")
    stage.pick("One family on this prompt")
    assert stage.notices == ["stories has no relatives here."] and stage.said.asked == []


def test_that_models_that_cant_be_laid_over_a_text_say_why(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.pick("The columns' models over one text")
    assert stage.notices == ["There is no text to compare models over."]

    def other(*_: Any) -> Any:
        raise BadInput("Their vocabularies differ.", "Choose relatives.")

    monkeypatch.setattr(stage.said, "align", other, raising=False)
    stage.play([" a"], [" b"])
    stage.pick("The columns' models over one text")
    assert stage.page.lab.pane.content.told.text() == "Their vocabularies differ. Choose relatives."  # type: ignore[union-attr]


def test_that_settings_are_edited_in_a_form_that_keeps_the_pages_seed(stage: Stage) -> None:
    stage.columns(Greedy(), Sample(temperature=0.7, seed=3))
    card = stage.page.row.cards[1]
    card.head.tune.click()
    panel = stage.page.drawer.content
    assert isinstance(panel, SettingsPanel) and stage.page.drawer.title.text() == "Column B: sample"
    panel.form.set_values(Sample(temperature=0.4, seed=99))
    panel.form.changed.emit()
    assert card.column.settings == Sample(temperature=0.4, seed=3)
    card.head.strategy.setCurrentIndex(card.head.strategy.findData("beam"))
    assert stage.page.drawer.isHidden() and card.column.settings.strategy == "beam"
    card.head.strategy.setCurrentIndex(card.head.strategy.findData("sample"))
    assert card.column.settings == Sample(temperature=0.4, seed=3), "a strategy is found again as it was left"


def test_that_a_second_model_is_another_one_where_there_is_one(stage: Stage) -> None:
    stage.models[:] = [model("weak"), model("stories")]
    stage.page.shown()
    head = stage.page.row.cards[0].head
    head.strategy.setCurrentIndex(head.strategy.findData("contrastive"))
    assert head.settings.amateur == "weak" and head.settings.max_new_tokens == 8  # type: ignore[union-attr]


def test_that_the_test_of_losslessness_is_asked_of_the_rounds_own_settings_and_can_be_stopped(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def lossless(*told: Any, progress: Any) -> Any:
        asked.append((*told, progress(5, 10)))
        raise Conflict("Decoding was stopped.", "Start it again.")

    monkeypatch.setattr(stage.said, "lossless", lossless, raising=False)
    stage.columns(Greedy(), Speculative(gamma=3))
    stage.play([" a"], [" b"])
    stage.page.row.cards[1].head.set_settings(Speculative(gamma=7))
    stage.page.lab.open(1)
    view = stage.page.lab.pane.content
    assert isinstance(view, RoundsView)
    view.test_wanted.emit(600)
    ((name, prompt, settings, samples, goes_on),) = asked
    assert (name, prompt.text, settings.gamma, samples, goes_on) == ("stories", "Once upon a time", 3, 600, True)
    view.stop_wanted.emit()
    assert "Stopped." in stage.words(view.card)


def panel_of(theme: Theme, columns: list[Column], datasets: list[Any], told: list[Any]) -> StudyPanel:
    runs = [SimpleNamespace(id="study-2", name="", state=JobState.DONE, created=model("x").created)]
    return StudyPanel(theme, columns, datasets, ["judge"], runs, told.append, told.append)  # type: ignore[arg-type]


def test_that_a_study_is_of_the_columns_as_they_stand(qtbot: Any, theme: Theme) -> None:
    told: list[Any] = []
    columns = [Column("a", Greedy(seed=2**31 + 5)), Column("b", Sample(temperature=0.5, max_new_tokens=7))]
    panel = panel_of(theme, columns, [SimpleNamespace(name="pairs", rows=1200)], told)
    qtbot.addWidget(panel)
    assert panel.data.currentText() == "pairs (1,200)"
    panel.limit.setValue(9)
    panel.samples.setValue(2)
    panel.reward.setCurrentIndex(1)
    panel.begin.click()
    (spec,) = told
    assert (spec.base, spec.data, spec.limit, spec.samples, spec.reward_model, spec.seed) == (
        "a",
        "pairs",
        9,
        2,
        "judge",
        5,
    )
    assert spec.columns == columns_in_words(columns)
    assert [line.split() for line in spec.columns.strip().splitlines()] == [
        ["a", "greedy"],
        ["b", "sample", "max_new_tokens=7", "temperature=0.5"],
    ]
    panel.show_button.click()
    assert told[1:] == ["study-2"]


def test_that_a_study_waits_for_a_dataset(qtbot: Any, theme: Theme) -> None:
    panel = panel_of(theme, [Column("a", Greedy())], [], [])
    qtbot.addWidget(panel)
    assert not panel.begin.isEnabled()


def followed(stage: Stage, state: JobState, found: Any, error: str = "") -> Any:
    """A study is opened whose run stands so and has found this much."""

    def get(run: str) -> Any:
        if found is None:
            raise Conflict("Nothing was found yet.", "Wait.")
        return found

    view = SimpleNamespace(
        id="study-1",
        name="",
        state=state,
        step=2,
        steps=5,
        phase="",
        error_what=error,
        error_hint="Look." if error else "",
    )
    services = SimpleNamespace(
        runs=SimpleNamespace(view=lambda run: view), studies=SimpleNamespace(get=get), rounds=stage.rounds
    )
    stage.page.studies._services = services  # type: ignore[assignment]
    stage.page.studies.open("study-1")
    return view


def test_that_a_study_under_way_tells_how_far_it_is_and_is_looked_at_again(stage: Stage) -> None:
    view = followed(stage, JobState.RUNNING, None)
    studies = stage.page.studies
    assert studies.sheet is not None and studies.sheet.told.text() == "study-1: running · 2 of 5 batches"
    assert studies._timer.isActive() and not studies.sheet.rank.isEnabled()
    stage.page.hidden()
    assert not studies._timer.isActive(), "out of sight nothing is looked at"
    stage.page.shown()
    assert studies._timer.isActive()
    view.state, view.step = JobState.DONE, 5
    studies._services.studies.get = lambda run: study()  # type: ignore[method-assign]
    studies._timer.timeout.emit()
    assert studies.sheet.told.text() == "study-1: done · 5 of 5 batches" and not studies._timer.isActive()
    assert studies.sheet.rank.isEnabled() and len(studies.sheet.view.study.columns) == 5


def test_that_a_study_that_failed_says_why_and_leaving_ends_the_watch(stage: Stage) -> None:
    followed(stage, JobState.RUNNING, None, error="No memory.")
    studies = stage.page.studies
    assert studies.sheet is not None and studies.sheet.told.text().endswith("· No memory. Look.")
    stage.page.lab.close()
    assert studies.sheet is None and not studies._timer.isActive()
    followed(stage, JobState.RUNNING, study())
    stage.page.lab.put(0, "Another view", QWidget())
    assert studies.sheet is None and not studies._timer.isActive()
