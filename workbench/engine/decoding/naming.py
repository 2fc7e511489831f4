"""Texts for what strategies say in ids: they know no tokenizer."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter

from workbench.domain.choices import Aside, BeamLevel, ContrastOption, SearchOption, TokenChoice
from workbench.engine.decoding.measure import Measured
from workbench.engine.decoding.pieces import Pieces

_CHOICE = TypeAdapter(TokenChoice)
T = TypeVar("T", ContrastOption, SearchOption)


class Spoken(NamedTuple):
    """A measured token with its text, which begins at offset `start` of the whole."""

    measured: Measured
    text: str
    start: int

    @property
    def id(self) -> int:
        """The token."""
        return self.measured.id

    @property
    def logprob(self) -> float:
        """Its log-probability under the model, nats."""
        return self.measured.logprob

    @property
    def end(self) -> int:
        """Where its text ends."""
        return self.start + len(self.text)


def fields(pieces: Pieces, spoken: Spoken) -> dict[str, Any]:
    """What is told of a chosen token: the fields of TokenChoice, in plain values.

    This is done for every token, with twenty alternatives each; whoever gets it over a pipe checks it anyway.
    """
    m = spoken.measured
    alternatives = [
        {"id": id, "text": pieces[id], "p_model": p_model, "p_used": p_used, "cut_by": cut_by}
        for id, p_model, p_used, cut_by in zip(*m.likeliest, strict=True)
    ]
    contrast, search = m.contrast, m.search
    if contrast is not None:
        contrast = contrast.model_copy(update={"options": _named(pieces, contrast.options)})
    if search is not None:
        search = search.model_copy(update={"options": _named(pieces, search.options)})
    return {
        "id": m.id, "text": spoken.text, "start": spoken.start, "end": spoken.end, "p_model": m.p_model, "p_used": m.p_used,
        "logprob": m.logprob, "rank": m.rank, "entropy": m.entropy, "kept": m.kept, "kept_mass": m.kept_mass,
        "alternatives": alternatives, "beam": m.beam, "contrast": contrast, "search": search, "draft": m.draft,
        "mirostat": m.mirostat,
    }  # fmt: skip


def choice(pieces: Pieces, spoken: Spoken) -> TokenChoice:
    """The same as an object."""
    return _CHOICE.validate_python(fields(pieces, spoken))


def named(pieces: Pieces, aside: Aside) -> Aside:
    """The aside with the texts of its tokens."""
    if isinstance(aside, BeamLevel):
        nodes = tuple(node.model_copy(update={"text": pieces[node.id]}) for node in aside.nodes)
        return aside.model_copy(update={"nodes": nodes})
    drafted = tuple(token.model_copy(update={"text": pieces[token.id]}) for token in aside.drafted)
    added = "" if aside.added is None else pieces[aside.added]
    return aside.model_copy(update={"drafted": drafted, "added_text": added})


def _named(pieces: Pieces, options: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(option.model_copy(update={"text": pieces[option.id]}) for option in options)
