"""No test demands seconds: a busy machine has others. Measuring is for tests/benchmarks; waiting at most so long is no demand."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = sorted(p for p in (ROOT / "tests").rglob("test_*.py") if "benchmarks" not in p.parts)
CLOCKS = {"time", "monotonic", "perf_counter", "process_time", "thread_time"}
CLOCKS |= {f"{name}_ns" for name in CLOCKS}


def reads_a_clock(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and (
        (isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "time" and node.func.attr in CLOCKS)
        or (isinstance(node.func, ast.Name) and node.func.id in CLOCKS)
    )


def durations(source: str) -> list[int]:
    """Lines in which something is taken from what a clock says, or a clock's word from something."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and (reads_a_clock(node.left) or reads_a_clock(node.right))
    ]


def test_that_no_test_measures_how_long_something_takes() -> None:
    found = {str(path.relative_to(ROOT)): durations(path.read_text(encoding="utf-8")) for path in TESTS}
    assert not {path: lines for path, lines in found.items() if lines}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a = time.monotonic()\nassert time.monotonic() - a < 2", [2]),
        ("took = end - perf_counter()", [1]),
        ("times.append(time.process_time_ns() - start)", [1]),
        ("end = time.monotonic() + 30\nwhile time.monotonic() < end: pass", []),
        ("left = clock.time() - 1", []),
        ("time.sleep(a - b)", []),
    ],
)
def test_that_a_duration_is_told_from_a_deadline(source: str, found: list[int]) -> None:
    assert durations(source) == found
