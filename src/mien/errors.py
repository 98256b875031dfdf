"""The error tree: every error that a user can cause or fix is a `MienError` with one sentence of what, why and what to do."""

import re

_LONGEST_MESSAGE = 800


class MienError(Exception):
    """An error that the user can act upon; the command line shows its message alone and exits with 2.

    Whatever names and values went into the message: control characters are shown escaped, and its middle is left out where it
    is too long to read.
    """

    about: object | None = None
    """The configuration whose settings the message names, in backticks, where there are several of its class."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, _LONGEST_MESSAGE))


class InputError(MienError):
    """An image, folder or option cannot be used as it is."""


class TooLargeError(InputError):
    """A file or image is larger than what is taken."""


class FaceNotFoundError(InputError):
    """No face was found where one is needed."""


class CheckpointError(MienError):
    """A weights file is broken, foreign, hostile or of another kind than expected."""


class ModelMismatchError(MienError):
    """Weights, codes or styles belong to another model than the one they are used with."""


class MienWarning(UserWarning):
    """What a user should know though nothing failed; the command line prints its text as a note.

    `warnings.filterwarnings("ignore", category=mien.MienWarning)` silences all of them.
    """


def printable(text: str, length: int = 120) -> str:
    """Text for a terminal: letters of every language stay, control characters and the like are escaped, the middle is cut."""
    text = shortened(text, length)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, length: int) -> str:
    """Text without its middle where it has more letters."""
    return text if len(text) <= length else f"{text[: length * 2 // 3]} ... {text[-(length // 3 - 5) :]}"


def shown(text: object, length: int = 80) -> str:
    """Text from a foreign file for a message: printable ASCII, cut. What is no text, number or error is its type alone."""
    # A list that holds another twice, and so on, is small in memory and endless as text.
    plain = str(text) if isinstance(text, (str, int, float, Exception)) else type(text).__name__
    safe = re.sub(r"[^ -~]", "?", plain[: 4 * length])
    return safe if len(safe) <= length else safe[: length - 3] + "..."
