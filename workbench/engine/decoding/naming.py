"""Texts for what strategies say in ids: they know no tokenizer."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter

from workbench.domain.choices import Aside, BeamLevel, ContrastOption, SearchOption, TokenChoice
from workbench.engine.decoding.measure import Measured
from workbench.engine.decoding.pieces import Pieces

_CHOICE = TypeAdapter(TokenChoice)
T = TypeVar("T", ContrastOption, SearchOption)


def choice(pieces: Pieces, measured: Measured, piece: str, start: int) -> TokenChoice:
    """What is told of a chosen token; `piece` is its text, beginning at offset `start`."""
    m = measured
    # Twenty small objects: pydantic makes them of dictionaries in a third of the time that it takes to construct each.
    alternatives = [
        {"id": i, "text": pieces[i], "p_model": p, "p_used": used, "cut_by": by} for i, p, used, by in m.options
    ]
    contrast, search = m.contrast, m.search
    if contrast is not None:
        contrast = contrast.model_copy(update={"options": _named(pieces, contrast.options)})
    if search is not None:
        search = search.model_copy(update={"options": _named(pieces, search.options)})
    return _CHOICE.validate_python(
        {
            "id": m.id, "text": piece, "start": start, "end": start + len(piece), "p_model": m.p_model, "p_used": m.p_used,
            "logprob": m.logprob, "rank": m.rank, "entropy": m.entropy, "kept": m.kept, "kept_mass": m.kept_mass,
            "alternatives": alternatives, "beam": m.beam, "contrast": contrast, "search": search, "draft": m.draft,
            "mirostat": m.mirostat,
        }
    )  # fmt: skip


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
