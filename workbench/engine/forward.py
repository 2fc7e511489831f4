"""Forward passes that compute only what is asked for: the head sees completion positions, in chunks.

Shapes: B sequences, T completion tokens, H hidden width, V vocabulary. Results are float32.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers.cache_utils import DynamicCache

from workbench.domain.errors import BadInput
from workbench.engine import lean, losses
from workbench.engine.batches import Batch, positions
from workbench.engine.last_layer import WORTH_IT, only_where_read
from workbench.engine.reward_settings import pooling_of

KEPT_VALUES = 2**26  # logits kept until the backward pass (256 MiB in float32)
CHUNK_VALUES = 2**25  # logits held at once when no more are kept than that


Scored = losses.LabelScores  # per chosen position [N]


def core(model: Any) -> Any:
    """The transformers model inside a peft model (its layers carry the adapter), or the model itself."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def hidden_states(model: Any, input_ids: Tensor, attention_mask: Tensor | None, position_ids: Tensor | None) -> Tensor:
    """[B, L, H]: last hidden states of the body, without the head. The mask is [B, L], or [B, 1, L, L] of bool."""
    inner = core(model)
    if getattr(inner.config, "is_encoder_decoder", False):
        raise BadInput(
            "An encoder-decoder can't be asked how likely a continuation of a text is.",
            "Choose a causal language model.",
        )
    given: dict[str, Any] = {"input_ids": input_ids, "position_ids": position_ids}
    length, places = input_ids.shape[1], position_ids
    if count := virtual_tokens(model):
        given, places = _behind_prompt(model, input_ids, position_ids)
        attention_mask = _with_prompt(attention_mask, count)
    told: Any = attention_mask
    if attention_mask is not None and attention_mask.ndim == 4:
        told = _masks(inner, attention_mask, places)
        if "past_key_values" in given:  # a prefix has columns, and no rows
            told = {k: m[:, :, -length:] for k, m in told.items()} if isinstance(told, dict) else told[:, :, -length:]
    result: Tensor = inner.base_model(attention_mask=told, use_cache=False, **given).last_hidden_state
    return result[:, -length:]


def states_at(
    model: Any,
    places: Tensor,
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    position_ids: Tensor | None = None,
    *,
    repeated: bool = False,
) -> Tensor:
    """[N, H]: last hidden states at `places` [N] of B·L, each named once (unless `repeated`); the last layer does no more work than that.

    Without mask and positions, padding has to stand on the right: no token looks there, and attention takes its causal
    kernels, which do half the work.
    """
    shape = (input_ids.shape[0], input_ids.shape[1])
    if attention_mask is None and position_ids is None and not repeated and not virtual_tokens(model):
        body = core(model).base_model
        if lean.applies(body, input_ids):
            few = len(places) <= WORTH_IT * shape[0] * shape[1]
            found = lean.states(body, input_ids, places if few else None)
            return found if few else found.flatten(0, 1).index_select(0, places)
    read = places.unique() if repeated else places
    # Virtual tokens stand before every row, so that places would be elsewhere.
    less = nullcontext() if virtual_tokens(model) else only_where_read(core(model).base_model, read, shape)
    with less:
        hidden = hidden_states(model, input_ids, attention_mask, position_ids)
    return hidden.flatten(0, 1).index_select(0, places)


def virtual_tokens(model: Any) -> int:
    """How many learned virtual tokens stand before every text: 0 but for prompt tuning, prefix tuning and P-tuning."""
    config = getattr(model, "active_peft_config", None)
    return int(config.num_virtual_tokens) if config is not None and config.is_prompt_learning else 0


def prompt_cache(model: Any, rows: int) -> Any:
    """Keys and values of the learned virtual tokens for so many rows; an empty cache when there are none."""
    body = core(model).base_model
    if not virtual_tokens(model):
        return DynamicCache(config=body.config)
    learned = model.get_prompt(rows)
    if not isinstance(learned, Tensor):  # a prefix is keys and values
        return learned
    cache = DynamicCache(config=body.config)
    body(inputs_embeds=learned.to(core(model).dtype), past_key_values=cache, use_cache=True)
    return cache


def _with_prompt(mask: Tensor | None, count: int) -> Tensor | None:
    """The mask with `count` columns before it that everybody sees; in a mask of four axes also with their own rows."""
    if mask is None:
        return None
    if mask.ndim == 2:
        return torch.cat([mask.new_ones(len(mask), count), mask], 1)
    mask = torch.nn.functional.pad(mask, (count, 0), value=True)
    own = torch.ones(count, mask.shape[-1], dtype=torch.bool, device=mask.device).tril()
    return torch.cat([own.expand(len(mask), 1, -1, -1), mask], 2)


