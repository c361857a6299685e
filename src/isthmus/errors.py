"""One way to fail: an error whose text is one line that says what is wrong, why, and what to do.

The command line prints that line and exits with `exit_code`; no traceback reaches a user for these.
"""


class IsthmusError(Exception):
    """Base of every error a user can mend. `str(error)` is one line."""

    exit_code = 2

    def __init__(self, what: str, *, why: str = "", todo: str = "") -> None:
        """`what` happened; `why`, where known; `todo`: what the user can do about it."""
        self.what, self.why, self.todo = what, why, todo
        parts = [what] + ([why] if why else [])
        line = ": ".join(parts) + (f" ({todo})" if todo else "")
        super().__init__(" ".join(line.split()))


class InputError(IsthmusError):
    """What the user gave cannot be used: a missing folder, an empty query, an unknown option value."""


class InUse(InputError):
    """Another process holds what only one can."""


class PictureError(InputError):
    """A file is not a picture that can be shown. `reason` is a stable word for reports.

    Reasons: "missing", "unreadable", "empty", "not a picture", "truncated", "corrupt", "too large",
    "unsupported".
    """

    def __init__(self, reason: str, what: str, *, why: str = "", todo: str = "") -> None:
        super().__init__(what, why=why, todo=todo)
        self.reason = reason


class MissingPart(IsthmusError):
    """Weights, a package or an extra that is needed is not here and could not be had."""


class CorruptPart(IsthmusError):
    """Weights are here but their hash or layout is not the expected one."""


class FitMismatch(IsthmusError):
    """A model was made with one Fit and is asked to work with another."""


class CorruptLibrary(IsthmusError):
    """A photo library's database cannot be trusted as it stands."""
