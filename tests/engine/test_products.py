"""Products of matrices on oneDNN: the same numbers as MKL's, in every lie of the factors, and nothing else changes."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.engine.architectures import make_model
from workbench.engine import products
from workbench.engine.forward import hidden_states, project

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"),
    reason="torch was built without oneDNN",
)


def factors(rows: int, inner: int, columns: int, *, left: bool, right: bool) -> tuple[Tensor, Tensor]:
    """[rows, inner] and [inner, columns], each as it is or transposed in memory."""
    torch.manual_seed(rows + 7 * inner + 31 * columns)
    a = torch.randn(inner, rows).T if left else torch.randn(rows, inner)
    b = torch.randn(columns, inner).T if right else torch.randn(inner, columns)
    return a, b


def exact(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    return a.double() @ b.double() + (0 if bias is None else bias.double())


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The replacement at work whatever the processor, taken back behind the test; the list counts products on oneDNN."""
    counted: list[int] = []
    real = products._call

    def call(a: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        counted.append(len(a))
        return real(a, weight, bias)

    was_there = products._library is not None
    monkeypatch.setattr(products, "_call", call)
    monkeypatch.setattr(products, "gains", lambda: True)
    assert products.install()
    yield counted
    if not was_there and products._library is not None:
        products._library._destroy()
        products._library = None


@needs_onednn
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("rows", [64, 100, 512, 513, 1200])
@pytest.mark.parametrize(("inner", "columns"), [(256, 96), (172, 300), (70, 33)])
def test_that_a_product_is_right_however_the_factors_lie(
    rows: int, inner: int, columns: int, left: bool, right: bool
) -> None:
    a, b = factors(rows, inner, columns, left=left, right=right)
    found = products.product(a, b, None)
    assert found.shape == (rows, columns)
    assert found.is_contiguous()
    torch.testing.assert_close(found.double(), exact(a, b), rtol=1e-5, atol=1e-5 * inner**0.5)


@needs_onednn
@pytest.mark.parametrize("rows", [64, 130, 700])
def test_that_a_bias_is_added_to_every_row(rows: int) -> None:
    a, b = factors(rows, 256, 128, left=False, right=True)
    bias = torch.randn(128)
    torch.testing.assert_close(products.product(a, b, bias).double(), exact(a, b, bias), rtol=1e-5, atol=1e-4)


@needs_onednn
def test_that_columns_of_a_wider_matrix_may_be_a_factor() -> None:
    wide = torch.randn(200, 600)
    a, b = wide[:, 100:400], torch.randn(600, 128)[200:500]
    torch.testing.assert_close(products.product(a, b, None).double(), exact(a, b), rtol=1e-5, atol=1e-4)


@needs_onednn
def test_that_few_shapes_come_up_whatever_the_number_of_tokens(installed: list[int]) -> None:
    weight = torch.randn(128, 128)
    for tokens in range(129, 1200, 37):
        functional.linear(torch.randn(tokens, 128), weight)
    assert {rows % products.STRIDE for rows in installed} == {0}
    assert max(installed) <= products.SLAB


@needs_onednn
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(256,), (3, 100), (2, 3, 201)])
def test_that_a_layer_and_its_gradients_say_the_same(shape: tuple[int, ...], bias: bool, installed: list[int]) -> None:
    torch.manual_seed(1)
    layer = torch.nn.Linear(160, 224, bias=bias)
    x = torch.randn(*shape, 160, requires_grad=True)
    pull = torch.randn(*shape, 224)
    (layer(x) * pull).sum().backward()
    assert len(installed) >= 3
    again, double = torch.nn.Linear(160, 224, bias=bias).double(), x.detach().double().requires_grad_(True)
    again.load_state_dict(layer.state_dict())
    (again(double) * pull.double()).sum().backward()
    wanted = [double.grad, *(parameter.grad for parameter in again.parameters())]
    for found, right in zip([x.grad, *(p.grad for p in layer.parameters())], wanted, strict=True):
        assert found is not None and right is not None
        torch.testing.assert_close(found.double(), right, rtol=1e-5, atol=2e-4)


