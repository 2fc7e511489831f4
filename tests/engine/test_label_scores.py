"""Log-probability, rank and entropy of labels in one pass, against torch's own and finite differences."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from workbench.engine import forward, losses
from workbench.engine.models import Loaded


def logits_and_labels(rows: int = 7, width: int = 11, seed: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(rows, width, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(0, width, (rows,), generator=generator)


@pytest.mark.parametrize("temperature", [1.0, 0.7, 2.5])
def test_that_scores_are_those_of_the_tempered_softmax(temperature: float) -> None:
    logits, labels = logits_and_labels()
    found = losses.label_scores(logits, labels, temperature, with_entropy=True)
    chances = (logits / temperature).softmax(-1)
    assert found.entropy is not None
    torch.testing.assert_close(found.logprobs, chances.log().gather(-1, labels[:, None]).squeeze(-1))
    torch.testing.assert_close(found.entropy, -(chances * chances.log()).sum(-1))
    assert found.correct.tolist() == (logits.argmax(-1) == labels).tolist()
    assert found.correct.any() or labels.ne(logits.argmax(-1)).all()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_that_scores_and_entropies_have_the_gradient_of_finite_differences(temperature: float) -> None:
    logits, labels = logits_and_labels(4, 5)

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        found = losses.label_scores(x, labels[:4], temperature, learn_entropy=True)
        assert found.entropy is not None
        return found.logprobs, found.entropy

    assert torch.autograd.gradcheck(both, (logits,))
    assert torch.autograd.gradcheck(lambda x: both(x)[0], (logits,))
    assert torch.autograd.gradcheck(lambda x: both(x)[1], (logits,))


def test_that_an_entropy_that_is_a_metric_only_carries_no_gradient() -> None:
    logits, labels = logits_and_labels()
    found = losses.label_scores(logits, labels, with_entropy=True)
    assert found.entropy is not None
    assert found.logprobs.requires_grad
    assert not found.entropy.requires_grad
    assert not found.correct.requires_grad


def test_that_impossible_tokens_add_nothing_to_entropy_and_get_no_gradient() -> None:
    logits = torch.tensor([[1.0, -torch.inf, 0.5]], requires_grad=True)
    found = losses.label_scores(logits, torch.tensor([0]), learn_entropy=True)
    assert found.entropy is not None
    (found.logprobs + found.entropy).sum().backward()
    p = F.softmax(torch.tensor([1.0, 0.5]), -1)
    assert float(found.entropy.detach()) == pytest.approx(float(-(p * p.log()).sum()), rel=1e-6)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 1] == 0


def test_that_a_label_is_correct_when_no_token_is_likelier() -> None:
    tied = torch.tensor([[2.0, 2.0, 1.0], [2.0, 2.0, 3.0]])
    assert losses.label_scores(tied, torch.tensor([1, 1])).correct.tolist() == [True, False]


def test_that_logits_beyond_what_is_kept_are_computed_again_with_the_same_result(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = torch.randn(9, loaded.model.config.hidden_size, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(9)
    calls: list[int] = []
    loaded.model.lm_head.register_forward_hook(lambda module, given, out: calls.append(len(out)))

    def scores() -> tuple[Tensor, Tensor]:
        loaded.model.zero_grad()
        found = forward.score_labels(loaded.model, hidden, labels, with_entropy=True, learn_entropy=True)
        assert found.entropy is not None
        (found.logprobs.sum() + 0.3 * found.entropy.sum()).backward()
        return found.logprobs.detach(), loaded.model.lm_head.weight.grad.clone()

    kept = scores()
    assert calls == [9]
    calls.clear()
    monkeypatch.setattr(forward, "KEPT_VALUES", 0)
    monkeypatch.setattr(forward, "CHUNK_VALUES", 4 * loaded.model.config.vocab_size)
    again = scores()
    assert sorted(calls) == [1, 1, 4, 4, 4, 4]
    for one, other in zip(kept, again, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
