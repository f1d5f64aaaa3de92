"""A record of a shard: an encoded picture with a label, or the reason why it cannot be used."""

import dataclasses
import hashlib


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record of a shard.

    Attributes:
        index: int >= 0, its number in the shard; broken records count.
        offset: int, the byte where it begins in the uncompressed shard.
        image: bytes of a picture file; empty for a broken record.
        label: int, or None for a record without one.
        broken: str, the reason why the record cannot be used, or None.
    """

    index: int
    offset: int
    image: bytes = b""
    label: int | None = None
    broken: str | None = None


def digest(image: bytes) -> bytes:
    """The SHA-256 digest of an encoded picture, 32 bytes: the key of its record."""
    return hashlib.sha256(image).digest()


def leading_zeros(image: bytes) -> int:
    """The number of leading zero bits, 0 to 64, in the key of a record.

    It decides the split: half of all pictures have none, a quarter have one, and so on. Copies of a picture have the
    same number wherever they are.
    """
    return 64 - int.from_bytes(digest(image)[:8], "big").bit_length()
