"""Who judges: the chip in the top bar with its menu, and the panel that adds a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAction, QColor, QIcon, QKeyEvent, QPainter, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from workbench.domain.profiles import COLOURS, Colour
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import KeyHint, button, text
from workbench.services.views import ProfileView

LONGEST_SHOWN = 18


def dot(colour: str, theme: Theme, size: int = 12) -> QIcon:
    """A round spot in a person's colour, as this theme shows it."""
    tone = theme.colours.series[COLOURS.index(colour)] if colour in COLOURS else theme.colours.quiet
    picture = QPixmap(3 * size, 3 * size)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(tone))
    painter.drawEllipse(1, 1, 3 * size - 2, 3 * size - 2)
    painter.end()
    return QIcon(picture)


class PersonChip(QPushButton):
    """The name that judgements are signed with; its menu changes who judges."""

    def __init__(self, theme: Theme, use: Callable[[str], Any], add: Callable[[], Any]) -> None:
        super().__init__()
        self.setObjectName("annotate.person")
        self.setProperty("role", "flat")
        self.setAutoDefault(False)
        self._theme, self._use, self._add = theme, use, add
        self._people: Sequence[ProfileView] = ()
        self._now = ""
        self.people = QMenu(self)
        self.people.setObjectName("annotate.person_menu")
        self.people.setAccessibleName("Who judges")
        self.setMenu(self.people)
        theme.changed.connect(self._draw)

    def show_people(self, people: Sequence[ProfileView], now: str) -> None:
        """Everybody on this machine, and who judges now."""
        self._people, self._now = people, now
        self._draw()

    def _draw(self) -> None:
        known = {person.name: person.colour for person in self._people}
        shown = self._now if len(self._now) <= LONGEST_SHOWN else f"{self._now[: LONGEST_SHOWN - 1]}…"
        self.setText(shown.replace("&", "&&"))
        self.setIcon(dot(known.get(self._now, ""), self._theme))
        self.setAccessibleName(f"Who judges: {self._now}")
        self.setToolTip("Who judges   U")
        self.people.clear()
        for person in self._people:
            entry = QAction(dot(person.colour, self._theme), person.name.replace("&", "&&"), self.people)
            entry.setCheckable(True)
            entry.setChecked(person.name == self._now)
            entry.triggered.connect(partial(self._chosen, person.name))
            self.people.addAction(entry)
        self.people.addSeparator()
        more = QAction("Add a person…", self.people)
        more.setObjectName("annotate.person_add")
        more.triggered.connect(lambda: self._add())
        self.people.addAction(more)

    def _chosen(self, name: str) -> None:
        if name != self._now:
            self._use(name)


class PersonPanel(QWidget):
    """A name and a colour. Enter adds the person, who judges from then on."""

    def __init__(self, theme: Theme, add: Callable[[str, Colour], Any], leave: Callable[[], Any]) -> None:
        super().__init__()
        self.setObjectName("annotate.person_panel")
        self.setAccessibleName("Add a person")
        self._theme, self._add, self._leave = theme, add, leave
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(text("Add a person", "heading"))
        column.addWidget(
            text(
                "Judgements are signed with this name. Everybody has their own place in every queue.",
                "quiet",
                wrap=True,
            )
        )
        self.field = QLineEdit()
        self.field.setObjectName("annotate.person_name")
        self.field.setAccessibleName("Name")
        self.field.setPlaceholderText("Name")
        self.field.setMaxLength(80)
        self.field.returnPressed.connect(self.add)
        self.field.installEventFilter(self)
        column.addWidget(self.field)
        row = QHBoxLayout()
        row.setSpacing(4)
        self.colours = QButtonGroup(self)
        for place, name in enumerate(COLOURS):
            spot = QToolButton()
            spot.setObjectName(f"annotate.colour_{place + 1}")
            spot.setAccessibleName(f"Colour: {name}")
            spot.setToolTip(name.capitalize())
            spot.setCheckable(True)
            spot.installEventFilter(self)
            self.colours.addButton(spot, place)
            row.addWidget(spot)
        row.addStretch(1)
        column.addLayout(row)
        self.wrong = text("", "bad", wrap=True)
        self.wrong.hide()
        column.addWidget(self.wrong)
        deeds = QHBoxLayout()
        deeds.addWidget(button("Add", "annotate.person_save", self.add, "primary", accessible="Add this person"))
        deeds.addWidget(button("Cancel", "annotate.person_cancel", leave))
        deeds.addStretch(1)
        column.addLayout(deeds)
        keys = QHBoxLayout()
        keys.addWidget(KeyHint("Enter", "add"))
        keys.addWidget(KeyHint("Esc", "cancel"))
        keys.addStretch(1)
        column.addLayout(keys)
        column.addStretch(1)
        self._draw()
        theme.changed.connect(self._draw)

    def open(self, used: Sequence[str]) -> None:
        """An empty field, and the first colour that nobody has."""
        self.field.clear()
        self.say("")
        free = (place for place, colour in enumerate(COLOURS) if colour not in used)
        self.colours.button(next(free, 0)).setChecked(True)
        self.field.setFocus()

    def add(self) -> None:
        """Add the person."""
        if name := self.field.text().strip():
            self._add(name, COLOURS[max(0, self.colours.checkedId())])
        else:
            self.say("A person needs a name.")

    def say(self, words: str) -> None:
        """Why the person isn't added."""
        self.wrong.setText(words)
        self.wrong.setVisible(bool(words))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Escape leaves."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:
            self._leave()
            return True
        return super().eventFilter(watched, event)

    def _draw(self) -> None:
        for place, colour in enumerate(COLOURS):
            self.colours.button(place).setIcon(dot(colour, self._theme, 16))