def pass_over(name: str) -> list[Tensor]:
    """A small model's logits of 4 · 24 tokens, and the gradients of all its weights."""
    model = make_model(name, scale=2.0)
    torch.manual_seed(3)
    ids = torch.randint(3, 128, (4, 24))
    logits = project(model, hidden_states(model, ids, None, None).flatten(0, 1))
    (logits.log_softmax(-1) * torch.randn(logits.shape)).sum().backward()
    return [logits.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]


@needs_onednn
@pytest.mark.parametrize(
    "name", ["gpt2", "llama", "qwen2", "gemma3", "phi", "phi3", "neox", "opt", "falcon", "mixtral"]
)
def test_that_architectures_and_their_gradients_say_the_same(
    name: str, installed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "WORTH_IT", 2**40)
    expected = pass_over(name)
    assert installed == []
    monkeypatch.setattr(products, "WORTH_IT", 1)
    found = pass_over(name)
    assert len(installed) > 8
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@needs_onednn
def test_that_the_same_product_twice_is_the_same_to_the_last_bit(installed: list[int]) -> None:
    a, b = factors(300, 256, 512, left=False, right=True)
    assert torch.equal(torch.mm(a, b), torch.mm(a, b))
    assert installed


@needs_onednn
def test_that_what_oneDNN_isnt_meant_for_stays_as_it_was(installed: list[int]) -> None:
    a, b = torch.randn(128, 128, dtype=torch.float64), torch.randn(128, 128, dtype=torch.float64)
    assert torch.equal(torch.mm(a, b), torch.mm(a, b, out=torch.empty(128, 128, dtype=torch.float64)))
    assert torch.equal(torch.mm(torch.eye(2, dtype=torch.long), torch.eye(2, dtype=torch.long)), torch.eye(2).long())
    assert torch.mm(torch.zeros(0, 5), torch.zeros(5, 3)).shape == (0, 3)
    few = torch.randn(8, 512)
    wide = torch.randn(512, 2048)
    torch.testing.assert_close(torch.mm(few, wide).double(), exact(few, wide), rtol=1e-5, atol=1e-3)
    spread = torch.randn(1, 128).expand(256, 128)
    torch.testing.assert_close(torch.mm(spread, wide[:128]).double(), exact(spread, wide[:128]), rtol=1e-5, atol=1e-4)
    half = torch.randn(128, 128, dtype=torch.bfloat16)
    assert torch.mm(half, half).dtype is torch.bfloat16
    assert installed == []


@needs_onednn
def test_that_scaled_sums_are_left_to_torch(installed: list[int]) -> None:
    a, b = factors(128, 256, 192, left=False, right=False)
    added = torch.randn(128, 192)
    found = torch.addmm(added, a, b, beta=0.5, alpha=2)
    torch.testing.assert_close(found.double(), 0.5 * added.double() + 2 * exact(a, b), rtol=1e-5, atol=2e-4)
    assert installed == []


@needs_onednn
def test_that_factors_that_dont_match_are_refused_as_ever(installed: list[int]) -> None:
    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied|size"):
        torch.mm(torch.randn(256, 256), torch.randn(255, 256))
    assert installed == []


@needs_onednn
@pytest.mark.parametrize("inference", [False, True])
def test_that_passes_without_gradients_gain_too(inference: bool, installed: list[int]) -> None:
    a, b = factors(256, 256, 256, left=False, right=True)
    with torch.inference_mode(inference), torch.no_grad():
        torch.testing.assert_close(torch.mm(a, b).double(), exact(a, b), rtol=1e-5, atol=1e-4)
    assert installed == [256]


def test_that_other_processors_keep_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_library", None)
    monkeypatch.setattr(products, "gains", lambda: False)
    assert not products.install()
    monkeypatch.undo()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not products.gains()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(products, "_amd", lambda: False)
    assert not products.gains()
