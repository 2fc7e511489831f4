"""llama.cpp itself on a GGUF file, through the bindings of llama-cpp-py-sync: its tokens for texts and its logits for tokens.

The package is no part of the environment; the tests that need it are passed over where it is missing. What it carries is llama.cpp
as it is built everywhere, on the processor; keys and values are kept in float32, so that logits can be compared closely.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


class LlamaCpp:
    """One file, loaded; `close` lets it go."""

    def __init__(self, file: Path, context: int = 64) -> None:
        bindings = pytest.importorskip("llama_cpp_py_sync", reason="llama-cpp-py-sync is not installed")
        self._kept = bindings.Llama(
            str(file), n_ctx=context, n_batch=context, n_threads=1, type_k="f32", type_v="f32", flash_attn_type=0, verbose=False
        )  # fmt: skip
        self._context = context
        self._library, self._memory, self._model = self._kept._lib, self._kept._ctx, self._kept._model

    def close(self) -> None:
        """Let the file go."""
        self._kept.close()

    def tokens(self, text: str, marks: bool = False) -> list[int]:
        """The ids of a text that starts a sequence; with `marks`, special tokens spelled out are those tokens."""
        found: list[int] = self._kept.tokenize(text, True, marks)
        return found

    def text(self, ids: list[int]) -> str:
        """The text of ids."""
        return str(self._kept.detokenize(ids))

    def ends(self, token: int) -> bool:
        """Whether a token ends a text."""
        vocabulary = self._library.llama_model_get_vocab(self._model)
        return bool(self._library.llama_vocab_is_eog(vocabulary, token))

    def logits(self, ids: list[int]) -> np.ndarray[Any, Any]:
        """[T, V]: the logits behind each token of a sequence."""
        self._library.llama_memory_clear(self._library.llama_get_memory(self._memory), True)
        batch = self._library.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for place, token in enumerate(ids):
            batch.token[place], batch.pos[place] = token, place
            batch.n_seq_id[place], batch.seq_id[place][0], batch.logits[place] = 1, 0, 1
        assert self._library.llama_decode(self._memory, batch) == 0
        size, ffi = self._kept.n_vocab, self._kept._ffi
        rows = [
            np.frombuffer(
                ffi.buffer(self._library.llama_get_logits_ith(self._memory, place), 4 * size), np.float32
            ).copy()
            for place in range(len(ids))
        ]
        self._library.llama_batch_free(batch)
        return np.stack(rows)

    def greedy(self, ids: list[int], count: int) -> list[int]:
        """The most probable next token, so many times."""
        said: list[int] = []
        for _ in range(count):
            said.append(int(self.logits([*ids, *said])[-1].argmax()))
        return said
