"""Keeps a run's checkpoints: where it goes on, when the next one is due, what happens when it is asked to halt, or fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from workbench.domain.specs.common import TrainingSpec
from workbench.engine import checkpoint
from workbench.engine.checkpoint import Generators
from workbench.engine.loss_scale import LossScale
from workbench.engine.optim import NotFinite
from workbench.engine.report import Report
from workbench.protocol.run_folder import RunFolder


class Intact(NamedTuple):
    """What a run was between two steps; it holds until an optimizer steps again."""

    step: int
    extra: dict[str, Any]
    generators: Generators
    scale: dict[str, float] | None = None


class Keeper:
    """Knows the modules and optimizers whose state is the run's state, and the loss scale if there is one.

    A run that fails within a step, out of memory or by a reward function that raises, loses nothing: see `rescue`.
    """

    def __init__(
        self,
        spec: TrainingSpec,
        folder: RunFolder,
        report: Report,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        scale: LossScale | None = None,
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._report = report
        self._modules = modules
        self._optimizers = optimizers
        self._scale = scale
        self._intact: Intact | None = None
        for optimizer in optimizers.values():
            optimizer.register_step_pre_hook(self._stepping)
        report.rescue = self.rescue

    def resume(self) -> tuple[int, dict[str, Any]]:
        """(optimizer steps done, the recipe's own numbers) of the newest checkpoint, restored; (0, {}) without one.

        A restart is reported, so that what was said about later steps counts no more.
        """
        latest = checkpoint.load_latest(self._folder)
        step, extra = 0, {}
        if latest is not None:
            latest.restore(self._modules, self._optimizers)
            step, extra = latest.step, latest.extra
            if self._scale is not None and "loss_scale" in extra:
                self._scale.restore(extra["loss_scale"])
        if self._report.restarted or latest is not None:
            self._report.resumed(step)
        return step, extra

    def halted(self, step: int, extra: Mapping[str, Any] | None = None) -> bool:
        """Look at what is wanted; if that is to pause or stop, write a checkpoint, say so and return True."""
        wanted = self._report.wanted()
        if wanted == "run":
            scale = None if self._scale is None else self._scale.state()
            self._intact = Intact(step, dict(extra or {}), Generators.now(), scale)
            return False
        self.save(step, extra)
        self._report.halted(step, wanted)
        return True

    def save_when_due(self, step: int, steps: int, extra: Mapping[str, Any] | None = None) -> None:
        """Write a checkpoint every so many steps and after the last one; never when the spec says 0."""
        if self._spec.checkpoint_every and due(step, self._spec.checkpoint_every, steps):
            self.save(step, extra)

    def rescue(self, error: Exception) -> None:
        """When a run fails and no weight was touched since its last step, write a checkpoint of the steps that are done.

        There is none where numbers have become NaN or infinite: the checkpoints from before that are the good ones.
        """
        intact, self._intact = self._intact, None
        if intact is None or not intact.step or isinstance(error, NotFinite):
            return
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)  # room for what saving needs, where memory has run out
        if not self._sound():
            return
        if not (self._folder.checkpoints / str(intact.step)).exists():
            intact.generators.restore()
            if (
                self._scale is not None and intact.scale is not None
            ):  # steps that overflowed have touched no weight, but it
                self._scale.restore(intact.scale)
            self.save(intact.step, intact.extra)

    def _stepping(self, *_: Any) -> None:
        self._intact = None

    def _sound(self) -> bool:
        trained = (p for module in self._modules.values() for p in module.parameters() if p.requires_grad)
        return all(bool(parameter.isfinite().all()) for parameter in trained)

    def save(self, step: int, extra: Mapping[str, Any] | None = None) -> None:
        """Write a complete checkpoint of `step`."""
        if self._scale is not None:
            extra = {**(extra or {}), "loss_scale": self._scale.state()}
        checkpoint.save(
            self._folder,
            step,
            modules=self._modules,
            optimizers=self._optimizers,
            extra=extra,
            keep=self._spec.keep_checkpoints,
        )
        self._report.checkpointed(step)


def due(step: int, every: int, steps: int) -> bool:
    """Whether something that happens every so many steps, and after the last one, happens after `step`."""
    return step == steps or (every > 0 and step % every == 0)
