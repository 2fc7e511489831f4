"""How fast our recipes are against TRL's trainers on the same work, with equal losses and no more memory (`trl/`)."""

import pytest

from tests.benchmarks.trl.table import HEAD, NEAR, compare, python_of, row
from tests.benchmarks.trl.work import CASES, Case

SLACK = 1.05  # peak memory may differ by this much from one run of the same program to the next


@pytest.mark.bench
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_that_a_recipe_is_faster_than_trl_with_equal_losses(case: Case) -> None:
    if not python_of(case).exists():
        pytest.skip(f"there is no {python_of(case)}: `make bench-trl` could not make it")
    found = compare(case)
    print(f"\n{HEAD}\n{row(found)}")
    assert found["loss"] is None or found["loss"] <= NEAR
    assert found["wall"] > 1.0
    mine, theirs = found["peak"]
    assert mine <= SLACK * theirs
