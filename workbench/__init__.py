"""RLHF Workbench: label, train and compare language models on one machine."""

__version__ = "0.1.0"
