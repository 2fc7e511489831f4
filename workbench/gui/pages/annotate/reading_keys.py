"""Keys that change how responses are read, and never what is judged: they act at any moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.gui.pages.annotate.desk import Desk
from workbench.gui.pages.annotate.keys import Command
from workbench.gui.shell import Shell

READING = (
    ("together", "Scroll the responses together or apart", "T", Command("together")),
    ("unfold", "Show or fold the earlier turns of a conversation", "P", Command("unfold")),
    ("comment", "Comment on a part of a response", "C", Command("comment")),
    ("next_card", "Read the next response with the keys", "Right", Command("focus", 1)),
    ("card_before", "Read the response before with the keys", "Left", Command("focus", -1)),
    ("lines_down", "Scroll down; Up scrolls up", "Down", Command("lines", 1)),
    ("page_down", "Scroll by a page; Page Up scrolls back", "Page Down or Space", Command("pages", 1)),
)


class ReadingKeys:
    """Does what these keys ask for; whether texts scroll together is remembered."""

    def __init__(self, desk: Desk, shell: Shell, focus: Callable[[], Any]) -> None:
        self._desk, self._shell = desk, shell
        desk.board.released.connect(focus)
        self._together(str(shell.recall("annotate.together", "false")).lower() == "true")

    def do(self, asked: Command) -> bool:
        """Do it; False when the command is another one's."""
        board = self._desk.board
        if asked.name == "together":
            self._together(not board.together)
        elif asked.name == "unfold":
            self._desk.prompt.toggle_fold()
        elif asked.name == "focus":
            board.move_focus(asked.place)
        elif asked.name == "lines":
            board.turn_lines(asked.place)
        elif asked.name == "comment":
            board.comment()
        elif asked.name == "pages":
            board.turn_pages(asked.place)
        else:
            return False
        return True

    def _together(self, on: bool) -> None:
        self._desk.board.scroll_together(on)
        self._desk.prompt.heading.tools["together"].setChecked(on)
        self._shell.remember("annotate.together", on)
