"""Each family of formats, row by row: what it becomes and why a row can't be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench import formats
from workbench.domain.errors import BadInput
from workbench.domain.judgement import Ranking
from workbench.domain.text import Demonstration, Prompt, Turn
from workbench.formats import PreferenceRow, Read

USER = {"role": "user", "content": "What colour is the sky?"}
BLUE = {"role": "assistant", "content": "Blue."}
GREEN = {"role": "assistant", "content": "Green."}
ASKED = Prompt(turns=(Turn(role="user", content="What colour is the sky?"),))


def read(folder: Path, *records: dict[str, Any], format: str = "auto") -> tuple[str, list[Read]]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    found = formats.detect([path], format)
    return found.format, list(formats.read([path], found.format, found.mapping))


def trouble(folder: Path, record: dict[str, Any], format: str) -> str:
    """What the doctor says about this row when it comes after a good one."""
    _, rows = read(folder, record, format=format)
    assert rows[0].row is None
    return str(rows[0].trouble)


def preference(row: object) -> tuple[Prompt, str, str]:
    assert isinstance(row, PreferenceRow)
    assert row.ranking == Ranking(tiers=((0,), (1,)))
    return row.prompt, row.candidates[0].text, row.candidates[1].text


def test_that_a_standard_trl_pair_keeps_the_space_at_the_border(tmp_path: Path) -> None:
    name, rows = read(tmp_path, {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."})
    assert name == "trl-preference"
    assert preference(rows[0].row) == (Prompt.from_text("The sky is", raw=True), " blue.", " green.")


def test_that_a_conversational_trl_pair_becomes_turns(tmp_path: Path) -> None:
    name, rows = read(tmp_path, {"prompt": [USER], "chosen": [BLUE], "rejected": [GREEN]})
    assert name == "trl-preference"
    assert preference(rows[0].row) == (ASKED, "Blue.", "Green.")


def test_that_an_implicit_conversational_pair_is_cut_at_the_last_turn(tmp_path: Path) -> None:
    _, rows = read(tmp_path, {"chosen": [USER, BLUE], "rejected": [USER, GREEN]})
    assert preference(rows[0].row) == (ASKED, "Blue.", "Green.")


def test_that_an_implicit_standard_pair_has_an_empty_raw_prompt(tmp_path: Path) -> None:
    _, rows = read(tmp_path, {"chosen": "The sky is blue.", "rejected": "The sky is green."})
    assert preference(rows[0].row) == (Prompt.from_text("", raw=True), "The sky is blue.", "The sky is green.")


def test_that_a_prompt_repeated_inside_both_sides_is_taken_once(tmp_path: Path) -> None:
    _, rows = read(tmp_path, {"prompt": USER["content"], "chosen": [USER, BLUE], "rejected": [USER, GREEN]})
    assert preference(rows[0].row) == (ASKED, "Blue.", "Green.")


def test_that_sharegpt_names_and_single_messages_are_understood(tmp_path: Path) -> None:
    human = {"from": "human", "value": "What colour is the sky?"}
    sides = {"chosen": {"from": "gpt", "value": "Blue."}, "rejected": {"from": "gpt", "value": "Green."}}
    _, rows = read(tmp_path, {"conversations": [human], **sides})
    assert preference(rows[0].row) == (ASKED, "Blue.", "Green.")


def test_that_contents_made_of_text_parts_are_joined(tmp_path: Path) -> None:
    parts = {
        "role": "user",
        "content": [{"type": "text", "text": "What colour "}, {"type": "text", "text": "is the sky?"}],
    }
    _, rows = read(tmp_path, {"messages": [parts, BLUE]})
    assert rows[0].row == Demonstration(prompt=ASKED, completion="Blue.")


def test_that_a_system_column_becomes_the_first_turn(tmp_path: Path) -> None:
    _, rows = read(tmp_path, {"system": "Be short.", "prompt": [USER], "chosen": [BLUE], "rejected": [GREEN]})
    prompt, _, _ = preference(rows[0].row)
    assert prompt.turns == (Turn(role="system", content="Be short."), *ASKED.turns)


def test_that_margin_annotator_and_its_kind_are_read_and_other_columns_are_kept(tmp_path: Path) -> None:
    pair = {
        "prompt": "a",
        "chosen": "b",
        "rejected": "c",
        "margin": 2.0,
        "annotator": "rule-1",
        "annotator_kind": "rule",
    }
    _, rows = read(tmp_path, {**pair, "source": "web"})
    row = rows[0].row
    assert isinstance(row, PreferenceRow)
    assert (row.strength, row.annotator, row.annotator_kind, row.extra) == (2, "rule-1", "rule", {"source": "web"})


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"prompt": "a", "chosen": " \n", "rejected": "b"}, "The chosen response is empty"),
        ({"prompt": "a", "chosen": "b", "rejected": ""}, "The rejected response is empty"),
        ({"prompt": "a", "chosen": [BLUE], "rejected": []}, "The rejected response is empty"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "identical"),
        ({"prompt": "a", "chosen": "b", "rejected": None}, "'rejected' (the rejected response) is missing"),
        ({"prompt": "a", "chosen": "b", "rejected": 3}, "should be a list of messages but is a number"),
        ({"prompt": "a", "chosen": "b", "rejected": [GREEN]}, "different forms"),
        ({"prompt": 7, "chosen": "b", "rejected": "c"}, "should be a list of messages but is a number"),
        ({"chosen": [USER, BLUE], "rejected": [{**USER, "content": "?"}, GREEN]}, "do not share a prompt"),
        ({"chosen": [BLUE], "rejected": [GREEN]}, "There is no prompt"),
        ({"prompt": [USER], "chosen": [GREEN, BLUE], "rejected": [GREEN]}, "does not begin with the prompt"),
        ({"prompt": [USER], "chosen": [USER], "rejected": [GREEN]}, "ends with a 'user' turn"),
        ({"prompt": [BLUE], "chosen": [BLUE], "rejected": [GREEN]}, "should begin with a user turn"),
        ({"prompt": [USER, BLUE], "chosen": [BLUE], "rejected": [GREEN]}, "nothing to answer"),
        ({"prompt": [USER, USER], "chosen": [BLUE], "rejected": [GREEN]}, "straight after 'user'"),
        ({"prompt": [{"role": "narrator", "content": "x"}], "chosen": [BLUE], "rejected": [GREEN]}, "role 'narrator'"),
        ({"prompt": [{"content": "x"}], "chosen": [BLUE], "rejected": [GREEN]}, "has no role"),
        ({"prompt": ["x"], "chosen": [BLUE], "rejected": [GREEN]}, "should be an object but is text"),
        ({"prompt": [{**USER, "content": None}], "chosen": [BLUE], "rejected": [GREEN]}, "should have text as content"),
        ({"prompt": [{**USER, "content": [{"type": "image"}]}], "chosen": [BLUE], "rejected": [GREEN]}, "such as an image"),
        ({"prompt": [USER], "chosen": [{**BLUE, "tool_calls": [1]}], "rejected": [GREEN]}, "calls tools"),
        ({"prompt": "a", "chosen": "\ud83d", "rejected": "b"}, "half of a surrogate pair"),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "margin": "much"}, "'margin' should be a number"),
    ],
)  # fmt: skip
def test_that_the_doctor_says_why_a_preference_cannot_be_used(
    tmp_path: Path, record: dict[str, Any], says: str
) -> None:
    assert says in trouble(tmp_path, record, "trl-preference")


def test_that_prompt_and_completion_become_demonstrations(tmp_path: Path) -> None:
    name, rows = read(
        tmp_path,
        {"prompt": "The sky is", "completion": " blue."},
        {"prompt": [USER], "completion": [BLUE]},
        {"prompt": "a", "completion": ""},
        {"prompt": [USER], "completion": [BLUE, GREEN]},
        {"prompt": None, "completion": "x"},
    )
    assert name == "trl-prompt-completion"
    assert rows[0].row == Demonstration(prompt=Prompt.from_text("The sky is", raw=True), completion=" blue.")
    assert rows[1].row == Demonstration(prompt=ASKED, completion="Blue.")
    assert [r.trouble for r in rows[2:]] == [
        "The completion is empty.",
        "The completion in 'completion' has 2 turns; one answer is expected.",
        "The field 'prompt' (the prompt) is missing.",
    ]


def test_that_prompts_alone_are_raw_and_questions_are_for_a_chat(tmp_path: Path) -> None:
    assert read(tmp_path, {"prompt": "The sky is"})[1][0].row == Prompt.from_text("The sky is", raw=True)
    assert read(tmp_path, {"prompt": [USER]})[1][0].row == ASKED
    assert read(tmp_path, {"question": "What colour is the sky?"})[1][0].row == ASKED
    assert trouble(tmp_path, {"prompt": " "}, "trl-prompts") == "The prompt is empty."
    assert trouble(tmp_path, {"prompt": None}, "trl-prompts") == "The field 'prompt' (the prompt) is missing."


def test_that_texts_are_documents(tmp_path: Path) -> None:
    name, rows = read(tmp_path, {"text": "Once."}, {"text": ""}, {"text": 1})
    assert (name, rows[0].row) == ("trl-text", "Once.")
    assert [r.trouble for r in rows[1:]] == [
        "The document is empty.",
        "The field 'text' should be text but is a number.",
    ]


def test_that_rows_with_thumbs_up_or_down_are_not_taken_for_demonstrations(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no known format"):
        read(tmp_path, {"prompt": "a", "completion": "bad answer", "label": False})


def test_that_a_transcript_is_cut_at_the_last_answer_and_split_into_turns(tmp_path: Path) -> None:
    start = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Sky?\n\nAssistant:"
    name, rows = read(tmp_path, {"chosen": f"{start} Blue.", "rejected": f"{start} Green."})
    assert name == "hh-rlhf"
    prompt, chosen, rejected = preference(rows[0].row)
    assert [(t.role, t.content) for t in prompt.turns] == [("user", "Hi"), ("assistant", "Hello."), ("user", "Sky?")]
    assert (chosen, rejected, prompt.raw) == ("Blue.", "Green.", False)


def test_that_several_turns_of_one_speaker_are_joined(tmp_path: Path) -> None:
    start = "\n\nHuman: Hi\n\nHuman: Sky?\n\nAssistant:"
    _, rows = read(tmp_path, {"chosen": f"{start} Blue.", "rejected": f"{start} Green."})
    assert preference(rows[0].row)[0].turns == (Turn(role="user", content="Hi\n\nSky?"),)


@pytest.mark.parametrize(
    ("chosen", "rejected", "says"),
    [
        ("\n\nHuman: a\n\nAssistant: ", "\n\nHuman: a\n\nAssistant: b", "The chosen response is empty"),
        ("\n\nHuman: a\n\nAssistant: c", "\n\nHuman: b\n\nAssistant: d", "do not share a prompt"),
        ("\n\nHuman: a\n\nAssistant: c", "\n\nHuman: a", "The rejected transcript has no 'Assistant:' turn"),
        ("x\n\nHuman: a\n\nAssistant: c", "x\n\nHuman: a\n\nAssistant: d", "does not begin with 'Human:'"),
        ("\n\nHuman: a\n\nAssistant: b\n\nAssistant: c", "\n\nHuman: a\n\nAssistant: b\n\nAssistant: d", "nothing to answer"),
    ],
)  # fmt: skip
def test_that_the_doctor_says_why_a_transcript_pair_cannot_be_used(
    tmp_path: Path, chosen: str, rejected: str, says: str
) -> None:
    assert says in trouble(tmp_path, {"chosen": chosen, "rejected": rejected}, "hh-rlhf")


def test_that_alpaca_puts_the_input_on_the_line_after_the_instruction(tmp_path: Path) -> None:
    record = {"instruction": "Add.", "input": "1 2", "output": "3", "system": "Count.", "history": [["Hi", "Hello"]]}
    name, rows = read(tmp_path, record, {"instruction": "Say hi.", "input": "", "output": "hi"})
    assert name == "alpaca"
    assert isinstance(rows[0].row, Demonstration)
    turns = [(t.role, t.content) for t in rows[0].row.prompt.turns]
    assert turns == [("system", "Count."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Add.\n1 2")]
    assert rows[1].row == Demonstration(prompt=Prompt.from_text("Say hi."), completion="hi")


def test_that_alpaca_preferences_are_questions_for_a_chat(tmp_path: Path) -> None:
    name, rows = read(tmp_path, {"instruction": "Add.", "input": "1 2", "chosen": "3", "rejected": "4"})
    assert name == "alpaca-preference"
    assert preference(rows[0].row) == (Prompt.from_text("Add.\n1 2"), "3", "4")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"instruction": " ", "output": "x"}, "The instruction is empty"),
        ({"instruction": "a", "output": " "}, "The completion is empty"),
        ({"instruction": "a", "output": None}, "'output' (the output) is missing"),
        ({"instruction": "a", "output": ["x"]}, "should be text but is a list"),
        ({"instruction": "a", "output": "x", "history": [["only one"]]}, "list of [question, answer]"),
    ],
)
def test_that_the_doctor_says_why_an_alpaca_row_cannot_be_used(
    tmp_path: Path, record: dict[str, Any], says: str
) -> None:
    assert says in trouble(tmp_path, record, "alpaca")


def test_that_plain_text_is_split_at_blank_lines_or_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("One.\nStill one.\n\n\nTwo.\n", encoding="utf-8")
    found = formats.detect([path])
    assert (found.format, found.kind) == ("text-blocks", "documents")
    assert [(r.line, r.row) for r in formats.read([path])] == [(1, "One.\nStill one."), (5, "Two.")]
    assert [r.row for r in formats.read([path], "text")] == ["One.\nStill one.\n\n\nTwo.\n"]
    prompts = [r.row for r in formats.read([path], "prompt-lines")]
    assert prompts == [Prompt.from_text(t) for t in ("One.", "Still one.", "Two.")]


def test_that_plain_text_without_blank_lines_is_one_document(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("One.\nTwo.\n\n", encoding="utf-8")
    assert formats.detect([path]).format == "text"


def test_that_items_of_equal_content_meet_and_an_imported_label_was_never_shown(tmp_path: Path) -> None:
    pair = {"prompt": "a", "chosen": "b", "rejected": "c"}
    _, rows = read(tmp_path, {**pair, "annotator": "ann"}, {**pair, "annotator": "bob"}, {**pair, "chosen": "d"})
    domain = [r.row.to_domain() for r in rows if isinstance(r.row, PreferenceRow)]
    assert domain[0][0].id == domain[1][0].id != domain[2][0].id
    assert [said[0].annotator for _, said in domain] == ["ann", "bob", "imported"]
    assert domain[0][1][0].milliseconds == 0
    assert domain[0][1][0].id != domain[1][1][0].id
