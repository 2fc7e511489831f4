"""The house numbers that are hard: no long file, no long function, no long class, nothing unfinished."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(p for p in (ROOT / "workbench").rglob("*.py") if "versions" not in p.parts)
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n") + 1


@pytest.mark.parametrize("path", CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_that_no_file_function_or_class_is_too_long(path: Path) -> None:
    assert lines(path) <= 500
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            limit = 120 if "recipes" in path.parts and node.name == "run" else 80
            assert node.end_lineno - node.lineno + 1 <= limit, f"{node.name} is longer than {limit} lines"
        if isinstance(node, ast.ClassDef):
            assert node.end_lineno - node.lineno + 1 <= 250, f"class {node.name} is longer than 250 lines"


def test_that_every_module_says_what_it_is_for() -> None:
    silent = [str(p.relative_to(ROOT)) for p in CODE if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]
    assert not silent


@pytest.mark.parametrize("path", [*CODE, *TESTS], ids=lambda p: str(p.relative_to(ROOT)))
def test_that_no_unfinished_work_is_left_in_the_code(path: Path) -> None:
    if path != Path(__file__):
        assert not any(word in path.read_text(encoding="utf-8") for word in ("TODO", "FIXME", "XXX"))
