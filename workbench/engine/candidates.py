"""The candidates of judged items as token ids, in groups by prompt, with their scores kept in the run folder."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from workbench.domain.errors import BadInput
from workbench.engine.batches import Pair
from workbench.engine.data import Row, prompt_of
from workbench.engine.device import Setup
from workbench.engine.reward_sources import Sources
from workbench.engine.text import encode_completion, encode_prompt
from workbench.protocol.run_folder import RunFolder, read_json, write_atomically


class Group(NamedTuple):
    """A prompt with its distinct candidates as ids, and the row that it came from first."""

    row: Row
    prompt: list[int]
    completions: list[list[int]]


def encode_candidates(
    rows: Sequence[Row], tokenizer: Any, chat_format: str, max_length: int
) -> tuple[list[Group], Counter[str]]:
    """Groups in the order in which their prompts come up, and why candidates were left out.

    Rows are rankings (`completions`) or comparisons (`chosen`, `rejected`); what a prompt's rows name is put together.
    """
    texts: dict[str, dict[str, None]] = {}
    first: dict[str, Row] = {}
    for row in rows:
        key = prompt_of(row).key()
        first.setdefault(key, row)
        named = row["completions"] if "completions" in row else (row["chosen"], row["rejected"])
        texts.setdefault(key, {}).update(dict.fromkeys(text or "" for text in named))
    groups, left_out = [], Counter[str]()
    for key, candidates in texts.items():
        try:
            prompt = encode_prompt(tokenizer, prompt_of(first[key]), chat_format)
        except BadInput as error:
            left_out[error.what] += len(candidates)
            continue
        encoded = [encode_completion(tokenizer, text) for text in candidates]
        fitting = [ids for ids in encoded if Pair(prompt, ids).length <= max_length]
        if len(fitting) < len(encoded):
            # One that is cut couldn't be scored: a score is taken at a completion's end.
            left_out[f"prompt and completion have more than {max_length} tokens"] += len(encoded) - len(fitting)
        if len(fitting) > 1:
            groups.append(Group(first[key], prompt, fitting))
        else:
            left_out["the prompt has no other candidate to compare with"] += len(fitting)
    return groups, left_out


def score_candidates(groups: Sequence[Group], sources: Sources, folder: RunFolder, setup: Setup) -> list[list[float]]:
    """The score of each candidate, in the order of the groups.

    What was scored once is read from the run folder again, so that a resumed run learns from the same numbers, whatever a
    function says the second time.
    """
    path = folder.path / "scores.json"
    digest = hashlib.sha256(repr([(one.prompt, one.completions) for one in groups]).encode()).hexdigest()
    if path.exists() and (kept := read_json(path)).get("candidates") == digest:
        scores: list[list[float]] = kept["scores"]
        return scores
    prompts = [one.prompt for one in groups for _ in one.completions]
    rows = [one.row for one in groups for _ in one.completions]
    found = sources.score(prompts, [ids for one in groups for ids in one.completions], rows, setup).total
    scores = [part.tolist() for part in found.cpu().double().split([len(one.completions) for one in groups])]
    write_atomically(path, json.dumps({"candidates": digest, "scores": scores}))
    return scores
