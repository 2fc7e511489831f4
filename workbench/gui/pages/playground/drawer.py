"""What opens at the right: a column's settings, the presets, or whatever a page puts there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QScrollArea, QToolButton, QVBoxLayout, QWidget

from workbench.domain.decoding import NGRAM, STRATEGIES, DecodingSettings
from workbench.gui.icons import icon
from workbench.gui.theme import Theme
from workbench.gui.widgets.basics import Elided, button, clear, text
from workbench.gui.widgets.spec_form import SpecForm
from workbench.services.views import Preset

WIDTH = 400


class Drawer(QFrame):
    """A panel with a title, a close button and one thing in it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName("playground.drawer")
        self.setProperty("role", "card")
        self.setFixedWidth(WIDTH)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 12, 12)
        top = QHBoxLayout()
        self.title = Elided("heading")
        self.close_button = QToolButton()
        self.close_button.setObjectName("playground.drawer.close")
        self.close_button.setAccessibleName("Close the panel")
        self.close_button.setToolTip("Close (Esc)")
        self.close_button.clicked.connect(lambda: self.hide())
        top.addWidget(self.title, 1)
        top.addWidget(self.close_button)
        box.addLayout(top)
        self._area = QScrollArea()
        self._area.setObjectName("playground.drawer.area")
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        box.addWidget(self._area, 1)
        self.dress()
        self.hide()

    @property
    def content(self) -> QWidget | None:
        """What is in it."""
        found: QWidget | None = self._area.widget()
        return found

    def open(self, title: str, content: QWidget) -> None:
        """Show something else."""
        self.title.setText(title)
        self.setAccessibleName(title)
        if (before := self._area.takeWidget()) is not None:
            before.deleteLater()  # it may be its own button that asked for this
        self._area.setWidget(content)
        self.show()

    def leave(self, content: QWidget) -> None:
        """Close if this is what is shown."""
        if self.content is content:
            self.hide()

    def dress(self) -> None:
        """The close icon in the theme's colour."""
        self.close_button.setIcon(icon("close", self._theme.colours.quiet))


class SettingsPanel(QWidget):
    """The form of a strategy's settings; every valid edit is told at once. The seed is the page's."""

    def __init__(
        self,
        theme: Theme,
        settings: DecodingSettings,
        edited: Callable[[DecodingSettings], Any],
        models: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._edited = edited
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 8, 0)
        kind = STRATEGIES[settings.strategy]
        box.addWidget(text(kind.__doc__ or "", "quiet", wrap=True))
        self.form = SpecForm(kind, theme, "playground.settings", choices=_models_for(settings, models), hidden={"seed"})
        self.form.set_values(settings)
        self._seed = settings.seed
        self.form.changed.connect(self._tell)
        box.addWidget(self.form, 1)

    def _tell(self) -> None:
        made = self.form.result()
        if made is not None:
            self._edited(made.model_copy(update={"seed": self._seed}))  # type: ignore[arg-type]


def _models_for(settings: DecodingSettings, models: Sequence[str]) -> dict[str, list[str]]:
    """What a field that names a second model can be: the workspace's models, n-grams for a draft, and what stands there."""
    found = {}
    for name, first in (("draft", [NGRAM]), ("amateur", [])):
        if name in type(settings).model_fields:
            found[name] = list(dict.fromkeys([*first, *models, getattr(settings, name)]))
    return found


class PresetsPanel(QWidget):
    """Kept choices of columns: use one, forget one, keep the present ones under a name."""

    def __init__(
        self,
        presets: Sequence[Preset],
        use: Callable[[Preset], Any],
        keep: Callable[[str], Any],
        forget: Callable[[str], Any],
    ) -> None:
        super().__init__()
        self._use, self._keep, self._forget = use, keep, forget
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 8, 0)
        box.setSpacing(8)
        box.addWidget(text("Keep the columns of this page with their models and settings.", "quiet", wrap=True))
        row = QHBoxLayout()
        self.name = QLineEdit()
        self.name.setObjectName("playground.preset.name")
        self.name.setAccessibleName("Name of the preset")
        self.name.setPlaceholderText("Name, for example: greedy or not")
        self.name.returnPressed.connect(self._keep_now)
        row.addWidget(self.name, 1)
        row.addWidget(button("Keep", "playground.preset.keep", self._keep_now))
        box.addLayout(row)
        self._list = QVBoxLayout()
        self._list.setSpacing(8)
        box.addLayout(self._list)
        box.addStretch(1)
        self.show_presets(presets)

    def show_presets(self, presets: Sequence[Preset]) -> None:
        """Other presets than before."""
        clear(self._list)
        for number, preset in enumerate(presets):
            row = QHBoxLayout()
            row.addWidget(Elided("strong", preset.name), 1)
            row.addWidget(text(f"{len(preset.columns)} columns", "quiet"))
            name = f"playground.preset.{number}"
            row.addWidget(
                button("Use", f"{name}.use", partial(self._use, preset), accessible=f"Use preset {preset.name}")
            )
            row.addWidget(
                button("Forget", f"{name}.forget", partial(self._forget, preset.name), "flat",
                       accessible=f"Forget preset {preset.name}")
            )  # fmt: skip
            self._list.addLayout(row)
        if not presets:
            self._list.addWidget(text("Nothing kept yet.", "quiet"))

    def _keep_now(self) -> None:
        self._keep(self.name.text())
        self.name.clear()
