"""The window: Qt and pyqtgraph live in this room only."""

from workbench.gui.hold_none import hold_none

hold_none()  # before the first call into Qt, whoever makes it
