"""Exports through the service and the command line: the files, and a card that tells where a model came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.domain.errors import BadInput, NotFound
from workbench.services.workbench import Workbench

pytestmark = pytest.mark.usefixtures("all_warm")


@pytest.fixture
def family(bench: Workbench, shared: Path) -> Workbench:
    folder = shared / "models" / "stories260K"
    bench.models.add_folder(folder, "base")
    bench.models.add_folder(folder, "sft", kind="sft", parents=("base",), run="sft-1")
    bench.models.add_folder(folder, "dpo", kind="dpo", parents=("sft", "gone"), synthetic=True)
    return bench


def test_that_the_card_tells_licence_lineage_and_how_it_was_trained(family: Workbench, tmp_path: Path) -> None:
    words = family.exports.card("dpo", "safetensors", "apache-2.0")
    assert words.startswith('---\nlicense: "apache-2.0"\nlibrary_name: transformers\n')
    assert 'base_model:\n- "base"\n---' in words
    lineage = words.split("## Lineage")[1]
    assert [line.split(" | ")[0] for line in lineage.splitlines() if line.startswith("| ")][2:] == [
        "| dpo",
        "| sft",
        "| base",
    ]
    assert "| sft | sft | sft-1 |" in words and "synthetic" in words and "gone" not in words
    assert "Licence: not stated" in family.exports.card("base", "gguf") and 'license: "unknown"' in family.exports.card(
        "base", "gguf"
    )


def test_that_an_export_is_written_with_its_card(family: Workbench, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    main = family.exports.export("dpo", tmp_path / "out", "gguf", licence="mit", precision="q8_0")
    assert main.suffix == ".gguf" and main.parent == tmp_path / "out" and main.read_bytes()[:4] == b"GGUF"
    assert 'license: "mit"' in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    folder = family.exports.export("dpo", tmp_path / "plain")
    assert folder == tmp_path / "plain" and (folder / "model.safetensors").exists()
    family.models.add_folder(folder, "again")
    with pytest.raises(BadInput, match="exists already"):
        family.exports.export("dpo", tmp_path / "plain")


def test_that_wrong_wishes_are_refused_before_anything_is_loaded(family: Workbench, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        family.exports.export("nobody", tmp_path / "out")
    with pytest.raises(BadInput, match="one line"):
        family.exports.export("dpo", tmp_path / "out", licence="mit\nand: more")
    with pytest.raises(BadInput, match="is no folder"):
        family.exports.export("dpo", tmp_path / "nowhere" / "out")


def test_that_headings_of_the_old_readme_go_below(family: Workbench, tmp_path: Path, shared: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    for file in (shared / "models" / "stories260K").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "README.md").write_text(
        "---\nlicense: x\n---\n# made\n```python\n# no heading\n```\n## Spec\n", encoding="utf-8"
    )
    family.models.add_folder(folder, "made")
    words = family.exports.card("made", "safetensors")
    assert "### made\n```python\n# no heading\n```\n#### Spec" in words and "license: x" not in words
