"""The Runs page: what runs, what ran, and its curves, samples and words, live."""

from workbench.gui.pages.runs.page import RunsPage

__all__ = ["RunsPage"]
