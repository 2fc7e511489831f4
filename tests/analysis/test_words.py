from hypothesis import given
from hypothesis import strategies as st

from tests.steps import steps
from workbench.analysis.words import word_differences, words


def marked(left: str, right: str) -> tuple[list[str], list[str]]:
    a, b = word_differences(left, right)
    return [left[i:j] for i, j in a], [right[i:j] for i, j in b]


def test_that_equal_texts_have_no_differences() -> None:
    assert marked("The fox ran home.", "The fox ran home.") == ([], [])


def test_that_a_changed_word_is_marked_on_both_sides() -> None:
    assert marked("The red fox ran.", "The blue fox ran.") == (["red"], ["blue"])


def test_that_neighbouring_words_are_marked_as_one_stretch() -> None:
    assert marked("He went to the big old house.", "He went to the house.") == (["big old"], [])


def test_that_marks_do_not_run_over_the_end_of_a_line() -> None:
    assert marked("same\nnew\nlines", "same") == (["new", "lines"], [])


def test_that_white_space_alone_is_no_difference() -> None:
    assert marked("a  b\n\nc", "a b c") == ([], [])


def test_that_punctuation_is_a_word_of_its_own() -> None:
    assert marked("Stop!", "Stop.") == (["!"], ["."])


def test_that_an_empty_text_differs_in_everything() -> None:
    assert marked("", "all new here") == ([], ["all new here"])


def test_that_umlauts_and_other_scripts_are_words() -> None:
    text = "Größe 東京"
    assert [text[i:j] for i, j in words(text)] == ["Größe", "東京"]


def test_that_long_texts_are_not_compared_word_by_word() -> None:
    left = " ".join(f"word{i % 97}" for i in range(3000))
    right = " ".join(f"word{i % 89}" for i in range(3000))
    assert steps(lambda: word_differences(left, right)) < 3000 * 3000 / 200


@given(st.text(max_size=200), st.text(max_size=200))
def test_that_spans_are_ordered_and_inside_their_text(left: str, right: str) -> None:
    for text, spans in zip((left, right), word_differences(left, right)):
        flat = [edge for span in spans for edge in span]
        assert flat == sorted(flat)
        assert all(0 <= i < j <= len(text) for i, j in spans)
