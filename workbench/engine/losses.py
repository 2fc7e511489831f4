"""Losses as pure functions: tensors in, tensors out, no state.

Letters in shapes: B sequences, T completion tokens, V vocabulary, K candidates. `mask` is 1 (or True) on completion tokens; what
stands under a 0 is never read, be it NaN. Arithmetic is float32, or float64 where float64 is given. All are differentiable
in the policy's quantities; statistics come back detached.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_RATIO_LIMIT = 20.0  # exp(20) is about 5e8: still finite in float32 after multiplication with an advantage
_CACHED, _LAUNCHED = (
    1 << 18,
    1 << 22,
)  # logits looked at together: 1 MiB stays in a processor's cache, 16 MiB keep a GPU busy
_NEGLIGIBLE = -80.0  # log-probability below which a token adds nothing to an entropy, though -inf times 0 would add NaN


class PolicyLoss(NamedTuple):
    """A clipped policy-gradient loss and its statistics over completion tokens (scalars; all but `loss` detached)."""

    loss: Tensor
    clip_fraction: Tensor
    approx_kl: Tensor
    ratio_mean: Tensor
    ratio_max: Tensor


class ValueLoss(NamedTuple):
    """The critic's loss and its statistics over completion tokens (scalars; all but `loss` detached)."""

    loss: Tensor
    clip_fraction: Tensor
    explained_variance: Tensor


class PreferenceLoss(NamedTuple):
    """A preference loss (scalar) with the implicit rewards [B] of both sides, detached."""

    loss: Tensor
    chosen_reward: Tensor
    rejected_reward: Tensor


class LabelScores(NamedTuple):
    """Per row [...]: log-probability of its label, whether no token was likelier, entropy in nats if asked for."""

    logprobs: Tensor
    correct: Tensor
    entropy: Tensor | None


