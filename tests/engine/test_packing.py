from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.domain.errors import RunFailed
from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluate_rows, token_scores
from workbench.engine.models import Loaded
from workbench.engine.packing import pack
from workbench.engine.text import encode_documents

CPU = Setup(torch.device("cpu"), torch.float32)


def lengths_of(count: int, most: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [[1, *rng.integers(3, 500, int(n)).tolist(), 2] for n in rng.integers(3, most, count)]


def test_that_every_token_is_packed_once_and_rows_are_nearly_full() -> None:
    documents = lengths_of(300, 60)
    packed = pack(documents, 128, pad=0, seed=1)
    assert sum(packed.lengths) == sum(map(len, documents))
    assert packed.fill > 0.97
    assert packed.pieces == 300
    assert sorted(packed.ids[packed.segments > 0].tolist()) == sorted(i for ids in documents for i in ids)


def test_that_a_long_document_is_cut_into_pieces_that_start_afresh() -> None:
    packed = pack([list(range(3, 28))], 10, pad=0, seed=0)
    assert packed.pieces == 3
    assert sorted(packed.lengths) == [5, 10, 10]
    assert (packed.positions[:, 0] == 0).all()


def test_that_targets_are_all_tokens_but_each_documents_first() -> None:
    packed = pack(lengths_of(20, 30), 64, pad=0, seed=0)
    rows = range(len(packed))
    batch = packed.batch(rows)
    assert batch.targets == packed.targets(rows) == sum(packed.lengths) - packed.pieces
    assert not (batch.labels == 1).any()  # BOS is never a target


def test_that_documents_in_one_row_score_exactly_as_they_do_alone(loaded: Loaded) -> None:
    texts = ["Once upon a time there was a dog.", "The sun was hot.", "Lily and Tom went to the park to play."]
    documents = encode_documents(loaded.tokenizer, texts)
    together = pack(documents, 128, loaded.pad, seed=0)
    assert len(together) == 1
    with torch.no_grad():
        whole = token_scores(loaded.model, together.batch([0])).logprobs.sum()
        alone = sum(
            token_scores(loaded.model, pack([ids], 128, loaded.pad, 0).batch([0])).logprobs.sum() for ids in documents
        )
    assert whole.item() == pytest.approx(float(alone), rel=1e-5)


def test_that_evaluation_does_not_depend_on_how_rows_are_batched(loaded: Loaded, texts: list[str]) -> None:
    packed = pack(encode_documents(loaded.tokenizer, texts[:30]), 128, loaded.pad, 0)
    by_one, by_eight = (evaluate_rows(loaded.model, packed, size, CPU) for size in (1, 8))
    assert by_one == pytest.approx(by_eight, rel=1e-5)
    assert by_one["eval/perplexity"] == pytest.approx(np.exp(by_one["eval/loss"]))


def test_that_the_same_seed_packs_the_same_rows_and_another_does_not() -> None:
    documents = lengths_of(40, 30)
    first, again, other = (pack(documents, 64, 0, seed).ids for seed in (1, 1, 2))
    assert (first == again).all()
    assert first.shape != other.shape or (first != other).any()


def test_that_documents_without_anything_to_predict_are_refused() -> None:
    with pytest.raises(RunFailed, match="hold no text"):
        pack([[1], []], 16, 0, 0)
