"""The Annotate page: an item, its candidates, and a judgement by keyboard."""

from workbench.gui.pages.annotate.page import AnnotatePage

__all__ = ["AnnotatePage"]
