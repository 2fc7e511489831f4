"""What the labels of a dataset say, in figures with sentences, in plots, and as a list of what to look at again."""

from workbench.gui.pages.statistics.page import StatisticsPage

__all__ = ["StatisticsPage"]
