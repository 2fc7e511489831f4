"""Qt lives here, and only here."""

from workbench.gui.immortal import hold_constants

hold_constants()  # before the first call into Qt, whoever makes it
