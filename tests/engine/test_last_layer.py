"""The last feed-forward block where it is read only: the same numbers for less work."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from workbench.engine.forward import states_at
from workbench.engine.last_layer import only_where_read
from workbench.engine.models import Loaded, use_gradient_checkpointing

IDS = torch.tensor([[1, 403, 407, 410, 261], [1, 261, 378, 383, 286]])
PLACES = torch.tensor([2, 3, 9])


def states(body: Any, places: torch.Tensor | None) -> torch.Tensor:
    if places is None:
        return body(input_ids=IDS, use_cache=False).last_hidden_state.flatten(0, 1)
    with only_where_read(body, places, (2, 5)):
        return body(input_ids=IDS, use_cache=False).last_hidden_state.flatten(0, 1)


def seen_by_the_last_block(body: Any, places: torch.Tensor) -> int:
    """How many positions the last block is given."""
    counts: list[int] = []
    hook = body.layers[-1].mlp.gate_proj.register_forward_pre_hook(
        lambda _, given: counts.append(given[0][..., 0].numel())
    )
    states(body, places)
    hook.remove()
    return counts[0]


def test_that_hidden_states_and_gradients_are_the_same_where_they_are_read(loaded: Loaded) -> None:
    body = loaded.model.base_model
    found, expected = states(body, PLACES)[PLACES], states(body, None)[PLACES]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    weights = list(body.parameters())
    ours, theirs = (torch.autograd.grad(result.square().sum(), weights) for result in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)


def test_that_the_block_works_at_the_places_only_and_everywhere_again_afterwards(loaded: Loaded) -> None:
    body = loaded.model.base_model
    assert seen_by_the_last_block(body, PLACES) == 3
    torch.testing.assert_close(states(body, None), states(body, torch.arange(10)))


def test_that_nearly_all_places_or_a_recomputed_layer_change_nothing(loaded: Loaded) -> None:
    body = loaded.model.base_model
    assert seen_by_the_last_block(body, torch.arange(9)) == 10
    use_gradient_checkpointing(loaded.model)
    for mode in (True, False):  # a reference in evaluation has to say what training says, to the last bit
        loaded.model.train(mode)
        assert seen_by_the_last_block(body, PLACES) == 10


def test_that_a_place_that_is_read_twice_counts_twice_and_no_more(loaded: Loaded) -> None:
    twice = torch.tensor([2, 3, 2, 9])
    weights = list(loaded.model.base_model.parameters())
    found = states_at(loaded.model, twice, IDS, repeated=True)
    expected = states(loaded.model.base_model, None)[twice]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(result.square().sum(), weights) for result in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)


def test_that_the_block_is_whole_again_after_an_error(loaded: Loaded) -> None:
    body = loaded.model.base_model
    with pytest.raises(ZeroDivisionError), only_where_read(body, PLACES, (2, 5)):
        raise ZeroDivisionError
    assert not body.layers[-1].mlp._forward_hooks
    assert not body.layers[-1].mlp._forward_pre_hooks
