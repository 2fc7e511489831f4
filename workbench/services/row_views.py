"""Rows as a person reads them: a title, texts with headings, and facts."""

from __future__ import annotations

from string import ascii_uppercase

from workbench.domain.decoding import DecodingSettings
from workbench.domain.judgement import Item, Judgement
from workbench.domain.text import Candidate, Demonstration, Prompt
from workbench.services.views import RowView

TITLE = 120


def row_view(
    index: int,
    value: str | Prompt | Demonstration | tuple[Item, list[Judgement]],
    facts: tuple[tuple[str, str], ...] = (),
) -> RowView:
    """One row of any kind."""
    if isinstance(value, tuple):
        return _item_view(index, *value, facts)
    if isinstance(value, Demonstration):
        texts = (*_prompt_texts(value.prompt), ("Completion", value.completion))
        return RowView(index, str(index + 1), _title(value.prompt.text), texts, facts)
    if isinstance(value, Prompt):
        return RowView(index, str(index + 1), _title(value.text), _prompt_texts(value), facts)
    return RowView(index, str(index + 1), _title(value), (("Text", value),), facts)


def describe_judgement(judgement: Judgement) -> str:
    """A judgement in one line: "me: A ≻ B"; a judgement by a rule or model says so, and how sure it was."""
    if judgement.annotator_kind == "person":
        return f"{judgement.annotator}: {describe_outcome(judgement)}"
    how = f" · {judgement.note}" if judgement.note else ""
    return f"{judgement.annotator} ({judgement.annotator_kind}, synthetic): {describe_outcome(judgement)}{how}"


def describe_outcome(judgement: Judgement) -> str:
    """What was said: "A ≻ B = C", "all bad" or "skipped (unclear)"."""
    if judgement.ranking is None:
        reason = (judgement.skip_reason or "").replace("_", " ")
        return "all bad" if judgement.outcome == "all_bad" else f"skipped ({reason})"
    tiers = [" = ".join(ascii_uppercase[i] for i in tier) for tier in judgement.ranking.tiers]
    return (" ≫ " if judgement.strength > 1 else " ≻ ").join(tiers)


def _item_view(index: int, item: Item, said: list[Judgement], facts: tuple[tuple[str, str], ...]) -> RowView:
    ranked = [j.ranking for j in said if j.ranking is not None and len(j.ranking.tiers) == 2]
    texts = list(_prompt_texts(item.prompt))
    if len(item.candidates) == 2 and ranked and all(r == ranked[0] for r in ranked):
        order = [i for tier in ranked[0].tiers for i in tier]
        texts += [("Chosen", item.candidates[order[0]].text), ("Rejected", item.candidates[order[1]].text)]
    else:
        texts += [(ascii_uppercase[i], c.text) for i, c in enumerate(item.candidates)]
    more = [("Judgement", describe_judgement(j)) for j in said]
    more += [(ascii_uppercase[i], _origin(c)) for i, c in enumerate(item.candidates) if _origin(c)]
    return RowView(index, item.id, _title(item.prompt.text), tuple(texts), (*more, *facts))


def _prompt_texts(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    if len(prompt.turns) == 1:
        return (("Raw prompt" if prompt.raw else "Prompt", prompt.text),)
    return tuple((turn.role.capitalize(), turn.content) for turn in prompt.turns)


def _origin(candidate: Candidate) -> str:
    parts = [candidate.model or "", _settings(candidate.settings)]
    parts.append("" if candidate.seed is None else f"seed {candidate.seed}")
    parts.append("" if candidate.score is None else f"score {candidate.score:g}")
    return " · ".join(p for p in parts if p)


def _settings(settings: DecodingSettings | None) -> str:
    if settings is None:
        return ""
    changed = settings.model_dump(exclude_defaults=True, exclude={"strategy", "seed"})
    return " ".join([settings.strategy, *(f"{k}={v}" for k, v in changed.items())])


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE else line[: TITLE - 1] + "…"
