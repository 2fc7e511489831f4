"""What the decoding worker keeps of columns: logits within a budget, read again where they were not kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from workbench.domain.decoding import Greedy
from workbench.domain.errors import BadInput
from workbench.engine.decode_columns import KEPT_COLUMNS, Column, Kept, Ledger, Opening, read_again
from workbench.engine.decoding.decode import decode_together
from workbench.engine.decoding.measure import Look, Noted
from workbench.engine.decoding.voice import Voice
from workbench.engine.models import Loaded, eos_ids

PROMPT = [1, 403, 407]


@pytest.fixture
def voice(loaded: Loaded) -> Voice:
    return Voice.of(loaded.model, loaded.tokenizer, eos_ids(loaded))


def keep(ledger: Ledger, voice: Voice, job: int, number: int, start: tuple[int, ...] = ()) -> Column:
    """Decode ten tokens into a ledger."""
    opening = Opening(PROMPT, start)
    settings = Greedy(max_new_tokens=10)
    take = ledger.open(job, number, "/m", opening, voice)
    column = Column(job, number, decode_together(voice, PROMPT, settings, start=start, keep=take), voice, opening, None)
    while getattr(column.step(), "kind", "") != "column_done":
        pass
    ledger.close(column)
    return column


def never() -> Voice:
    raise AssertionError("the model isn't needed")


def test_that_kept_logits_are_the_model_s_and_need_no_model(voice: Voice) -> None:
    ledger = Ledger()
    column = keep(ledger, voice, 1, 0)
    said = ledger.said(ledger.column(1, 0, 9), never)
    assert said.ids == column.ids and len(said.logits) == 10
    for kept, again in zip(said.logits, read_again(voice, PROMPT, column.ids), strict=True):
        torch.testing.assert_close(kept, again, atol=1e-4, rtol=1e-4)


def test_that_tokens_from_before_are_read_once_and_then_kept(voice: Voice) -> None:
    ledger = Ledger()
    whole = keep(ledger, voice, 1, 0)
    keep(ledger, voice, 2, 0, tuple(whole.ids[:6]))
    kept = ledger.column(2, 0, 0)
    assert sorted(kept.logits) == [6, 7, 8, 9]
    first = ledger.said(kept, lambda: voice)
    second = ledger.said(kept, never)
    assert first.ids == second.ids == whole.ids
    for one, other in zip(second.logits, ledger.said(ledger.column(1, 0, 0), never).logits, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_that_the_oldest_columns_give_way_and_are_read_again(voice: Voice) -> None:
    size = 10 * 512 * 4
    ledger = Ledger(budget=2 * size)
    for number in range(3):
        keep(ledger, voice, 1, number)
    held = [len(ledger.column(1, number, 0).logits) for number in range(3)]
    assert held == [0, 10, 10]
    assert len(ledger.said(ledger.column(1, 0, 0), lambda: voice).logits) == 10
    assert len(ledger.column(1, 0, 0).logits) == 10, "and then it is another one's turn to go"
    assert sum(len(kept.logits) for kept in ledger._columns.values()) == 20


def test_that_one_column_is_kept_whole_however_long(voice: Voice) -> None:
    ledger = Ledger(budget=1)
    keep(ledger, voice, 1, 0)
    assert len(ledger.said(ledger.column(1, 0, 0), never).logits) == 10


def test_that_columns_go_when_there_are_too_many(voice: Voice) -> None:
    ledger = Ledger()
    for job in range(KEPT_COLUMNS + 1):
        take = ledger.open(job, 0, "/m", Opening(PROMPT, (7,)), voice)
        take(Noted(7, Look(torch.zeros(1, 512))))
    with pytest.raises(BadInput, match="no longer"):
        ledger.column(0, 0, 0)
    assert isinstance(ledger.column(1, 0, 0), Kept)
    assert ledger._held == KEPT_COLUMNS * 512 * 4
    with pytest.raises(BadInput, match="has 1 tokens"):
        ledger.column(1, 0, 1)


def test_that_a_long_text_is_read_in_pieces(voice: Voice, shared: Path) -> None:
    ids = [400 + place % 90 for place in range(150)]
    rows = read_again(voice, PROMPT, ids)
    with torch.inference_mode():
        expected = voice.model(torch.tensor([[*PROMPT, *ids[:-1]]])).logits[0, len(PROMPT) - 1 :]
    torch.testing.assert_close(torch.stack(rows), expected, atol=1e-3, rtol=1e-3)
