"""JPEG pictures as RTP payloads (RFC 2435)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

_STANDARD_HUFFMAN_BYTES = 4 * 1 + 4 * 16 + 12 + 162 + 12 + 162
"""Length of the four tables of ITU-T T.81 annex K; others do not survive RFC 2435."""


@dataclass
class _Jpeg:
    kind: int = -1
    tables: dict[int, bytes] = field(default_factory=dict)
    huffman_bytes: int = 0
    restart_interval: int = 0
    scan: bytes = b""


def jpeg_payloads(data: bytes, width: int, height: int, mtu_bytes: int) -> list[bytes]:
    """The RTP payloads of one JPEG, quantisation tables in the first (Q = 255).

    Raises ValueError if the picture is not what RFC 2435 carries: baseline 4:2:0 or 4:2:2 in one
    scan, standard Huffman tables, 8-bit tables, at most 2040 px a side.
    """
    jpeg = _parse(data)
    if jpeg.kind < 0 or not jpeg.scan or max(width, height) > 2040:
        raise ValueError(f"RFC 2435 cannot carry this JPEG of {width}x{height}")
    if jpeg.huffman_bytes not in (0, _STANDARD_HUFFMAN_BYTES):
        raise ValueError("RFC 2435 carries standard Huffman tables only (encode with huffman=default)")
    luma = jpeg.tables[0]
    tables = luma + jpeg.tables.get(1, luma)
    kind = jpeg.kind + (64 if jpeg.restart_interval else 0)
    restart = struct.pack("!HH", jpeg.restart_interval, 0xFFFF) if jpeg.restart_interval else b""
    payloads, at = [], 0
    while at < len(jpeg.scan):
        head = (
            struct.pack("!BBHBBBB", 0, at >> 16, at & 0xFFFF, kind, 255, -(-width // 8), -(-height // 8))
            + restart
        )
        if at == 0:
            head += struct.pack("!BBH", 0, 0, len(tables)) + tables
        part = jpeg.scan[at : at + mtu_bytes - len(head)]
        payloads.append(head + part)
        at += len(part)
    return payloads


def _parse(data: bytes) -> _Jpeg:
    jpeg, at = _Jpeg(), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from("!H", data, at + 2)[0]
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDB:
            for start in range(0, len(body), 65):
                jpeg.tables[body[start] & 0x0F] = body[start + 1 : start + 65]
        elif marker == 0xC0:
            jpeg.kind = {0x22: 1, 0x21: 0}.get(body[7], -1)
        elif marker == 0xC4:
            jpeg.huffman_bytes += len(body)
        elif marker == 0xDD:
            jpeg.restart_interval = struct.unpack("!H", body)[0]
        elif marker == 0xDA:
            end = data.rfind(b"\xff\xd9")
            jpeg.scan = data[at : end if end > at else len(data)]
            break
    return jpeg
