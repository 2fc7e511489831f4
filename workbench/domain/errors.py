"""Errors that a person reads: what happened, and what to do about it."""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of every error shown to a person: `what` happened and a `hint` what to do; `details` are for the log."""

    kind = "error"

    def __init__(self, what: str, hint: str = "", details: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.details = details


class BadInput(WorkbenchError):
    """A file, folder, setting or key that the person gave can't be used as it is."""

    kind = "bad_input"


class NotFound(WorkbenchError):
    """A named thing (dataset, run, model, file) doesn't exist."""

    kind = "not_found"


class Conflict(WorkbenchError):
    """The request contradicts the present state, for example a name that is taken or a run that has ended."""

    kind = "conflict"


class TooNew(WorkbenchError):
    """A workspace, run folder or message was written by a newer version of the workbench."""

    kind = "too_new"


class StorageFailed(WorkbenchError):
    """The disk is full, read-only, or the database can't be read; nothing was changed."""

    kind = "storage"


class RunFailed(WorkbenchError):
    """A job can't go on: its data, model or numbers don't allow it; the last good checkpoint is kept."""

    kind = "run_failed"


class Cancelled(WorkbenchError):
    """A person stopped it; nothing was changed."""

    kind = "cancelled"
