"""The page where decoding strategies are compared side by side, token by token."""

from workbench.gui.pages.playground.page import PlaygroundPage

__all__ = ["PlaygroundPage"]
