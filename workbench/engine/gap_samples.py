"""What a model with an encoder puts into gaps of fixed texts, for a person to read."""

from __future__ import annotations

from typing import Any

from workbench.engine.device import Setup
from workbench.engine.evaluate import evaluating
from workbench.engine.objectives import GapBatch, Masked, Spans, gap_logits
from workbench.engine.report import Report

MORE_TOKENS = 8  # than the target has, which a decoder may write before it is cut off


def report_gaps(
    report: Report, step: int, model: Any, tokenizer: Any, rows: Masked | Spans, count: int, setup: Setup
) -> None:
    """Report the first `count` rows with the gaps that epoch 0 makes, and what the model says stands in them.

    A masked model fills each gap with its likeliest token, all at once; a decoder writes greedily, sentinels included.
    """
    drawn = rows.draw([(row, 0) for row in range(min(count, len(rows)))])
    with evaluating(model), setup.autocast():
        for index in range(len(drawn.lengths)):
            batch = drawn.batch([index])
            assert isinstance(batch, GapBatch)
            there = batch.to(setup.device)
            if there.decoder_input_ids is None:
                said = batch.input_ids.flatten().clone()
                said[batch.places] = gap_logits(model, there).argmax(-1).cpu()
            else:
                most = len(batch.labels) + MORE_TOKENS
                written = model.generate(
                    input_ids=there.input_ids,
                    attention_mask=there.attention_mask,
                    max_new_tokens=most,
                    do_sample=False,
                    num_beams=1,
                )
                said = written[0, 1:].cpu()
            right = (
                float((said[batch.places] == batch.labels).float().mean()) if there.decoder_input_ids is None else None
            )
            numbers = {"length": float(len(said))} | ({} if right is None else {"right": right})
            report.sample(
                step, index, tokenizer.decode(batch.input_ids[0].tolist()), tokenizer.decode(said.tolist()), numbers
            )
