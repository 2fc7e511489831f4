"""One file per kind of job, read from top to bottom."""
