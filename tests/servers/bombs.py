"""Small bodies that ask for much memory: gzip, PNG and JPEG."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

from tests.servers.media import jpeg

_CHUNK_BYTES = 1 << 22
SIDE_PX = 30_000


def _deflated_zeros(n_bytes: int) -> bytes:
    """Raw deflate of ``n_bytes`` zeros; one compressed chunk is repeated, which full flushes allow."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    chunk = packer.compress(bytes(_CHUNK_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)
    return chunk * (n_bytes // _CHUNK_BYTES) + packer.compress(bytes(n_bytes % _CHUNK_BYTES)) + packer.flush()


def _crc_of_zeros(n_bytes: int) -> int:
    """CRC-32 of ``n_bytes`` zeros without touching them: the register times x**(8 n), RFC 1952 §8."""
    power, square, exponent = 1 << 31, 1 << 30, 8 * n_bytes
    while exponent:
        if exponent & 1:
            power = _times(power, square)
        square, exponent = _times(square, square), exponent >> 1
    return _times(power, 0xFFFFFFFF) ^ 0xFFFFFFFF


def _times(a: int, b: int) -> int:
    """Product of two polynomials over GF(2), bits reflected, modulo CRC-32's."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = (b >> 1) ^ 0xEDB88320 if b & 1 else b >> 1
    return product


@lru_cache
def gzip_bomb(n_bytes: int = 1 << 29) -> bytes:
    """A valid gzip stream of ``n_bytes`` zeros (512 MB from about 500 kB)."""
    head = b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x02\xff"
    return head + _deflated_zeros(n_bytes) + struct.pack("<II", _crc_of_zeros(n_bytes), n_bytes & 0xFFFFFFFF)


@lru_cache
def png_bomb(side_px: int = SIDE_PX) -> bytes:
    """A valid one-bit PNG of ``side_px`` squared, all black (30000 px: 110 kB)."""
    n_bytes = (1 + (side_px + 7) // 8) * side_px
    adler = struct.pack("!I", ((n_bytes % 65521) << 16) | 1)
    body = b"\x78\xda" + _deflated_zeros(n_bytes) + adler
    header = struct.pack("!IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack("!I", len(data)) + name + data + struct.pack("!I", zlib.crc32(name + data))
        for name, data in parts
    )


@lru_cache
def jpeg_bomb(side_px: int = 65_500) -> bytes:
    """A small JPEG whose header claims ``side_px`` squared."""
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0")
    struct.pack_into("!HH", data, at + 5, side_px, side_px)
    return bytes(data)
