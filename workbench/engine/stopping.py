"""Early stopping: watches one evaluation metric, keeps the weights that were best by it, and says when to wait no longer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from workbench.domain.errors import BadInput
from workbench.domain.headlines import headline
from workbench.domain.metrics import metric
from workbench.domain.specs.kinds import TrainSpec
from workbench.engine import checkpoint
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder


class Stopper:
    """What a recipe shows its evaluations to. Its state goes into the checkpoint's `extra`; the best weights into the run folder.

    What the model was before its first step is evaluated too, for the curves, and isn't shown to it: a run that only got worse still gives
    the best of what it trained. The best weights need no checkpoint of their own: a run that goes on from an earlier step finds the same ones again.
    """

    def __init__(
        self,
        spec: TrainSpec,
        folder: RunFolder,
        report: Report,
        model: nn.Module,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = f"eval/{headline(spec.kind)}" if spec.best_by == "auto" else spec.best_by
        self._spec, self._report, self._model = spec, report, model
        self._file = folder.path / "best.safetensors"
        kept = (extra or {}).get("stopping", {})
        self._best: float | None = kept.get("best")
        self._step: int = kept.get("step", 0)
        self._measured: dict[str, float] = kept.get("measured", {})
        self._waited: int = kept.get("waited", 0)
        self._ended: bool = kept.get("ended", False)

    @property
    def state(self) -> dict[str, Any]:
        """For the checkpoint's `extra`: empty when nothing is watched."""
        if not self._wanted:
            return {}
        kept = {"best": self._best, "step": self._step, "measured": self._measured, "waited": self._waited}
        return {"stopping": {**kept, "ended": self._ended}}

    def steps(self, step: int, steps: int) -> int:
        """How many steps a run that goes on at `step` has: all of them, unless it had ended early there."""
        return step if self._ended else steps

    def watch(self, step: int, measured: Mapping[str, float], steps: int) -> int:
        """Look at an evaluation; returns how many steps the run has now: `step` when it should end here, else `steps`.

        Raises BadInput when the metric isn't among what was measured.
        """
        if not self._wanted:
            return steps
        if self.name not in measured:
            raise BadInput(
                f"The evaluation has no metric {self.name}.", f"Set best_by to one of: {', '.join(sorted(measured))}."
            )
        value = measured[self.name]
        if self._better(value):
            self._best, self._step, self._waited, self._measured = value, step, 0, dict(measured)
            if self._spec.keep_best:
                checkpoint.save_module(self._model, self._file)
            return steps
        self._waited += 1
        if not self._spec.patience or self._waited < self._spec.patience or step >= steps:
            return steps
        self._ended = True
        self._report.notice(
            f"Stopped early at step {step}: {self.name} was best at step {self._step} ({self._best:.4g}), and "
            f"{self._waited} evaluations since were no better."
            if self._best is not None
            else f"Stopped early at step {step}: {self.name} was no number in {self._waited} evaluations."
        )
        return step

    def finish(self) -> dict[str, float]:
        """At the end: put the best weights back if they are wanted; returns what was measured with them, else nothing."""
        if not self._wanted:
            return {}
        if self._best is None:
            self._report.notice(
                "No evaluation could say which weights are best; the result is the last.",
                "Set holdout above zero, or turn patience and keep_best off.",
            )
            return {}
        if not self._spec.keep_best:
            return {}
        checkpoint.load_module(self._model, self._file)
        self._report.notice(
            f"The result is the model of step {self._step}, the best by {self.name} ({self._best:.4g})."
        )
        return self._measured

    @property
    def _wanted(self) -> bool:
        return bool(self._spec.patience or self._spec.keep_best)

    def _better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self._best is None:
            return True
        return value > self._best if metric(self.name).good == "up" else value < self._best
