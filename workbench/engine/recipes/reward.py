"""Reward model: a scalar head learns from rankings to score better completions above worse ones.

A step takes whole items: each completion goes through the model once, whatever pairs or lists it stands in, and each item weighs
the same. Pairwise losses (Bradley–Terry, hinge, squared margin) look at the strict pairs, listwise ones (softmax over the best,
Plackett–Luce) at whole rankings with their ties.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.domain.specs.reward import PAIRWISE, RewardSpec
from workbench.engine import losses
from workbench.engine.adapters import what_is_trained
from workbench.engine.batches import count_steps, rows_at
from workbench.engine.cards import card
from workbench.engine.data import Row, need_columns, prompt_of, read_rows, row_key, split_holdout
from workbench.engine.device import prepare
from workbench.engine.evaluate import evaluating
from workbench.engine.examples import tell
from workbench.engine.forward import core
from workbench.engine.item_forward import ItemForward, choose_forward
from workbench.engine.keeper import Keeper, due
from workbench.engine.models import (
    context,
    count_parameters,
    make_reward_head,
    make_trainable,
    save_model,
    without_dropout,
)
from workbench.engine.optim import finite, make_optimizer, set_learning_rate, take_step
from workbench.engine.preferences import length_metrics, reward_metrics
from workbench.engine.rankings import (
    Item,
    Rankings,
    encode_rankings,
    lists_of,
    pairs_of,
    ties_of,
)
from workbench.engine.report import Report
from workbench.engine.reward_settings import set_pooling, set_statistics
from workbench.engine.stopping import Stopper
from workbench.engine.text import decode
from workbench.protocol.run_folder import RunFolder

MEASURED = 128  # items whose scores give the saved mean and deviation, at least, if there are so many


def run(spec: RewardSpec, folder: RunFolder, report: Report) -> None:
    """Train, and leave the result in the run's model folder."""
    setup = prepare(spec)
    report.phase("loading model")
    loaded = make_reward_head(spec.base, setup.home(spec.method), setup.weights(spec.method))
    set_pooling(loaded.model.config, spec.pooling, loaded.tokenizer.eos_token_id)
    model = make_trainable(loaded, spec, folder.path / "base", head=True)
    without_dropout(model)
    max_length = context(model, spec.max_length, report)

    report.phase("reading data")
    usable = read_items(folder, loaded.tokenizer, spec, max_length, report)
    together = list(zip(usable.rows, usable.items, strict=True))
    train, held = split_holdout(together, spec.holdout, spec.seed, key=lambda one: row_key(one[0]))
    items, held_items = [item for _, item in train], [item for _, item in held]
    shown = (held or train)[: spec.sample_count]
    forward = choose_forward(model, usable.items, loaded.pad, setup)
    lengths = forward.lengths(items)

    steps = count_steps(len(items), spec.batch_size, spec.epochs, spec.max_steps)
    parameters, training = count_parameters(model)
    report.planned(
        steps,
        rows=len(items),
        rows_left_out=sum(usable.left_out.values()),
        trainable_parameters=training,
        parameters=parameters,
        notes=(
            str(setup),
            what_is_trained(model, spec),
            f"{usable.pairs} pairs and {usable.ties} ties in {len(usable.items)} items",
            f"{len(held_items)} items are held out",
            *["each prompt is computed once for all its completions"] * forward.shared,
        ),
    )
    optimizer = make_optimizer(model, spec)
    keeper = Keeper(spec, folder, report, {"model": model}, {"optimizer": optimizer}, setup.scale)
    step, extra = keeper.resume()
    last: dict[str, float] = extra.get("last", {})
    stopper = Stopper(spec, folder, report, model, extra)
    steps = stopper.steps(step, steps)
    if held_items and step == 0 and spec.eval_every:
        report.phase("evaluating")
        report.metric(0, evaluate(forward, held_items, spec))
    report.phase("training")
    model.train()

    while step < steps:
        if keeper.halted(step, {"last": last, **stopper.state}):
            return
        began = time.perf_counter()
        rate = set_learning_rate(optimizer, step, steps, spec)
        chosen = rows_at(step, len(items), spec.batch_size, spec.seed)
        parts, found = [], []
        for part in forward.parts(chosen, lengths, spec.micro_batch_size):
            members = [items[row] for row in part]
            scores = forward(members)
            # This part's share of the mean over the whole step, so that the split changes nothing.
            loss = loss_of(scores, members, spec) / len(chosen)
            setup.backward(loss)
            parts.append(members)
            found.append(torch.cat([loss.detach()[None], scores.detach()]))
        measured = metrics_of(parts, found)
        (norm,) = take_step(setup, spec.max_grad_norm, optimizer)
        step += 1
        report.metric(
            step,
            measured | setup.gauges(),
            learning_rate=rate,
            grad_norm=norm,
            tokens_per_second=sum(forward.tokens(items[row]) for row in chosen) / (time.perf_counter() - began),
            epoch=step * spec.batch_size / len(items),
        )
        last |= measured
        if held_items and due(step, spec.eval_every, steps):
            report.phase("evaluating")
            measured = evaluate(forward, held_items, spec)
            report.metric(step, measured)
            last |= measured
            steps = stopper.watch(step, measured, steps)
            report.phase("training")
        if due(step, spec.sample_every, steps):
            report_scores(report, step, forward, shown, loaded.tokenizer)
        keeper.save_when_due(step, steps, {"last": last, **stopper.state})

    last |= stopper.finish()
    report.phase("saving")
    if spec.normalize != "none":
        save_statistics(forward, held_items, items, spec)
    save_model(model, loaded.tokenizer, folder.model, card(spec, len(items), steps, last))
    report.finished(steps, parameters)


