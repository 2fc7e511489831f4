"""The Train page: from kind, model and data to a run that is started or queued."""

from workbench.gui.pages.train.page import TrainPage

__all__ = ["TrainPage"]
