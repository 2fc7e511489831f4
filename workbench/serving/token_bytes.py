"""What a token is in bytes, also where a character is spread over several tokens."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from workbench.engine.decoding.pieces import Pieces

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TokenBytes:
    """Text and bytes of single tokens; remembered by id. The bytes of a text's tokens, joined, are the text in UTF-8."""

    def __init__(self, tokenizer: Any, pieces: Pieces) -> None:
        self._tokenizer = tokenizer
        self._pieces = pieces
        self._special = frozenset(tokenizer.all_special_ids)
        self._byte_level = _is_byte_level(tokenizer)
        self._known: dict[int, bytes | None] = {}

    def text(self, token: int) -> str:
        """What the token looks like; a lone part of a character is shown by the vocabulary's own name for it."""
        return self._pieces[token]

    def raw(self, token: int) -> bytes | None:
        """What the token adds to a text; None for special tokens, which have no text."""
        if token not in self._known:
            self._known[token] = None if token in self._special else self._look(token)
        return self._known[token]

    def _look(self, token: int) -> bytes:
        name = str(self._tokenizer.convert_ids_to_tokens(token) or "")
        if found := _BYTE.fullmatch(name):
            return bytes([int(found[1], 16)])
        if self._byte_level and all(letter in letters() for letter in name):
            return bytes(letters()[letter] for letter in name)
        return self._pieces[token].encode("utf-8", "replace")


@cache
def letters() -> dict[str, int]:
    """The letters that byte-level vocabularies write bytes with: printable bytes as they are, all others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + place): byte for place, byte in enumerate(rest)}


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return False
    decoder = json.loads(backend.to_str()).get("decoder") or {}
    return any(part.get("type") == "ByteLevel" for part in (decoder, *decoder.get("decoders", ())))
