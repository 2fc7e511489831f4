"""In columns as narrow as six of them are, every number's name and every column's first setting can still be read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gui.pages.playground.scripted.conftest import ended
from workbench.domain.decoding import Beam, Sample
from workbench.gui.pages.playground.numbers import Foot
from workbench.gui.theme import Theme

NUMBERS = {
    "tokens_per_second": 186.0,
    "first_token_seconds": 0.003,
    "perplexity": 1.59,
    "logprob": -28.0,
    "distinct_2": 0.39,
}


@pytest.fixture
def foot(qtbot: Any, theme: Theme) -> Foot:
    made = Foot()
    qtbot.addWidget(made)
    made.resize(400, 120)
    made.show()
    made.add(NUMBERS)
    return made


def shown(foot: Foot) -> list[str]:
    """Names and values in the order of reading."""
    grid = foot._grid
    found = [(grid.getItemPosition(n)[:2], grid.itemAt(n).widget()) for n in range(grid.count())]  # type: ignore[misc]
    return [widget.text() for _, widget in sorted(found, key=lambda one: one[0])]


def test_that_two_numbers_share_a_line_in_the_order_of_the_table(foot: Foot) -> None:
    assert shown(foot) == "tokens/s|186|first after|3 ms|perplexity|1.59|log p|−28.0|distinct-2|0.39".split("|")
    assert foot._grid.rowCount() == 3


def test_that_names_are_brief_where_they_would_be_cut_and_not_a_pixel_before(foot: Foot) -> None:
    foot.resize(foot.needed, 120)
    assert shown(foot)[4] == "perplexity"
    foot.resize(foot.needed - 1, 120)
    assert shown(foot)[::2] == ["tok/s", "first", "ppl", "log p", "dist-2"]
    assert foot._rows[2][1].toolTip().startswith("perplexity: How many tokens"), "the whole name is told on hover"
    assert foot._rows[2][2].accessibleName() == "perplexity of column : 1.59"
    foot.resize(400, 120)
    assert shown(foot)[4] == "perplexity"


def test_that_a_longer_value_takes_the_room_of_the_names(foot: Foot) -> None:
    foot.resize(foot.needed, 120)
    foot.add({"logprob": -123456.7})
    assert shown(foot)[6:8] == ["log p", "−123456.7"] and shown(foot)[0] == "tok/s"
    foot.clear()
    assert shown(foot) == [] and foot.verdict.text() == ""


def test_that_all_numbers_of_the_narrowest_column_can_be_read(stage: Any) -> None:
    stage.columns(*(Sample(temperature=t) for t in (0.5, 0.7, 1.0, 1.2, 1.4, 2.0)))
    stage.page.resize(960, 520)
    stage.ask()
    stage.tell(*(ended(place, " a", " b") for place in range(6)))
    for card in stage.page.row.cards:
        card.show_measured({"reference": -152.3, "drift": 124.3, "self_bleu": 1.0, "reward": -1.25})
    stage.words(stage.page)
    for card in stage.page.row.cards:
        labels = [label for _, *pair in card.foot._rows for label in pair]
        cut = [label.text() for label in labels if label.width() < label.sizeHint().width()]
        assert cut == [], f"cut at {card.width()} pixels"


def test_that_a_narrow_head_still_tells_the_temperature(stage: Any) -> None:
    stage.columns(Sample(temperature=0.7, top_p=0.9), Beam(num_beams=3))
    head = stage.page.row.cards[0].head
    stage.words(stage.page)
    assert head.summary.text() == "temperature 0.7 · top-p 0.9 · 128 tokens"
    stage.columns(*[Sample(temperature=0.7, top_p=0.9)] * 6)
    stage.page.resize(960, 520)
    stage.words(stage.page)
    head = stage.page.row.cards[0].head
    assert head.summary.text() == "T 0.7 · top-p 0.9 · 128 tokens" and head.summary.cut.startswith("T 0.7")
    assert head.summary.toolTip() == "temperature 0.7 · top-p 0.9 · 128 tokens", "the whole is told on hover"
