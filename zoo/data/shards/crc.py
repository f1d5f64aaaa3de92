"""CRC-32C, the checksum of TFRecord files, computed by NumPy as TensorFlow has no operator for it."""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78
_POWER = 8  # data is cut into pieces of 2 ** 8 bytes


@functools.cache
def _bytewise() -> list[int]:
    """The checksum state after each single byte, from state 0."""
    table = []
    for state in range(256):
        for _ in range(8):
            state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
        table.append(state)
    return table


@functools.cache
def _zeros(power: int) -> np.ndarray:
    """Tables uint32 `[4,256]` that advance a state by 2 ** power bytes of value 0; see `_advance`."""
    if power:
        half = _zeros(power - 1)
        return _advance(half, half)
    states = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    return np.array(_bytewise(), np.uint32)[states & 255] ^ (states >> 8)


def _advance(tables, states):
    """States after the zero bytes that `tables` stand for. The map is linear: each byte of a state adds its part."""
    result = tables[0][states & 255]
    for byte in (1, 2, 3):
        result = result ^ tables[byte][states >> np.uint32(8 * byte) & 255]
    return result


@functools.cache
def _by_place() -> np.ndarray:
    """The part of each byte of a piece in the state after the piece: uint32 `[2 ** _POWER, 256]`."""
    parts = [np.array(_bytewise(), np.uint32)]
    for _ in range(2**_POWER - 1):
        parts.append(_advance(_zeros(0), parts[-1]))
    return np.stack(parts[::-1])


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of `data`, an int of 32 bits."""
    if len(data) < 16:
        table, state = _bytewise(), 0xFFFFFFFF
        for byte in data:
            state = table[(state ^ byte) & 255] ^ state >> 8
        return state ^ 0xFFFFFFFF
    power = (-(-len(data) // 2**_POWER) - 1).bit_length()
    # Zeros before the data leave the state 0 as it is. Inverting 4 bytes is the same as the usual first state.
    padded = np.zeros(2 ** (power + _POWER), np.uint8)
    first = len(padded) - len(data)
    padded[first:] = np.frombuffer(data, np.uint8)
    padded[first : first + 4] ^= 255
    pieces = padded.reshape(2**power, -1)
    states = np.bitwise_xor.reduce(_by_place()[np.arange(2**_POWER), pieces], axis=1)
    for level in range(power):
        states = _advance(_zeros(_POWER + level), states[0::2]) ^ states[1::2]
    return int(states[0]) ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """The checksum as TFRecord files store it: rotated, with a constant added."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
