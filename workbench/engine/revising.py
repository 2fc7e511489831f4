"""Constitutional revision of a batch of responses: critique by a principle, then revise, round by round."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from workbench.domain.errors import BadInput
from workbench.domain.events import Revised
from workbench.domain.specs.revise import ReviseSpec
from workbench.domain.specs.texts import fill_places, lines_of
from workbench.domain.text import Prompt, Turn
from workbench.engine.data import Row, prompt_of
from workbench.engine.device import Setup
from workbench.engine.models import Loaded, eos_ids
from workbench.engine.online import stream
from workbench.engine.rollout import sample_batch
from workbench.engine.text import decode, encode_prompt

TOO_LONG = "the dialogue is longer than max_length"
CUT = "the {what} was cut at max_new_tokens"
EMPTY = "the {what} is empty"
UNCHANGED = "the revision is the original again"


@dataclass
class Draft:
    """One row on its way: the newest text, what was said on the way, and why it can't go on (empty while it can)."""

    row: int
    prompt: Prompt
    given: bool
    original: str = ""
    text: str = ""
    why: str = ""
    principles: list[str] = field(default_factory=list)
    critiques: list[str] = field(default_factory=list)

    def dialogue(self, *turns: str) -> Prompt:
        """The prompt, the newest response, and further turns: a request, the answer to it, the next request."""
        said = [Turn(role="assistant", content=self.text)]
        said += [Turn(role=("user", "assistant")[n % 2], content=turn) for n, turn in enumerate(turns)]
        return Prompt(turns=(*self.prompt.turns, *said))


class Reviser:
    """A language model with its principles. What it says depends on seed and batch only, not on when it is asked."""

    def __init__(self, spec: ReviseSpec, loaded: Loaded, setup: Setup, max_length: int) -> None:
        self._spec = spec
        self._loaded = loaded
        self._setup = setup
        self._longest = max_length
        self._ends = eos_ids(loaded)
        self._principles = lines_of(spec.principles)
        self.tokens = 0  # sampled so far

    def revise(self, rows: Sequence[Row], start: int) -> list[Revised]:
        """Originals, critiques and revisions of a batch whose first row is number `start` of the run."""
        began = time.perf_counter()
        drafts = [self._draft(row, start + place) for place, row in enumerate(rows)]
        written = [draft for draft in drafts if not draft.given]
        for draft, text in self._say(written, [draft.prompt for draft in written], "response", (start, 0)):
            draft.original = draft.text = text
        for turn in range(self._spec.rounds):
            self._round(drafts, start, turn)
        each = round(1000 * (time.perf_counter() - began) / len(rows))
        return [as_event(draft, each) for draft in drafts]

    def _draft(self, row: Row, number: int) -> Draft:
        text = row.get("completion")
        if text is None:
            return Draft(number, prompt_of(row), given=False)
        return Draft(
            number,
            prompt_of(row),
            given=True,
            original=text,
            text=text,
            why="" if text.strip() else EMPTY.format(what="original"),
        )

    def _round(self, drafts: Sequence[Draft], start: int, turn: int) -> None:
        going = [draft for draft in drafts if not draft.why]
        asked = []
        for draft in going:
            place = int(stream(self._spec.seed, draft.row, turn).initial_seed() % len(self._principles))
            draft.principles.append(self._principles[place])
            asked.append(draft.dialogue(self._request(self._spec.critique_request, draft)))
        for draft, critique in self._say(going, asked, "critique", (start, 2 * turn + 1)):
            draft.critiques.append(critique)
        going = [draft for draft in going if not draft.why]
        asked = [
            draft.dialogue(
                self._request(self._spec.critique_request, draft),
                draft.critiques[-1],
                self._request(self._spec.revision_request, draft),
            )
            for draft in going
        ]
        for draft, revision in self._say(going, asked, "revision", (start, 2 * turn + 2)):
            draft.text = revision

    def _request(self, text: str, draft: Draft) -> str:
        return fill_places(text, {"principle": draft.principles[-1]})

    def _say(
        self, drafts: Sequence[Draft], prompts: Sequence[Prompt], what: str, moment: tuple[int, int]
    ) -> list[tuple[Draft, str]]:
        """What the model says to each prompt, for those to which it says something whole; the others learn why not."""
        spec, tokenizer = self._spec, self._loaded.tokenizer
        encoded = []
        for draft, prompt in zip(drafts, prompts, strict=True):
            try:
                encoded.append((draft, encode_prompt(tokenizer, prompt, spec.chat_format)))
            except BadInput as error:  # templates refuse some dialogues; the others go on
                draft.why = error.what.rstrip(".")
        fitting = [(draft, ids) for draft, ids in encoded if len(ids) + spec.max_new_tokens <= self._longest]
        for draft, ids in encoded:
            if len(ids) + spec.max_new_tokens > self._longest:
                draft.why = TOO_LONG
        if not fitting:
            return []
        with self._setup.autocast():
            said = sample_batch(
                self._loaded.model, [ids for _, ids in fitting], max_new_tokens=spec.max_new_tokens, temperature=spec.temperature,
                eos=self._ends, generator=stream(spec.seed, *moment, 1), top_p=spec.top_p,
            )  # fmt: skip
        answers = []
        for (draft, _), ids, ended in zip(fitting, said.completions, said.ended, strict=True):
            self.tokens += len(ids)
            text = decode(tokenizer, ids[:-1] if ended else ids).strip()
            if not text:
                draft.why = EMPTY.format(what=what)
            elif not ended and what != "critique" and not spec.keep_cut:
                draft.why = CUT.format(what=what)
            else:
                answers.append((draft, text))
        return answers


def as_event(draft: Draft, milliseconds: int) -> Revised:
    """What became of a row; a revision with the words of its original is none."""
    why = draft.why or (UNCHANGED if draft.text.split() == draft.original.split() else "")
    return Revised(
        row=draft.row,
        prompt=draft.prompt,
        original=draft.original,
        revision=draft.text if draft.critiques else "",
        why=why,
        given=draft.given,
        principles=tuple(draft.principles),
        critiques=tuple(draft.critiques),
        milliseconds=milliseconds,
    )


class Tally:
    """Sums of everything revised so far; `values` are the metrics."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self._kept = 0
        self._changed = self._ratio = 0.0

    def add(self, event: Revised) -> None:
        """One more row."""
        if event.why:
            self.left_out[event.why] += 1
            return
        before, after = event.original.split(), event.revision.split()
        self._kept += 1
        self._changed += 1 - SequenceMatcher(None, before, after, autojunk=False).ratio()
        self._ratio += len(after) / max(1, len(before))

    def values(self) -> dict[str, float]:
        """The metrics."""
        unchanged = self.left_out[UNCHANGED]
        values = {
            "revise/kept": float(self._kept),
            "revise/left_out": float(self.left_out.total() - unchanged),
            "revise/unchanged": float(unchanged),
        }
        if self._kept:
            values |= {
                "revise/changed_words": self._changed / self._kept,
                "revise/length_ratio": self._ratio / self._kept,
            }
        return values
