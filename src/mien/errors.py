"""The error tree: every error that a user can cause or fix is a `MienError` with one sentence of what, why and what to do."""

import re


class MienError(Exception):
    """An error that the user can act upon; the command line shows its message alone and exits with 2."""


class InputError(MienError):
    """A picture, folder or option cannot be used as it is."""


class FaceNotFoundError(InputError):
    """No face was found where one is needed."""


class CheckpointError(MienError):
    """A weights file is broken, foreign, hostile or of another kind than expected."""


class ModelMismatchError(MienError):
    """Weights, codes or styles belong to another model than the one they are used with."""


def shown(text: object, length: int = 80) -> str:
    """Text of a stranger for a message: printable ASCII, cut. What is no text, number or error appears as its type alone."""
    # A list that holds another twice, and so on, is small in memory and endless as text.
    plain = str(text) if isinstance(text, (str, int, float, Exception)) else type(text).__name__
    safe = re.sub(r"[^ -~]", "?", plain[: 4 * length])
    return safe if len(safe) <= length else safe[: length - 3] + "..."
