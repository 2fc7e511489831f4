"""The playground's history: every round as two small files of the workspace, found again by its words, written out on request.

`rounds/ID.json` holds what a list and a search need, `rounds/ID.tokens.gz` the tokens and asides. Either is written whole or not at all.
"""

from __future__ import annotations

import builtins
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from workbench.domain.choices import Aside, TokenChoice
from workbench.domain.errors import BadInput, NotFound, StorageFailed
from workbench.domain.rounds import Round, RoundTokens, bounded
from workbench.services.files import replace_bytes, replace_text
from workbench.services.round_files import as_json, as_markdown
from workbench.services.workspace import Workspace

Format = Literal["json", "markdown"]
Tokens = Sequence[Sequence[TokenChoice]]
Asides = Sequence[Sequence[Aside]]
SHOWN = 200
_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")


class RoundsService:
    """Rounds that were played in this folder. Every verb blocks for a moment."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.path / "rounds"

    def keep(self, round: Round, tokens: Tokens, asides: Asides = ()) -> None:
        """Keep a round in place of an earlier one with its id, asides within bounds; StorageFailed when there is no room."""
        told = RoundTokens(
            columns=tuple(tuple(column) for column in tokens), asides=tuple(bounded(column) for column in asides)
        )
        content = _exact(told).encode()
        try:
            self._folder.mkdir(exist_ok=True)
            replace_bytes(self._tokens(round.id), gzip.compress(content, 5, mtime=0))
            replace_text(self._file(round.id), _exact(round))
        except OSError as error:
            raise StorageFailed("The round can't be kept.", "Check the disk.", str(error)) from error

    def list(self, search: str = "", limit: int = SHOWN) -> builtins.list[Round]:
        """The newest rounds first; with a search, those in whose prompt, texts, models or strategies all of its words occur."""
        wanted = search.casefold().split()
        found: builtins.list[Round] = []
        for round in self._newest():
            if all(word in round.words for word in wanted):
                found.append(round)
                if len(found) >= limit:
                    break
        return found

    def open(self, id: str) -> tuple[Round, Tokens, Asides]:
        """A round with its tokens and asides; without them where their file is gone or was written by a later version. NotFound."""
        round = self._read(self._file(id))
        if round is None:
            raise NotFound("This round is no longer kept.", "Choose another one.")
        try:
            content = gzip.decompress(self._tokens(id).read_bytes())
            told = RoundTokens.model_validate_json(content)
        except (OSError, EOFError, zlib.error, ValidationError):
            told = RoundTokens(columns=())
        none: tuple[tuple[()], ...] = tuple(() for _ in round.columns)
        return round, told.columns or none, told.asides or none

    def remove(self, id: str) -> None:
        """Forget a round; one that isn't there is no error."""
        for file in (self._file(id), self._tokens(id)):
            file.unlink(missing_ok=True)

    def export(self, round: Round, tokens: Tokens, format: Format, out: Path, asides: Asides = ()) -> Path:
        """Write a round into a file, whole or not at all: JSON with every token and aside, or Markdown to read."""
        return self.write(out, (as_json(round, tokens, asides) if format == "json" else as_markdown(round)).encode())

    def write(self, out: Path, content: bytes) -> Path:
        """Write a picture or a text into a file, whole or not at all; returns its absolute path."""
        out = Path(out).expanduser().absolute()
        try:
            replace_bytes(out, content)
        except OSError as error:
            raise StorageFailed(
                f"{out.name} can't be written: {error.strerror}.", "Choose another place.", str(error)
            ) from error
        return out

    def _newest(self) -> Iterator[Round]:
        try:
            dated = sorted(((file.stat().st_mtime_ns, file) for file in self._folder.glob("*.json")), reverse=True)
        except OSError:
            return
        for _, file in dated:
            if (round := self._read(file)) is not None:
                yield round

    def _read(self, file: Path) -> Round | None:
        """A round; None for a file that is gone or that this version can't read."""
        try:
            return Round.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            return None

    def _file(self, id: str) -> Path:
        if not _ID.fullmatch(id):
            raise BadInput(f"{id!r} is no round's name.", "Choose a round from the list.")
        return self._folder / f"{id}.json"

    def _tokens(self, id: str) -> Path:
        return self._file(id).with_suffix(".tokens.gz")


def _exact(document: BaseModel) -> str:
    """JSON in which an impossible token's log-probability is still minus infinity."""
    return json.dumps(document.model_dump(mode="json"))