def _behind_prompt(model: Any, input_ids: Tensor, position_ids: Tensor | None) -> tuple[dict[str, Any], Tensor | None]:
    """What the body is given so that every text stands behind the learned virtual tokens, and the positions of both."""
    learned, count = model.get_prompt(len(input_ids)), virtual_tokens(model)
    moved = places = None  # without positions, the body counts by itself
    if position_ids is not None:
        moved = position_ids + count
        places = torch.cat([torch.arange(count, device=moved.device).expand(len(moved), -1), moved], 1)
    if not isinstance(learned, Tensor):
        return {"input_ids": input_ids, "position_ids": moved, "past_key_values": learned}, places
    embedded = core(model).get_input_embeddings()(input_ids)
    return {"inputs_embeds": torch.cat([learned.to(embedded.dtype), embedded], 1), "position_ids": places}, places


def batch_states(model: Any, batch: Batch) -> Tensor:
    """[B, L, H]: last hidden states of a causal model, those on padding without meaning.

    Padding stands on the right, where no token looks: without a mask, attention takes its causal kernels, which do half the work.
    """
    return hidden_states(model, batch.input_ids, None, None)


def _masks(inner: Any, seen: Tensor, position_ids: Tensor | None) -> Any:
    """A mask [B, 1, L, L] of bool as the architecture wants it: closed behind its window, by kind of layer, added to scores.

    Architectures take a mask of this shape as it is, so the window of those that look back only so far must be in it.
    """

    def shaped(mask: Tensor) -> Tensor:
        if inner.config._attn_implementation != "eager":
            return mask
        shown = torch.zeros(mask.shape, dtype=inner.dtype, device=mask.device)
        return shown.masked_fill(~mask, torch.finfo(inner.dtype).min)

    window, kinds = (getattr(inner.config, name, None) for name in ("sliding_window", "layer_types"))
    if not window or (kinds and "sliding_attention" not in kinds):
        return shaped(seen)
    places = torch.arange(seen.shape[-1], device=seen.device)[None] if position_ids is None else position_ids
    near = shaped(seen & (places[:, None, None, :] > places[:, None, :, None] - window))
    return {kind: near if kind == "sliding_attention" else shaped(seen) for kind in set(kinds)} if kinds else near


def project(model: Any, hidden: Tensor) -> Tensor:
    """[N, V] logits of hidden states [N, H], with the scaling and capping that some architectures apply."""
    inner = core(model)
    return shape_logits(inner.get_output_embeddings()(hidden), inner.config)


def shape_logits(logits: Tensor, config: Any) -> Tensor:
    """Logits as the architecture wants them behind its head: scaled, divided, capped, or left alone."""
    if scale := getattr(config, "logit_scale", None):
        logits = logits * scale
    if scaling := getattr(config, "logits_scaling", None):
        logits = logits / scaling
    if cap := getattr(config, "final_logit_softcapping", None):
        logits = torch.tanh(logits / cap) * cap
    return logits


def leaves_logits_alone(config: Any) -> bool:
    """Whether `shape_logits` gives back what it got. Asking transformers' configs takes time: once, not for each token."""
    return not any(getattr(config, name, None) for name in ("logit_scale", "logits_scaling", "final_logit_softcapping"))