def read_items(folder: RunFolder, tokenizer: Any, spec: RewardSpec, max_length: int, report: Report) -> Rankings:
    """The run's rankings (or pairs, as older runs have them) as items; says what was left out, RunFailed when nothing is left."""
    rows = read_rows(folder.data)
    if "chosen" in rows[0]:
        need_columns(rows, "prompt", "chosen", "rejected")
    else:
        need_columns(rows, "prompt", "completions", "tiers")
    usable = encode_rankings(rows, tokenizer, spec.chat_format, max_length, ties=spec.loss not in PAIRWISE)
    tell(report, usable.left_out, 0, len(usable.items), max_length)
    if usable.too_long:
        report.notice(
            f"{usable.too_long} completions don't fit into {max_length} tokens with their prompt; the rest of their rankings is used.",
            "Raise max_length.",
        )
    return usable


def loss_of(scores: Tensor, items: Sequence[Item], spec: RewardSpec) -> Tensor:
    """The spec's loss of scores [S]: the sum over items, each of which weighs 1."""
    if spec.loss == "softmax" or spec.loss == "plackett_luce":
        lists = lists_of(items, scores.device)
        ranked = scores[lists.places]
        best = (
            lists.best
            if spec.loss == "softmax"
            else torch.arange(ranked.shape[1], device=scores.device).expand_as(ranked)
        )
        loss = losses.reward_listwise(ranked, best, spec.loss, lists.mask, lists.tied, lists.weight)
        # Twice the mean of a ranking is the sum of a pair: the same penalty for two completions.
        middle = (ranked * lists.mask).sum(1) / lists.mask.sum(1)
        return loss + spec.center * (lists.weight * (2 * middle).square()).sum()
    pairs = pairs_of(items, scores.device)
    margin = (
        spec.margin_scale * pairs.margin if spec.margin else 0.0 if spec.loss == "bradley_terry" else spec.margin_scale
    )
    return losses.reward_pairwise(
        scores[pairs.better], scores[pairs.worse], spec.loss, margin, spec.center, pairs.weight
    )


