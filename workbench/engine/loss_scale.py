"""Loss scaling for float16, whose smallest numbers are larger than many gradients (Micikevicius et al. 2018, arXiv 1710.03740)."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.domain.errors import RunFailed

START = 2.0**16
PATIENCE = 200  # good steps after which a larger scale is tried
HOPELESS = 25  # skipped steps in a row that end the run: by then the scale has fallen by 2^25


class LossScale:
    """A power of two that losses are multiplied by before the backward pass; gradients are divided by it again, exactly.

    It halves when a gradient overflows (that step is skipped and counted) and doubles after `PATIENCE` good steps.
    """

    def __init__(self) -> None:
        self.value = START
        self.skipped = 0
        self._good = 0
        self._in_a_row = 0

    def passed(self) -> None:
        """Every gradient of a step was finite."""
        self._good, self._in_a_row = self._good + 1, 0
        if self._good == PATIENCE:
            self.value, self._good = min(self.value * 2, 2.0**24), 0

    def overflowed(self) -> None:
        """A gradient wasn't finite, and the step is skipped. Raises RunFailed when that happens again and again."""
        self.value, self._good = self.value / 2, 0
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row >= HOPELESS:
            raise RunFailed(
                f"{HOPELESS} steps in a row were skipped because gradients overflowed in float16.",
                "Resume with precision bfloat16 or float32, or with a lower learning rate.",
            )

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"value": self.value, "skipped": self.skipped, "good": self._good, "in_a_row": self._in_a_row}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on from a checkpoint's state."""
        self.value, self.skipped = float(state["value"]), int(state["skipped"])
        self._good, self._in_a_row = int(state["good"]), int(state["in_a_row"])
