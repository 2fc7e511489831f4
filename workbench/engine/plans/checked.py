"""Plans that were compared with their models: a plan that computes something else is not used."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from workbench.engine.forward import core, project
from workbench.engine.plans.families import read_plan
from workbench.engine.plans.planned import Planned
from workbench.engine.plans.prefill import padded
from workbench.engine.plans.reader import Plan

_CHECKED_TOKENS = 8  # of a prompt, when a plan is compared with its model
_TOLERANCE = {torch.float32: 3e-4, torch.bfloat16: 5e-2}  # of the largest logit

# What was found to compute as its model does: weights may change, what is done with them only with a plan's `state`.
_AGREED: WeakKeyDictionary[nn.Module, set[Hashable]] = WeakKeyDictionary()


@torch.inference_mode()
def checked_plan(model: Any, prompts: Sequence[Sequence[int]]) -> Plan | None:
    """The plan of a model's weights if there is one and it computes what the model does; in evaluation mode only."""
    plan = read_plan(model) if prompts else None
    if plan is None:
        return None
    agreed = _AGREED.setdefault(core(model), set())
    if plan.state in agreed or agrees(plan, model, prompts):
        agreed.add(plan.state)
        return plan
    logging.getLogger(__name__).warning("decoding by a plan disagrees with the model; its own layers are used")
    return None


@torch.inference_mode()
def agrees(plan: Plan, model: Any, prompts: Sequence[Sequence[int]]) -> bool:
    """Whether the plan gives the model's own logits for the beginnings of the shortest and the longest prompt, and for one step."""
    rows = [[*ids, ids[-1]][:_CHECKED_TOKENS] for ids in (min(prompts, key=len), max(prompts, key=len))]
    lengths = torch.tensor([len(ids) - 1 for ids in rows])  # the last token of each is the one that is stepped
    ids = padded(rows)
    places, both = torch.arange(ids.shape[1]).expand_as(ids), torch.arange(2)
    states = core(model).base_model(input_ids=ids, position_ids=places, use_cache=False).last_hidden_state
    expected = project(model, torch.cat([states[both, lengths - 1], states[both, lengths]])).float()
    batch = Planned(plan)
    found = [batch.prefill([row[:-1] for row in rows], room=1)]
    found.append(batch.step(torch.tensor([row[-1] for row in rows])))
    apart = (torch.cat(found).float() - expected).abs().max()
    return bool(apart <= _TOLERANCE[plan.dtype] * expected.abs().max().clamp(min=1))
