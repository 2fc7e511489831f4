"""The loss of each recipe, for reading: one file for each kind of run."""
