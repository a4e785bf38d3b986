"""The one exception for a user's mistake; anything else that escapes is a bug and shows its traceback."""


class UsageError(Exception):
    """A mistake the user can mend. Its text is one clear sentence that names the way out; exit code 2."""