def score_labels(
    model: Any,
    hidden: Tensor,
    labels: Tensor,
    temperature: float = 1.0,
    with_entropy: bool = False,
    learn_entropy: bool = False,
) -> Scored:
    """Score `labels` [N] under the head's logits of `hidden` [N, H], chunk by chunk.

    Entropies carry a gradient only with `learn_entropy`: as a metric they need none.

    When gradients flow, logits are kept for the backward pass up to KEPT_VALUES; beyond that, each chunk's are computed again, so
    that never more than one chunk of [n, V] is held.
    """
    width = int(core(model).config.get_text_config().vocab_size)
    again = torch.is_grad_enabled() and len(labels) * width > KEPT_VALUES

    def one(part: Tensor, wanted: Tensor) -> Scored:
        return losses.label_scores(project(model, part), wanted, temperature, with_entropy, learn_entropy)

    if torch.is_grad_enabled() and not again:
        return one(hidden, labels)
    size = max(1, CHUNK_VALUES // width)
    results = [
        checkpoint(one, *piece, use_reentrant=False) if again else one(*piece)
        for piece in zip(hidden.split(size), labels.split(size), strict=True)
    ]
    logprobs, correct, entropies = zip(*results, strict=True)
    return Scored(torch.cat(logprobs), torch.cat(correct), torch.cat(entropies) if with_entropy else None)


def completion_scores(
    model: Any, batch: Batch, temperature: float = 1.0, with_entropy: bool = False, learn_entropy: bool = False
) -> Scored:
    """Scores of all completion tokens as one flat row [N], in the order of `batch.completion_mask`."""
    labels = batch.completion_ids[batch.completion_mask]
    return score_labels(model, completion_states(model, batch), labels, temperature, with_entropy, learn_entropy)


@overload
def completion_logprobs(model: Any, batch: Batch, temperature: float = 1.0) -> Tensor: ...


@overload
def completion_logprobs(
    model: Any, batch: Batch, temperature: float = 1.0, *, with_entropy: Literal[True]
) -> tuple[Tensor, Tensor]: ...


def completion_logprobs(
    model: Any, batch: Batch, temperature: float = 1.0, *, with_entropy: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """[B, T] log-probabilities of the completion tokens, zero on padding; with entropies [B, T] when asked for.

    Logits are divided by `temperature` first, as they were when the completion was sampled.
    """
    scored = completion_scores(model, batch, temperature, with_entropy)
    logprobs = spread(scored.logprobs, batch.completion_mask)
    return logprobs if scored.entropy is None else (logprobs, spread(scored.entropy, batch.completion_mask))


def completion_states(model: Any, batch: Batch) -> Tensor:
    """[N, H]: the model's hidden states at the positions that predict a completion token, in the order of the mask."""
    return states_at(model, before_completions(batch), batch.input_ids)


def before_completions(batch: Batch) -> Tensor:
    """[N]: the places of B·L that predict a completion token, in the order of the mask."""
    offsets = torch.arange(len(batch.input_ids), device=batch.input_ids.device)[:, None] * batch.input_ids.shape[1]
    return (batch.before + offsets)[batch.completion_mask]


def spread(values: Tensor, mask: Tensor) -> Tensor:
    """[B, T] with `values` [N] where the mask is set, zero elsewhere; differentiable."""
    return torch.zeros(mask.shape, dtype=values.dtype, device=values.device).masked_scatter(mask, values)


def score_head(model: Any) -> Any:
    """The scalar head of a reward model or critic."""
    head = getattr(core(model), "score", None)
    if head is None:
        raise BadInput("The reward model has no head called score.", "Train a reward model with the reward recipe.")
    return head


def rewards(model: Any, batch: Batch) -> Tensor:
    """[B]: the scores of a reward model, read where its config says (reward_settings.py)."""
    return scalars(model, reward_states(model, batch))


def reward_states(model: Any, batch: Batch) -> Tensor:
    """[B, H]: what the head of a reward model sees of each sequence.

    At the last completion token, whose index comes from lengths; as the mean over the completion's tokens; or at an end token,
    which is put behind a completion that hasn't one.
    """
    config = core(model).config
    pooling, end = pooling_of(config)
    if pooling == "eos" and end is not None:
        most = getattr(config.get_text_config(), "max_position_embeddings", None)
        batch = ended(batch, end, most - virtual_tokens(model) if most else None)
    if pooling == "mean":
        hidden = batch_states(model, batch)
        places = torch.arange(hidden.shape[1], device=hidden.device)
        inside = (places >= batch.prompt_lengths[:, None]) & (places <= batch.last[:, None])
        total: Tensor = (hidden * inside[..., None]).sum(1)
        return total / inside.sum(1).clamp(min=1)[:, None]
    rows = torch.arange(len(batch.input_ids), device=batch.input_ids.device)
    return states_at(model, rows * batch.input_ids.shape[1] + batch.last, batch.input_ids)


def ended(batch: Batch, end: int, longest: int | None) -> Batch:
    """The batch's sequences, each with the token `end` as its last: added where it is missing.

    In place of the last token where a sequence is `longest` already. The labels of the batch stay as they were.
    """
    rows = torch.arange(len(batch.input_ids), device=batch.input_ids.device)
    missing = batch.input_ids[rows, batch.last] != end
    if not bool(missing.any()):
        return batch
    longer = missing if longest is None else missing & (batch.last + 1 < longest)
    ids = torch.cat([batch.input_ids, batch.input_ids[:, :1]], dim=1)
    lengths = batch.completion_lengths + longer
    last = batch.prompt_lengths + lengths - 1
    ids[rows, last] = torch.where(missing, end, ids[rows, last])
    width = int(last.max()) + 1
    mask = torch.arange(width, device=ids.device) <= last[:, None]
    return batch._replace(
        input_ids=ids[:, :width],
        attention_mask=mask.long(),
        position_ids=positions(mask),
        completion_lengths=lengths,
    )


def scalars(model: Any, hidden: Tensor) -> Tensor:
    """[...]: the scalar head's numbers for hidden states [..., H], in the head's own precision: bfloat16 would coarsen scores."""
    head = score_head(model)
    with torch.autocast(hidden.device.type, enabled=False):
        found: Tensor = head(hidden.to(next(head.parameters()).dtype))
    return found.to(torch.promote_types(found.dtype, torch.float32)).squeeze(-1)


def values(model: Any, batch: Batch) -> Tensor:
    """[B, T]: the critic's value of the state before each completion token; zero on padding."""
    return spread(scalars(model, completion_states(model, batch)), batch.completion_mask)
