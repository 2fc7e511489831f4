"""What the helpers of the page reach: the services, the window, and the desk on which they show what they know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workbench.domain.errors import WorkbenchError
from workbench.gui.bridge import Bridge
from workbench.gui.pages.annotate.chooser import Choose, Place
from workbench.gui.pages.annotate.desk import Desk
from workbench.gui.shell import Shell
from workbench.services.views import Presentation
from workbench.services.workbench import Workbench

GUIDELINES = "annotate.guidelines_open"


@dataclass
class Reach:
    """`place` is the dataset and queue on show; `choose` goes to another; `show` puts another item on the desk."""

    services: Workbench
    bridge: Bridge
    shell: Shell
    place: Callable[[], Place]
    choose: Choose
    show: Callable[[Presentation], Any]
    focus: Callable[[], Any]
    desk: Desk = field(init=False)

    def run(self, fn: Callable[..., Any], *args: Any, then: Callable[[Any], Any] | None = None, **kw: Any) -> None:
        """Ask a service on the quick lane; errors are told by the window unless `failed` takes them."""
        self.bridge.run(fn, *args, then=then, **kw)

    def open_side(self, name: str) -> None:
        """Show a pane beside the candidates."""
        self.desk.side.show_pane(name)
        self.desk.top.guidelines.setChecked(name == "guidelines")
        self.desk.bottom.buttons["history"].setChecked(name == "history")

    def leave_side(self) -> None:
        """Back to the item; the guidelines stay where they were open."""
        self.open_side("guidelines" if self.guidelines_open else "")
        self.focus()

    @property
    def guidelines_open(self) -> bool:
        """Whether this person reads guidelines while judging."""
        return str(self.shell.recall(GUIDELINES, "no")) == "yes"

    def refused(self, say: Callable[[str], Any]) -> Callable[[WorkbenchError], None]:
        """Say an error where it was caused, in one line."""
        return lambda error: say(f"{error.what} {error.hint}".strip())
