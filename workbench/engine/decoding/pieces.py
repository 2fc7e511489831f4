"""Text of tokens, byte-exact: pieces whose concatenation is the text, also where a character is spread over several tokens."""

from __future__ import annotations

from typing import Any

from tokenizers.decoders import DecodeStream


class Pieces:
    """What one token looks like on its own, for lists of alternatives; remembered per id."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}
        # Some decoders strip a leading space: a token is decoded behind an anchor, and the anchor's text is taken off.
        ids = tokenizer.encode("a", add_special_tokens=False)
        self._anchor = list(ids[-1:])
        self._anchor_text = tokenizer.decode(self._anchor)

    def __getitem__(self, token: int) -> str:
        """The piece of an id; a lone byte of a longer character is shown by the vocabulary's own name for it."""
        piece = self._known.get(token)
        if piece is None:
            piece = self._known[token] = self._decode(token)
        return piece

    def _decode(self, token: int) -> str:
        together = self._tokenizer.decode([*self._anchor, token], skip_special_tokens=False)
        piece = together[len(self._anchor_text) :] if together.startswith(self._anchor_text) else together
        if piece and "\ufffd" not in piece:
            return str(piece)
        name = self._tokenizer.convert_ids_to_tokens(token)
        return "" if name is None else str(name)


class TextStream:
    """Grows a text token by token behind a prompt; special tokens have no text."""

    def __init__(self, tokenizer: Any, prompt: list[int]) -> None:
        self._tokenizer = tokenizer
        self._backend = getattr(tokenizer, "backend_tokenizer", None)
        self._prompt = list(prompt)
        self._stream = DecodeStream(self._prompt, skip_special_tokens=True)
        self._ids = list(prompt)
        self._said = tokenizer.decode(self._ids, skip_special_tokens=True) if self._backend is None else ""

    def push(self, token: int) -> str:
        """The text that this token completes: empty for a special token or while a character is incomplete."""
        if self._backend is None:
            return self._push_slowly(token)
        try:
            return self._stream.step(self._backend, token) or ""
        except Exception:  # noqa: BLE001 - the library has no class of its own for it
            # Single bytes that are no text have changed what was said before them: they are left out, and the text goes on.
            self._stream = DecodeStream(self._prompt, skip_special_tokens=True)
            return self._stream.step(self._backend, token) or ""

    def _push_slowly(self, token: int) -> str:
        """For the few tokenizers without a fast backend: decode everything and take what is new."""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        if text.endswith("\ufffd") or not text.startswith(self._said):
            return ""
        piece = text[len(self._said) :]
        self._said = text
        return str(piece)


def text_of(tokenizer: Any, prompt: list[int], ids: list[int]) -> str:
    """The text of these ids behind a prompt, as a stream would have told it."""
    stream = TextStream(tokenizer, prompt)
    return "".join(stream.push(token) for token in ids)


def completion_of(tokenizer: Any, ids: list[int]) -> str:
    """The text of these ids alone, as training and scoring encode it again (some decoders drop its first space)."""
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def cut_at_stop(text: str, stops: tuple[str, ...]) -> int | None:
    """Where the earliest stop text begins, or None."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return min(places, default=None)


def undecided_tail(text: str, stops: tuple[str, ...]) -> int:
    """How many characters at the end could still turn out to be the beginning of a stop text."""
    longest = 0
    for stop in stops:
        for size in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:size]):
                longest = size
                break
    return longest
