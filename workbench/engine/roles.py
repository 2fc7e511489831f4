"""The four roles of reinforcement learning: policy, reference, reward model, critic; and what they must have in common."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from workbench.domain.errors import BadInput
from workbench.domain.specs.methods import LOW_RANK
from workbench.domain.specs.online import OnlineSpec
from workbench.domain.specs.ppo import PpoSpec
from workbench.engine.adapters import Start
from workbench.engine.critic import value_head
from workbench.engine.device import Setup
from workbench.engine.models import (
    Loaded,
    load_policy,
    load_reward,
    load_tokenizer,
    make_reward_head,
    make_trainable,
    without_dropout,
)
from workbench.engine.shared_base import critic_on, fits, reward_on, shareable


class Roles(NamedTuple):
    """Models of one run. `frozen` is the reference's own copy, None where it is the policy with its adapter off or put back.

    `shared` says which roles stand on one base, where some do.
    Recipes reach them through the contexts, so that it is nobody else's business how many models there are in fact.
    """

    policy: Loaded
    frozen: Any | None
    scorer: Any | None
    critic: Any | None
    start: Start | None = None
    shared: str = ""

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """The reference, for as long as the context lasts."""
        if self.frozen is not None:
            yield self.frozen
            return
        with self.policy.model.disable_adapter() if self.start is None else self.start.back():
            yield self.policy.model

    @contextmanager
    def scoring(self) -> Iterator[Any]:
        """The reward model, for as long as the context lasts."""
        assert self.scorer is not None
        yield self.scorer

    @contextmanager
    def valuing(self) -> Iterator[Any]:
        """The critic, for as long as the context lasts; a mere head reads the hidden states of `policy.model`."""
        assert self.critic is not None
        yield self.critic


def load_roles(spec: OnlineSpec, folder: Path, setup: Setup, *, reference: bool = True, critic: bool = True) -> Roles:
    """Load the policy and, where the spec names one, the reward model; make reference and critic from them where asked for.

    The reference is the policy as it starts: a frozen copy, or the base below a fresh adapter (an adapter that was trained before
    has been merged into that base on loading). Raises BadInput when they don't fit.
    """
    start = load_policy(spec.base, setup.home(spec.method), setup.weights(spec.method))
    on_base = shareable(start, spec)
    judge_on_base = on_base and bool(spec.reward_model) and fits(start, Path(spec.reward_model))
    scorer = _scorer(spec, start, setup, on_base=judge_on_base)
    # In the policy's own precision, although it is never trained: rounded weights would be another policy, at a KL above zero.
    apart = reference and spec.method == "full"
    frozen = copy.deepcopy(start.model).requires_grad_(False) if apart else None
    # Before the policy gets its adapter: what stands on the same base is made of its layers as they are.
    made = None
    if critic and isinstance(spec, PpoSpec) and spec.critic_start != "shared":
        critic_fits = judge_on_base or (on_base and spec.critic_start == "policy")
        made = make_critic(spec, start if critic_fits else None, folder, setup)
    together = ["reward model"] * judge_on_base + ["critic"] * (made is not None and critic_fits)
    policy = make_trainable(start, spec, folder / "base")
    without_dropout(policy)
    if critic and isinstance(spec, PpoSpec) and spec.critic_start == "shared":
        made = value_head(policy, setup.device)
    # Off, a fresh low-rank adapter leaves what it started as; other methods don't start at zero, or can't be turned off.
    back = None if spec.method in {"full", *LOW_RANK} else Start(policy)
    shared = f"on one base: {', '.join(['policy', 'reference', *together])}" if together else ""
    return Roles(start._replace(model=policy), frozen, scorer, made, back, shared)


def _scorer(spec: OnlineSpec, start: Loaded, setup: Setup, *, on_base: bool) -> Any | None:
    """The reward model, frozen; None where the spec names none."""
    if not spec.reward_model:
        return None
    if on_base:
        folder = Path(spec.reward_model)
        loaded = start._replace(model=reward_on(start, folder), tokenizer=load_tokenizer(folder))
    else:
        loaded = load_reward(spec.reward_model, setup.device, setup.frozen)
    same_tokens(start, loaded)
    without_dropout(loaded.model.requires_grad_(False))
    return loaded.model


def make_critic(spec: PpoSpec, base: Loaded | None, folder: Path, setup: Setup) -> Any:
    """The critic, ready to be trained: the reward model with its head, or the policy with an empty one.

    It stands on the policy's base where that is given. A reward model's forecasts are off at first, but they vary with
    the text: it explained some of the returns after four rollouts, where an empty head needed ten.
    """
    if spec.critic_start == "reward_model" and not spec.reward_model:
        raise BadInput(
            "The critic is to start as the reward model, and none was chosen.", "Choose one, or set critic to policy."
        )
    if base is not None and spec.critic_start == "reward_model":
        judge = Path(spec.reward_model)
        critic = reward_on(base, judge, train=True, checkpointing=spec.gradient_checkpointing)
    else:
        home, dtype = setup.home(spec.method), setup.weights(spec.method)
        if spec.critic_start == "reward_model":
            body = load_reward(spec.reward_model, home, dtype)
        elif base is not None:
            body = base._replace(model=critic_on(base))
        else:
            body = make_reward_head(spec.base, home, dtype, zero=True)
        critic = make_trainable(body._replace(merged=False), spec, folder / "critic", head=True)
    without_dropout(critic)
    return critic


def same_tokens(policy: Loaded, scorer: Loaded) -> None:
    """Raise BadInput unless both models give every token the same id."""
    ours, theirs = policy.tokenizer.get_vocab(), scorer.tokenizer.get_vocab()
    if ours == theirs:
        return
    others = sum(1 for token, index in ours.items() if theirs.get(token) != index)
    raise BadInput(
        f"Policy and reward model have different tokenizers: {others} of {len(ours)} tokens have other ids.",
        "Train the reward model from the same base model as the policy.",
    )
