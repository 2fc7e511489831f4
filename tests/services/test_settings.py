"""Settings: kept, checked, and never half changed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.domain.errors import BadInput
from workbench.domain.settings import Settings
from workbench.services.workbench import Workbench


def test_that_a_fresh_workspace_has_the_defaults(bench: Workbench) -> None:
    assert bench.settings.get() == Settings()


def test_that_a_change_leaves_the_others_alone_and_survives_reopening(bench: Workbench) -> None:
    bench.settings.change(theme="dark", threads=3)
    bench.settings.change(annotator="ann")
    assert bench.settings.get() == Settings(theme="dark", threads=3, annotator="ann")
    path = bench.path
    bench.close()
    with Workbench.open(path) as again:
        assert again.settings.get() == Settings(theme="dark", threads=3, annotator="ann")


@pytest.mark.parametrize(
    "wrong", [{"theme": "pink"}, {"font_size": 12}, {"font_size": 25}, {"annotator": ""}, {"annotator": "x" * 81},
              {"threads": -1}, {"threads": "many"}, {"nonsense": 1}, {"raw_text": "perhaps"}],
)  # fmt: skip
def test_that_one_wrong_value_keeps_all_from_changing(bench: Workbench, wrong: dict[str, object]) -> None:
    bench.settings.change(reading_size=20)
    with pytest.raises(BadInput, match=next(iter(wrong))) as told:
        bench.settings.change(**{"theme": "light", **wrong})
    assert told.value.hint
    assert bench.settings.get() == Settings(reading_size=20)


@given(st.integers(13, 24), st.integers(13, 32), st.text(min_size=1, max_size=80))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_that_whatever_is_accepted_comes_back(bench: Workbench, font: int, reading: int, name: str) -> None:
    changed = bench.settings.change(font_size=font, reading_size=reading, annotator=name)
    assert bench.settings.get() == changed
    assert (changed.font_size, changed.reading_size, changed.annotator) == (font, reading, name)


def test_that_what_the_window_shows_needs_no_look_at_the_database(bench: Workbench) -> None:
    """A name changed in another window is seen when this one reads its settings again, not in the midst of labelling."""
    assert bench.settings.known() == bench.settings.get()
    bench.settings.change(annotator="anna")
    assert bench.settings.known().annotator == "anna"
    with Workbench.open(bench.path) as other:
        other.settings.change(annotator="bob")
    assert bench.settings.known().annotator == "anna"
    assert bench.settings.get().annotator == "bob"
    assert bench.settings.known().annotator == "bob"
