"""The error for data that is not available."""


class DataError(RuntimeError):
    """The data is not available. The message says in one paragraph what was received, and names the remedies."""