def token_logprobs(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probability of each label: logits [..., V], labels [...] int64 -> [...] float32 (float64 for float64)."""
    return label_scores(logits, labels).logprobs


def label_scores(
    logits: Tensor,
    labels: Tensor,
    temperature: float = 1.0,
    with_entropy: bool = False,
    learn_entropy: bool = False,
) -> LabelScores:
    """What can be said of each label in one pass: logits [..., V], labels [...] int64 -> LabelScores, float32 (float64 for float64).

    The distribution is the softmax of logits / temperature. Works through the rows in slices, so that beside the logits (and, in
    the backward pass, their gradient) no second tensor of their size exists. Entropies carry a gradient only with
    `learn_entropy`. Raises ValueError when the shapes don't agree.
    """
    if logits.shape[:-1] != labels.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)} don't belong together")
    flat = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    logprobs, correct, entropies = _LabelScores.apply(*flat, temperature, with_entropy or learn_entropy, learn_entropy)
    shape = labels.shape
    return LabelScores(logprobs.view(shape), correct.view(shape), None if entropies is None else entropies.view(shape))


class _LabelScores(torch.autograd.Function):
    """[N, V] and [N] -> log softmax at the label, whether it is the largest, and entropy; keeps the logits alone."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, temperature: float, with_entropy: bool, learn_entropy: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        out = logits.new_empty(labels.shape, dtype=_precise_dtype(logits))
        correct = torch.empty_like(out, dtype=torch.bool)
        entropies = torch.empty_like(out) if with_entropy else None
        for part in _slices(logits):
            logprobs = F.log_softmax(_tempered(logits[part], temperature), dim=-1)
            out[part] = logprobs.gather(-1, labels[part, None]).squeeze(-1)
            correct[part] = out[part] >= logprobs.amax(-1)
            if entropies is not None:
                entropies[part] = _entropy(logprobs)
        ctx.temperature = temperature
        ctx.mark_non_differentiable(correct)
        if entropies is not None and not learn_entropy:
            ctx.mark_non_differentiable(entropies)
        ctx.save_for_backward(logits, labels, entropies if learn_entropy else None)
        return out, correct, entropies

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        logits, labels, entropies = ctx.saved_tensors
        grad, _, grad_entropy = grads
        grad = grad / ctx.temperature
        result = torch.empty_like(logits)
        for part in _slices(logits):
            chances = F.softmax(_tempered(logits[part], ctx.temperature), dim=-1)
            slope = -grad[part, None]
            if entropies is not None:
                surprise = chances.log().clamp_(min=_NEGLIGIBLE).add_(entropies[part, None])
                slope = slope - surprise * (grad_entropy[part, None] / ctx.temperature)
            result[part] = chances.mul_(slope).scatter_add_(-1, labels[part, None], grad[part, None])
        return result, None, None, None, None


def entropy(logits: Tensor) -> Tensor:
    """Shannon entropy in nats of the softmax: logits [..., V] -> [...]; impossible tokens (-inf) count nothing."""
    return _entropy(F.log_softmax(_precise(logits), dim=-1))


def sft(logprobs: Tensor, mask: Tensor, num_tokens: Tensor | float | None = None) -> Tensor:
    """Negative log-likelihood for each token: logprobs and mask [B, T] -> scalar, -sum(logprobs·mask) / N.

    N is `mask.sum()`, or `num_tokens`: the completion tokens of the whole optimizer step when this is only a part of it.
    """
    return -_masked_sum(_precise(logprobs), mask) / _count(mask, num_tokens)


def weighted_nll(logprobs: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """Reward-weighted regression: logprobs, mask [B, T], weights [B] -> scalar, -sum_b w_b sum_t logprobs·mask."""
    sums = _inside(_precise(logprobs), mask).sum(-1)
    return -(weights.detach().to(sums.dtype) * sums).sum()


def reward_pairwise(
    chosen: Tensor,
    rejected: Tensor,
    kind: Literal["bradley_terry", "hinge", "mse"] = "bradley_terry",
    margin: Tensor | float | None = None,
    center: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Loss of a reward model on pairs: scores chosen [B], rejected [B] -> scalar mean, or with `weights` [B] weighted sum.

    With d = chosen - rejected - margin (None = 0): bradley_terry -log σ(d), hinge relu(-d), mse d². `center` adds
    center · mean((chosen + rejected)²), which takes away the freedom of shifting all scores.
    """
    chosen, rejected = _precise(chosen), _precise(rejected)
    gap = chosen - rejected - (0.0 if margin is None else margin)
    if kind == "bradley_terry":
        losses = -F.logsigmoid(gap)
    elif kind == "hinge":
        losses = F.relu(-gap)
    elif kind == "mse":
        losses = gap.square()
    else:
        raise ValueError(f"unknown kind of pairwise loss: {kind!r}")
    return _weighted(losses + center * (chosen + rejected).square(), weights)


def reward_listwise(
    scores: Tensor,
    target: Tensor,
    kind: Literal["softmax", "plackett_luce"] = "softmax",
    mask: Tensor | None = None,
    tied: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Loss of a reward model on rankings: scores, target [B, K] -> scalar mean over B, or with `weights` [B] weighted sum.

    softmax: target is a distribution over the candidates, loss its cross-entropy. plackett_luce: target[b] lists the indices of
    the candidates, best first, loss -log of the ranking's probability. `mask` [B, K] is 0 for candidates that don't exist; they
    may stand anywhere in the list (or be named -1).

    `tied` [B, K] (plackett_luce) is 1 where a listed candidate ties with the one listed before it. Ties are treated as Efron
    (1977, JASA 72:557) treats them in Cox's likelihood, of which Plackett–Luce is an instance: as members of a tie leave one
    after another, and nobody knows which goes first, each member's weight in the denominator shrinks by the same share. The
    order in which a tie is listed changes nothing, and equal scores within it are the best.
    """
    scores = _precise(scores)
    there = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.bool()
    nothing = torch.finfo(scores.dtype).min / 4
    if kind == "softmax":
        logprobs = F.log_softmax(scores.masked_fill(~there, nothing), dim=-1)
        return _weighted(-(target * logprobs).masked_fill(~there, 0.0).sum(-1), weights)
    if kind != "plackett_luce":
        raise ValueError(f"unknown kind of listwise loss: {kind!r}")
    listed = target.clamp(min=0)
    there = there.gather(-1, listed) & (target >= 0)
    ranked = scores.gather(-1, listed).masked_fill(~there, nothing)
    share = _shares_left(torch.zeros_like(there) if tied is None else tied.bool(), there, scores.dtype)
    rest = torch.where(share > 0, ranked[:, None, :] + share.log(), nothing).logsumexp(-1)
    return _weighted((rest - ranked).masked_fill(~there, 0.0).sum(-1), weights)


def _shares_left(tied: Tensor, there: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, K, K]: with what weight place p counts when place i is drawn: 1 below i's tie, less and less within it, 0 above.

    Places that don't exist have weight 0 and belong to no tie, wherever they are listed.
    """
    places = torch.arange(tied.shape[-1], device=tied.device).expand(tied.shape)
    # A tie's number is the place of its first member: the last place so far that exists and isn't tied to the one before.
    number = torch.where(there & ~tied, places, 0).cummax(-1).values
    same = (number[:, :, None] == number[:, None, :]) & there[:, None, :]
    gone = same.tril(-1).sum(-1).to(dtype) / same.sum(-1).clamp(min=1)
    below = (number[:, None, :] > number[:, :, None]) & there[:, None, :]
    return same * (1 - gone[:, :, None]) + below


def dpo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    beta: float,
    kind: Literal["sigmoid", "ipo", "hinge", "robust"] = "sigmoid",
    label_smoothing: float = 0.0,
    margin: Tensor | None = None,
) -> PreferenceLoss:
    """Direct preference optimisation (arXiv 2305.18290, eq. 7) and relatives: four sums of log-probabilities [B] -> PreferenceLoss.

    With h the log-ratio of chosen minus that of rejected: sigmoid -(1-ε) log σ(βh) - ε log σ(-βh) (conservative DPO), robust
    (-(1-ε) log σ(βh) + ε log σ(-βh)) / (1-2ε), hinge relu(1-βh), ipo (h - 1/(2β))². For ipo the caller decides whether to give
    sums or means over the completion. With `margin` [B], βh - margin stands for βh (ODPO, arXiv 2402.10571, eq. 6): the
    implicit reward has to be ahead by that much.
    """
    if label_smoothing and kind in {"ipo", "hinge"}:
        raise ValueError(f"label smoothing has no meaning for {kind}")
    chosen = _precise(policy_chosen) - _precise(ref_chosen)
    rejected = _precise(policy_rejected) - _precise(ref_rejected)
    h = chosen - rejected
    if margin is not None:
        h = h - margin / beta
    if kind == "sigmoid":
        losses = -(1 - label_smoothing) * F.logsigmoid(beta * h) - label_smoothing * F.logsigmoid(-beta * h)
    elif kind == "robust":
        losses = -(1 - label_smoothing) * F.logsigmoid(beta * h) + label_smoothing * F.logsigmoid(-beta * h)
        losses = losses / (1 - 2 * label_smoothing)
    elif kind == "hinge":
        losses = F.relu(1 - beta * h)
    elif kind == "ipo":
        losses = (h - 1 / (2 * beta)).square()
    else:
        raise ValueError(f"unknown kind of DPO loss: {kind!r}")
    return PreferenceLoss(losses.mean(), (beta * chosen).detach(), (beta * rejected).detach())


def ppo_policy(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip: float = 0.2,
    dual_clip: float | None = None,
    num_tokens: Tensor | float | None = None,
) -> PolicyLoss:
    """Clipped surrogate (arXiv 1707.06347, eq. 7): logprobs, old_logprobs, advantages, mask [B, T] -> PolicyLoss.

    Mean over completion tokens of max(-A·ρ, -A·clip(ρ, 1±clip)); with `dual_clip` c (arXiv 1912.09729) at most -A·c where A < 0.
    With `num_tokens` (those of the whole minibatch) loss and means are this part's share: the parts' values add up.
    approx_kl is the mean of (log ρ)² / 2.
    """
    old, gains = _inside(_precise(old_logprobs), mask), _inside(_precise(advantages), mask)
    log_ratio = (_inside(_precise(logprobs), mask) - old).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    ratio = log_ratio.exp()
    plain = -gains * ratio
    clipped = -gains * ratio.clamp(1 - clip, 1 + clip)
    losses = torch.maximum(plain, clipped)
    if dual_clip is not None:
        losses = torch.where(gains < 0, torch.minimum(losses, -gains * dual_clip), losses)
    n = _count(mask, num_tokens)
    return _policy_loss(_masked_sum(losses, mask) / n, log_ratio, ratio, clipped > plain, mask, n)


def ppo_value(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    clip: float | None = 0.2,
    num_tokens: Tensor | float | None = None,
) -> ValueLoss:
    """The critic's loss: values, old_values, returns, mask [B, T] -> ValueLoss.

    Half the masked mean of the larger of (v - R)² and (v_clipped - R)², v_clipped within `clip` of the old value (None or 0: no
    clipping). With `num_tokens` loss and clip_fraction are this part's share. explained_variance is 1 - Var(R - v) / Var(R)
    over this part's completion tokens, NaN where the returns don't vary.
    """
    values, returns = _inside(_precise(values), mask), _inside(_precise(returns), mask)
    errors = (values - returns).square()
    worse = torch.zeros_like(errors, dtype=torch.bool)
    if clip:
        old = _inside(_precise(old_values), mask)
        clipped_errors = (old + (values - old).clamp(-clip, clip) - returns).square()
        worse = clipped_errors > errors
        errors = torch.maximum(errors, clipped_errors)
    n = _count(mask, num_tokens)
    with torch.no_grad():
        unexplained, spread = _variance(returns - values, mask), _variance(returns, mask)
        explained = 1 - unexplained / spread if spread > 0 else torch.full_like(spread, torch.nan)
    return ValueLoss(0.5 * _masked_sum(errors, mask) / n, _masked_sum(worse.to(n.dtype), mask) / n, explained)


def kl_penalty(
    logprobs: Tensor,
    ref_logprobs: Tensor,
    mask: Tensor,
    kind: Literal["k1", "k2", "k3"] = "k3",
    num_tokens: Tensor | float | None = None,
) -> Tensor:
    """KL to the reference as a loss: logprobs, ref_logprobs, mask [B, T] -> scalar mean over completion tokens.

    k2 has the gradient of the KL itself, k3 is never negative and unbiased in value. (The gradient of k1 is zero on average, so it
    is no loss.) With `num_tokens` this part's share.
    """
    away = _inside(_precise(ref_logprobs), mask) - _inside(_precise(logprobs), mask)
    away = away.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    if kind not in {"k2", "k3"}:
        raise ValueError(f"no KL penalty for a loss: {kind!r}")
    estimate = 0.5 * away.square() if kind == "k2" else torch.expm1(away) - away
    return _masked_sum(estimate, mask) / _count(mask, num_tokens)


def grpo(
    logprobs: Tensor,
    old_logprobs: Tensor,
    ref_logprobs: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    clip_low: float = 0.2,
    clip_high: float | None = None,
    beta: float = 0.0,
    aggregate: Literal["grpo", "dapo", "dr_grpo"] = "grpo",
    max_length: int | None = None,
    num_tokens: Tensor | float | None = None,
) -> PolicyLoss:
    """Group-relative policy loss (arXiv 2402.03300): log-probabilities and mask [B, T], advantages [B] -> PolicyLoss.

    Token loss max(-A·ρ, -A·clip(ρ, 1-low, 1+high)) + beta · k3. Aggregated as the mean over sequences of their token means
    (grpo), the sum over the step's tokens (dapo, arXiv 2503.14476), or the sum over B · max_length (dr_grpo, arXiv 2503.20783).
    """
    old = _inside(_precise(old_logprobs), mask)
    current = _inside(_precise(logprobs), mask)
    log_ratio = (current - old).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    ratio = log_ratio.exp()
    gains = _precise(advantages)[:, None]
    plain = -gains * ratio
    clipped = -gains * ratio.clamp(1 - clip_low, 1 + (clip_low if clip_high is None else clip_high))
    losses = torch.maximum(plain, clipped)
    if beta and ref_logprobs is not None:
        away = (_inside(_precise(ref_logprobs), mask) - current).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
        losses = losses + beta * (away.exp() - away - 1)
    n = _count(mask, num_tokens)
    if aggregate == "grpo":
        loss = (_inside(losses, mask).sum(-1) / mask.sum(-1).clamp(min=1)).mean()
    elif aggregate == "dapo":
        loss = _masked_sum(losses, mask) / n
    elif aggregate == "dr_grpo":
        loss = _masked_sum(losses, mask) / (mask.shape[0] * (max_length or mask.shape[1]))
    else:
        raise ValueError(f"unknown aggregation: {aggregate!r}")
    return _policy_loss(loss, log_ratio, ratio, clipped > plain, mask, n)


def orpo(chosen: Tensor, rejected: Tensor, weight: float = 0.1) -> Tensor:
    """Odds-ratio preference optimisation (arXiv 2403.07691): length-mean log-probabilities [B] of both sides -> scalar.

    mean(-chosen) - weight · mean(log σ(log odds(chosen) - log odds(rejected))), log odds(p) = log p - log(1 - p).
    """
    chosen, rejected = _precise(chosen), _precise(rejected)
    odds = (chosen - rejected) - (_log1mexp(chosen) - _log1mexp(rejected))
    return -chosen.mean() - weight * F.logsigmoid(odds).mean()


def simpo(
    chosen: Tensor, rejected: Tensor, beta: float = 2.0, gamma: float = 1.0, margin: Tensor | None = None
) -> Tensor:
    """SimPO (arXiv 2405.14734, eq. 6): length-mean log-probabilities [B] -> scalar mean of -log σ(β(chosen - rejected) - γ).

    `margin` [B] is added to γ pair by pair.
    """
    ahead = beta * (_precise(chosen) - _precise(rejected)) - gamma
    return -F.logsigmoid(ahead if margin is None else ahead - margin).mean()


def kto(
    chosen: Tensor,
    rejected: Tensor,
    kl: Tensor,
    beta: float = 0.1,
    chosen_weight: float = 1.0,
    rejected_weight: float = 1.0,
) -> Tensor:
    """KTO (arXiv 2402.01306): log-ratios to the reference of wanted [B1] and unwanted [B2] completions -> scalar mean.

    Wanted cost 1 - σ(β(r - z)), unwanted 1 - σ(β(z - r)); z = max(0, mean of `kl`), the log-ratios of mismatched pairs, detached.
    """
    zero = _precise(kl).mean().clamp(min=0).detach()
    wanted = chosen_weight * (1 - torch.sigmoid(beta * (_precise(chosen) - zero)))
    unwanted = rejected_weight * (1 - torch.sigmoid(beta * (zero - _precise(rejected))))
    return torch.cat([wanted, unwanted]).mean()


def _policy_loss(
    loss: Tensor, log_ratio: Tensor, ratio: Tensor, was_clipped: Tensor, mask: Tensor, n: Tensor
) -> PolicyLoss:
    with torch.no_grad():
        clip_fraction = _masked_sum(was_clipped.to(n.dtype), mask) / n
        approx_kl = 0.5 * _masked_sum(log_ratio.square(), mask) / n
        inside = torch.where(mask.bool(), ratio, 0.0)
        ratio_max = inside.max() if inside.numel() else inside.new_zeros(())
        return PolicyLoss(loss, clip_fraction, approx_kl, inside.sum() / n, ratio_max)


def _weighted(losses: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of losses [B], or their sum with weights [B]."""
    return losses.mean() if weights is None else (weights.to(losses.dtype) * losses).sum()


def _precise_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _precise(x: Tensor) -> Tensor:
    return x.to(_precise_dtype(x))


def _inside(x: Tensor, mask: Tensor) -> Tensor:
    """Zero outside of the mask, whatever stood there; multiplying would let a NaN through, in value or gradient."""
    return torch.where(mask.bool(), x, 0.0)


def _masked_sum(x: Tensor, mask: Tensor) -> Tensor:
    return _inside(x, mask).sum()


def _count(mask: Tensor, num_tokens: Tensor | float | None) -> Tensor:
    """Tokens to divide by, at least one so that an empty part costs nothing instead of NaN."""
    n = mask.sum() if num_tokens is None else torch.as_tensor(num_tokens, device=mask.device)
    return n.to(torch.float64 if n.dtype == torch.float64 else torch.float32).clamp(min=1)


def _variance(x: Tensor, mask: Tensor) -> Tensor:
    n = _count(mask, None)
    mean = _masked_sum(x, mask) / n
    return _masked_sum((x - mean).square(), mask) / n


def _log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0, by whichever of the two stable forms fits (Mächler 2012)."""
    x = x.clamp(max=-torch.finfo(x.dtype).eps)
    near = x > -0.6931471805599453
    return torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, x, -1.0))),
        torch.log1p(-torch.exp(torch.where(near, -1.0, x))),
    )


def _tempered(logits: Tensor, temperature: float) -> Tensor:
    return _precise(logits) if temperature == 1.0 else _precise(logits) / temperature


def _entropy(logprobs: Tensor) -> Tensor:
    return -torch.linalg.vecdot(logprobs.exp(), logprobs.clamp(min=_NEGLIGIBLE))


def _slices(logits: Tensor) -> list[slice]:
    """Cuts the rows of [N, V] so that a slice holds a bounded number of elements."""
    rows, width = logits.shape
    step = max(1, (_CACHED if logits.device.type == "cpu" else _LAUNCHED) // max(1, width))
    return [slice(start, start + step) for start in range(0, rows, step)]
