"""The error of data that cannot be had."""


class DataError(RuntimeError):
    """Data that cannot be had. The message says in one paragraph what came and names the ways on."""