def metrics_of(parts: Sequence[Sequence[Item]], found: Sequence[Tensor]) -> dict[str, float]:
    """Loss and metrics of parts; `found` holds for each its share of the loss, then its scores. RunFailed when the loss is no number."""
    items = [item for part in parts for item in part]
    numbers = [one.cpu() for one in found]
    total = finite("loss", float(torch.stack([one[0] for one in numbers]).double().sum()))
    return {"loss": total, **pair_metrics(items, torch.cat([one[1:] for one in numbers]))}


def pair_metrics(items: Sequence[Item], scores: Tensor) -> dict[str, float]:
    """What a reward model is judged by, over the strict pairs of items with scores [S]; none where there is no pair."""
    pairs = pairs_of(items)
    if not len(pairs.better):
        return {}
    lengths = torch.tensor([len(ids) for item in items for ids in item.completions])
    return reward_metrics(
        scores[pairs.better], scores[pairs.worse], torch.cat([lengths[pairs.better], lengths[pairs.worse]])
    )


def evaluate(forward: ItemForward, items: Sequence[Item], spec: RewardSpec) -> dict[str, float]:
    """`eval/` metrics on held-out items; raises NotFinite when the loss is no number."""
    scores = scores_of(forward, items, spec)
    pairs, ties = pairs_of(items), ties_of(items)
    loss = finite("loss", float(loss_of(scores, items, spec)) / len(items))
    values = {"loss": loss, **pair_metrics(items, scores)}
    if len(pairs.better):
        lengths = torch.tensor([len(ids) for item in items for ids in item.completions])
        values |= length_metrics(
            scores[pairs.better] - scores[pairs.worse], lengths[pairs.better], lengths[pairs.worse]
        )
    if len(ties):
        values["tie_gap"] = float((scores[ties[:, 0]] - scores[ties[:, 1]]).abs().double().mean())
    return {f"eval/{name}": value for name, value in values.items()}


def scores_of(forward: ItemForward, items: Sequence[Item], spec: RewardSpec) -> Tensor:
    """[S] scores on the CPU without gradients, items of similar length together, in the order of the items."""
    found: dict[int, Tensor] = {}
    size = spec.micro_batch_size or spec.batch_size
    with evaluating(forward.model):
        for part in forward.parts(range(len(items)), forward.lengths(items), size):
            members = [items[row] for row in part]
            sizes = [len(item.completions) for item in members]
            found |= zip(part, forward(members).cpu().split(sizes), strict=True)
    return torch.cat([found[row] for row in range(len(items))])


def save_statistics(forward: ItemForward, held: Sequence[Item], trained: Sequence[Item], spec: RewardSpec) -> None:
    """Write mean and deviation of the scores of all completions, or of each item's best, into the model's config.

    Held-out items count; where they are few, some that were trained on fill them up, for a deviation of few is worth little.
    """
    items = [*held, *trained[: max(0, MEASURED - len(held))]]
    scores = scores_of(forward, items, spec)
    if spec.normalize == "chosen":
        every = [item.opinions[0].tiers for item in items]
        best = [tier == min(tiers) for tiers in every for tier in tiers]
        scores = scores[torch.tensor(best)]
    set_statistics(core(forward.model).config, scores)


def report_scores(
    report: Report, step: int, forward: ItemForward, shown: Sequence[tuple[Row, Item]], tokenizer: Any
) -> None:
    """Report the same few best completions with their scores beside those of the worst of their items."""
    for index, (row, item) in enumerate(shown):
        with evaluating(forward.model):
            scores = forward([item]).tolist()
        tiers = item.opinions[0].tiers
        best, worst = tiers.index(min(tiers)), len(tiers) - 1 - tiers[::-1].index(max(tiers))
        numbers = {"chosen_reward": scores[best], "rejected_reward": scores[worst]}
        report.sample(step, index, prompt_of(row).text, decode(tokenizer, item.completions[best]), numbers)
