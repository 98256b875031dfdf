"""The error tree: every error that a user can cause or fix is a `MienError` with one sentence of what, why and what to do."""


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
