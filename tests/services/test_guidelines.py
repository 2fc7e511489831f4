"""Guidelines, drafts and profiles as the window and the command line use them."""

import json
from pathlib import Path

import pytest

from workbench.cli.main import main
from workbench.domain.errors import BadInput, Conflict, NotFound
from workbench.domain.profiles import COLOURS, free_colour
from workbench.domain.queues import Dimension
from workbench.services.guidelines import dimension
from workbench.services.workbench import Workbench


def test_that_a_version_is_signed_by_who_wrote_it(ten: Workbench) -> None:
    ten.settings.change(annotator="anna")
    written = ten.guidelines.write("pairs", "Prefer the kinder one.", [Dimension(name="harmless")])
    assert (written.version, written.author) == (1, "anna")
    assert ten.guidelines.get("pairs") == written
    assert ten.guidelines.history("pairs") == [written]


@pytest.mark.parametrize(
    ("text", "names", "what"),
    [
        ("", [], "need a text or a dimension"),
        (" \n", [], "need a text or a dimension"),
        ("x", ["harmless", "Harmless"], "same name"),
        ("x", ["Overall"], "can't be called 'overall'"),
        ("x", [f"d{n}" for n in range(9)], "9 dimensions"),
        ("x" * 200_001, [], "longer than 200,000"),
    ],
)
def test_that_guidelines_which_can_not_be_asked_are_refused(
    ten: Workbench, text: str, names: list[str], what: str
) -> None:
    with pytest.raises(BadInput, match=what):
        ten.guidelines.write("pairs", text, [dimension(name) for name in names])
    assert ten.guidelines.get("pairs") is None


def test_that_only_what_is_judged_has_guidelines(bench: Workbench) -> None:
    bench.datasets.create("asked", "prompts")
    with pytest.raises(BadInput, match="holds prompts"):
        bench.guidelines.write("asked", "x")
    with pytest.raises(NotFound):
        bench.guidelines.get("absent")
    with pytest.raises(BadInput, match="name"):
        dimension(" ")


def test_that_drafts_are_those_of_whoever_judges_now(ten: Workbench) -> None:
    ten.drafts.save("pairs", "i0", {"tiers": [[0]]})
    ten.settings.change(annotator="anna")
    assert ten.drafts.get("pairs", "i0") is None
    ten.drafts.save("pairs", "i0", {"tiers": [[1]]})
    ten.settings.change(annotator="me")
    assert ten.drafts.get("pairs", "i0") == {"tiers": [[0]]}
    ten.drafts.save("pairs", "i0", None)
    assert ten.drafts.get("pairs", "i0") is None


def test_that_whoever_judges_has_a_profile_before_one_is_made(bench: Workbench) -> None:
    (me,) = bench.profiles.list()
    assert (me.name, me.colour, me.judged) == ("me", "blue", 0)
    assert bench.profiles.current() == me


def test_that_a_profile_is_used_and_counts_what_it_has_judged(ten: Workbench) -> None:
    anna = ten.profiles.add(" anna ")
    assert (anna.name, anna.colour) == ("anna", "blue")
    ten.profiles.use("anna")
    assert ten.settings.get().annotator == "anna"
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    ten.labelling.record("pairs", shown, outcome="all_bad", milliseconds=1)
    assert [(p.name, p.colour, p.judged) for p in ten.profiles.list()] == [
        ("anna", "blue", 1),
        ("me", "orange", 0),  # who judged before without a profile finds their way back
    ]
    ten.profiles.add("ben", "sky")
    ten.profiles.use("ben")
    assert ten.profiles.current().colour == "sky"
    assert [p.name for p in ten.profiles.list()] == ["anna", "me", "ben"]


def test_that_colours_are_given_in_turn_and_all_are_used_before_one_comes_again() -> None:
    given: list[str] = []
    for _ in range(2 * len(COLOURS)):
        given.append(free_colour(given))
    assert given == [*COLOURS, *COLOURS]
    assert free_colour(["blue", "green"]) == "orange"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 81])
def test_that_a_profile_needs_a_name_that_can_be_shown(bench: Workbench, name: str) -> None:
    with pytest.raises(BadInput, match="name of at most 80"):
        bench.profiles.add(name)


def test_that_a_person_takes_no_judge_s_name(ten: Workbench) -> None:
    shown, _ = ten.labelling.start("pairs")
    assert shown is not None
    said = ten.labelling.record("pairs", shown, outcome="all_bad", milliseconds=1).judgement
    judged = said.model_copy(update={"id": "j", "annotator": "my-model", "annotator_kind": "model"})
    ten.labelling.add_judgement("pairs", judged)
    for name in ("my-model", "story_rule", "longer", "import"):
        with pytest.raises(Conflict, match=r"sign(s|ed)"):
            ten.profiles.add(name)
        with pytest.raises(Conflict):
            ten.settings.change(annotator=name)
    assert ten.settings.get().annotator == "me"
    with pytest.raises(NotFound):
        ten.profiles.use("my-model")


def test_that_a_name_is_given_once_and_colours_are_known(bench: Workbench) -> None:
    bench.profiles.add("anna")
    with pytest.raises(Conflict, match="already a profile"):
        bench.profiles.add("anna")
    with pytest.raises(BadInput, match="no colour"):
        bench.profiles.add("ben", "#ff0000")  # type: ignore[arg-type]


def test_that_the_command_writes_and_shows_guidelines(
    ten: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(ten.path)
    assert main(["label", "guidelines", place, "pairs"]) == 0
    assert "no guidelines yet" in capsys.readouterr().out
    text = tmp_path / "how.md"
    text.write_text("Prefer the kinder one.", encoding="utf-8")
    words = ["label", "guidelines", place, "pairs", "--file", str(text), "--dimension", "harmless=No harm = none."]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["text"]) == (1, "Prefer the kinder one.")
    assert document["dimensions"] == [{"name": "harmless", "description": "No harm = none."}]
    text.write_text("Prefer the truer one.", encoding="utf-8")
    assert main(["label", "guidelines", place, "pairs", "--file", str(text)]) == 0
    assert main(["label", "guidelines", place, "pairs", "--history", "--json"]) == 0
    versions = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(v["version"], len(v["dimensions"])) for v in versions] == [(1, 1), (2, 1)]
    assert main(["label", "guidelines", place, "pairs"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("version 2 by me")
    assert "harmless: No harm = none." in shown


def test_that_a_file_that_is_no_text_changes_nothing(
    ten: Workbench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "how.bin").write_bytes(b"\xff\xfe\x00")
    for file in ("how.bin", "absent.md"):
        assert main(["label", "guidelines", str(ten.path), "pairs", "--file", str(tmp_path / file)]) == 1
    assert "can't be read" in capsys.readouterr().err
    assert ten.guidelines.get("pairs") is None
