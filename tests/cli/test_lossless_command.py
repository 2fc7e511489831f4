"""`generate --check-lossless`: a model, a draft, a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.cli.generate import _in_words
from workbench.cli.main import main, make_parser
from workbench.domain.choices import LosslessCell, LosslessReport, LosslessRule

pytestmark = pytest.mark.usefixtures("all_warm")

SPECULATIVE = ("--prompt", "Once upon a time", "--raw", "--strategy", "speculative")


def rule(name: str, p: float) -> LosslessRule:
    cells = (LosslessCell(text=" a", observed=50, expected=50.0),)
    return LosslessRule(name=name, chi_square=3.0, degrees=4, p=p, acceptance=0.5, impossible=0, cells=cells)


def test_that_a_model_with_its_drafts_is_tested(
    tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = str(tmp_path / "work")
    assert main(["new", work]) == 0
    assert main(["models", "add", work, str(shared / "models" / "stories260K"), "--name", "stories"]) == 0
    capsys.readouterr()
    ask = ["generate", work, "stories", *SPECULATIVE, "--set", "temperature=0.7", "--set", "top_k=6"]
    assert main([*ask, "--set", "draft=stories", "--check-lossless", "60", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lossless"] is True
    assert (found["samples"], found["exact"]["acceptance"], len(found["wrong"])) == (60, 1.0, 3)
    assert main([*ask, "--check-lossless", "8"]) == 1
    assert "8 texts are too few" in capsys.readouterr().err
    assert main(["generate", work, "stories", "--prompt", "Hi", "--check-lossless"]) == 1
    assert "--strategy speculative" in capsys.readouterr().err


def test_that_the_verdict_is_told_with_the_power_of_the_test() -> None:
    report = LosslessReport(
        samples=60, tokens=2, exact=rule("exact", 0.4), wrong=(rule("kept", 1e-9), rule("raw", 0.3))
    )
    told = _in_words(report, lossless=True)
    assert "the rule in use: chi-square 3.0 of 4 degrees, p = 0.4, 50% of the drafts taken" in told
    assert "wrong on purpose: kept" in told
    assert "1 of 2 deliberately wrong rules were found out" in told
    assert _in_words(report, lossless=False).endswith("The texts don't have the model's distribution.")


def test_that_the_number_of_texts_may_be_left_out() -> None:
    words = ["generate", "w", "m", "--prompt", "x", "--check-lossless"]
    parsed = make_parser(words).parse_args(words)
    assert parsed.check_lossless == 2000
