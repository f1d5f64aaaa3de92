"""The container of compressed images: magic, version, header, payload, checksum.

| bytes | content |
|---|---|
| 6 | magic, `89 56 41 45 5A 0A` |
| 1 | version of the format |
| 4 | length of the header, little endian |
| … | header: JSON, compressed by zlib |
| … | payload: the words of the entropy coder, 4 bytes each, little endian |
| 4 | CRC-32 of all bytes before, little endian |
"""

import json
import struct
import zlib
from typing import Any

import numpy as np

from zoo.runtime import checks

MAGIC = b"\x89VAEZ\n"
VERSION = 1
_FIXED = struct.Struct("<6sBI")
_MAX_HEADER = 1 << 24  # bytes of JSON, the names of an archive among them


def pack(header: dict[str, Any], words: np.ndarray) -> bytes:
    """One file from its header and the uint32 words of the entropy coder."""
    packed = zlib.compress(json.dumps(header, separators=(",", ":"), allow_nan=False).encode(), 9)
    body = _FIXED.pack(MAGIC, VERSION, len(packed)) + packed + words.astype("<u4").tobytes()
    return body + struct.pack("<I", zlib.crc32(body))


def unpack(data: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """The header and the words of a file.

    Raises:
        ValueError: for data of another kind, of a newer version, and for data that was cut or altered.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        checks.fail("data", "the bytes of a compressed file", data)
    data = bytes(data)
    if data[: len(MAGIC)] != MAGIC:
        checks.fail("data", "a file written by zoo.codec", f"{len(data)} bytes that begin with {data[:6]!r}")
    if len(data) < _FIXED.size + 4:
        checks.fail("data", "a whole file", f"the first {len(data)} bytes of one")
    _, version, length = _FIXED.unpack_from(data)
    if version > VERSION:
        checks.fail("data", f"a file of format {VERSION}", f"one of format {version}, from a newer version of vae-zoo")
    (expected,) = struct.unpack("<I", data[-4:])
    if zlib.crc32(data[:-4]) != expected:
        checks.fail("data", "a file as it was written", "one that was cut or altered: its checksum differs")
    return _header(data, length), _words(data[_FIXED.size + length : -4])


def _header(data, length):
    try:
        expand = zlib.decompressobj()
        text = expand.decompress(data[_FIXED.size : _FIXED.size + length], _MAX_HEADER)
        header = json.loads(text)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"Expected `data` to have a readable header. Received: {error}") from error
    if not expand.eof or not isinstance(header, dict):
        checks.fail("data", f"a file whose header is an object of at most {_MAX_HEADER} bytes", "another header")
    return header


def _words(payload):
    if len(payload) % 4:
        checks.fail("data", "a payload of words of 4 bytes", f"{len(payload)} bytes")
    return np.frombuffer(payload, "<u4").astype(np.uint32)
