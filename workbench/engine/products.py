"""Matrix products in float32 where MKL doesn't use what the processor has: AMD's, with AVX-512.

MKL keeps to AVX2 there, at half the speed that oneDNN reaches. torch takes oneDNN for half precision only, so its products of two
matrices are replaced for the whole process: forward and backward passes of every model gain, and no model needs to know.

oneDNN keeps compiled code for each shape that it meets, up to a megabyte of it. The number of tokens is what varies: it goes in slabs
of at most 512, filled up to a multiple of 64, so that few shapes ever come up.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

SLAB, STRIDE = 512, 64  # tokens in one product at most, and what their number is a multiple of
WORTH_IT = 2**21  # multiplications from which a product pays for being prepared

_library: torch.library.Library | None = None


def install() -> bool:
    """Let this process's products run on oneDNN where that is the faster library; says whether they do. Once is enough."""
    global _library
    if _library is None and gains():
        _library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Warning only once for all operators", UserWarning)
            _library.impl("mm", mm, "CPU")
            _library.impl("addmm", addmm, "CPU")
    return _library is not None


def gains() -> bool:
    """Whether this processor is one on which MKL halts at AVX2. A run that is resumed elsewhere may differ in its last bits anyway."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return torch.backends.mkl.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512" and _amd()


def _amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8")[:4096]
    except OSError:
        return "AuthenticAMD" in os.environ.get("PROCESSOR_IDENTIFIER", "")


def mm(a: Tensor, b: Tensor) -> Tensor:
    """[M, N]: the product of [M, K] and [K, N], as torch.mm says it."""
    if _fits(a, b):
        return product(a, b, None)
    return torch.ops.aten.mm.out(a, b, out=a.new_empty(a.shape[0], b.shape[1]))


def addmm(added: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """[M, N]: beta · added + alpha · a b, as torch.addmm says it."""
    if beta == alpha == 1 and added.shape == b.shape[1:] and added.dtype is torch.float32 and _fits(a, b):
        return product(a, b, added)
    out = a.new_empty(a.shape[0], b.shape[1])
    return torch.ops.aten.addmm.out(added, a, b, beta=beta, alpha=alpha, out=out)


def _fits(a: Tensor, b: Tensor) -> bool:
    if a.dtype is not torch.float32 or b.dtype is not torch.float32 or a.ndim != 2 or b.ndim != 2:
        return False
    if a.shape[1] != b.shape[0] or a.shape[0] * a.shape[1] * b.shape[1] < WORTH_IT:
        return False  # what doesn't match is for torch to refuse
    if a.shape[_tokens(a)] < STRIDE:
        return False  # as in decoding
    return 1 in a.stride() and 1 in b.stride() and 0 not in a.stride() + b.stride()  # as products of layers lie


def _tokens(a: Tensor) -> int:
    """Which dimension of the left factor counts tokens.

    In a forward pass and for the gradient of the input they are its rows; for the gradient of the weights it lies transposed, and
    they are its columns.
    """
    return 1 if a.stride(0) == 1 else 0


def product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """[M, N] float32: [M, K] times [K, N], plus bias [N]. Either factor may lie transposed in memory; STRIDE tokens at least."""
    if _tokens(a) and bias is None:
        return _over_columns(a, b)
    rows = len(a)
    if rows <= SLAB:
        return _slab(a, b, bias)
    out = a.new_empty(rows, b.shape[1])
    for start in range(0, rows, SLAB):
        out[start : start + SLAB] = _slab(a[start : start + SLAB], b, bias)
    return out


def _slab(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """The product of at most SLAB rows, some of them empty ones that fill up."""
    rows = len(a)
    if missing := -rows % STRIDE:
        a = functional.pad(a, (0, 0, 0, missing))
    return _call(a, b.t(), bias)[:rows]


def _over_columns(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the products of slabs of a's columns; what is left of a multiple of STRIDE is added by MKL."""
    size = a.shape[1]
    whole = size - size % STRIDE
    total: Tensor | None = None
    for start in range(0, whole, SLAB):
        end = min(start + SLAB, whole)
        part = _call(a[:, start:end], b[start:end].t(), None)
        total = part if total is None else total.add_(part)
    assert total is not None
    if whole < size:
        torch.ops.aten.addmm.out(total, a[:, whole:], b[whole:], out=total)
    return total


def _call(a: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(a, weight, bias, "none", [], "")
