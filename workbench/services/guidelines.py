"""Guidelines: what annotators of a dataset are asked to do, and the dimensions by which they rank besides."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from workbench.domain.errors import BadInput
from workbench.domain.queues import OVERALL, Dimension, Guidelines
from workbench.domain.specs.kinds import explain
from workbench.services.settings import SettingsService
from workbench.services.workspace import Workspace

LONGEST = 200_000
MOST_DIMENSIONS = 8


class GuidelinesService:
    """The guidelines of preference datasets; versions are appended, never rewritten, and judgements remember theirs."""

    def __init__(self, workspace: Workspace, settings: SettingsService) -> None:
        self._store = workspace.store
        self._lane = workspace.lane
        self._settings = settings

    def get(self, dataset: str) -> Guidelines | None:
        """The version that annotators see now; None when the dataset has no guidelines."""
        return self._lane.do(self._store.guidelines.get, dataset)

    def history(self, dataset: str) -> list[Guidelines]:
        """Every version, the first one first."""
        return self._lane.do(self._store.guidelines.history, dataset)

    def write(self, dataset: str, text: str, dimensions: Sequence[Dimension] = ()) -> Guidelines:
        """Append a version, signed by you; the present one is returned when it says the same. BadInput says what is wrong."""
        kind = self._lane.do(self._store.datasets.get, dataset).kind
        if kind != "preferences":
            raise BadInput(
                f"{dataset} holds {kind}, not items to judge.", "Guidelines belong to datasets of preferences."
            )
        if not text.strip() and not dimensions:
            raise BadInput("Guidelines need a text or a dimension.", "Say in a few lines what makes a response better.")
        if len(text) > LONGEST:
            raise BadInput(f"The text is longer than {LONGEST:,} characters.", "Shorten it.")
        _refuse_dimensions(dimensions)
        author = self._settings.get().annotator
        return self._lane.do(self._store.guidelines.write, dataset, text, dimensions, author)


def dimension(name: str, description: str = "") -> Dimension:
    """A dimension; BadInput when its name or sentence is too long or empty."""
    try:
        return Dimension(name=name.strip(), description=description.strip())
    except ValidationError as error:
        raise BadInput(*explain(error)) from error


def _refuse_dimensions(dimensions: Sequence[Dimension]) -> None:
    names = [d.name.casefold() for d in dimensions]
    if len(names) > MOST_DIMENSIONS:
        raise BadInput(f"There are {len(names)} dimensions.", f"Ask for {MOST_DIMENSIONS} at most.")
    if OVERALL in names:
        raise BadInput(f"A dimension can't be called {OVERALL!r}: that is the ranking itself.", "Choose another name.")
    if len(set(names)) < len(names):
        raise BadInput("Two dimensions have the same name.", "Name each dimension once.")
