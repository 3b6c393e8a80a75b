"""What the server and its worker processes say to each other, over a socket pair.

    frame = kind u8 | job number u64 | length of the rest u64 | parts       part = length u64 | bytes       all little-endian

Byte strings only: neither side unpickles what the other sends.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Sequence
from typing import Final

_HEAD: Final = struct.Struct("<BQQ")
_LENGTH: Final = struct.Struct("<Q")
MAX_BODY: Final = 1 << 31  # bytes; more can only be a frame that was read out of step


class Kind(enum.IntEnum):
    """What a frame is. The first two go to the worker, the others come from it."""

    JOB = 1  # name, then its arguments
    STOP = 2  # nobody waits for this job any more
    READY = 3  # warmed up; number 0
    PROGRESS = 4  # stage, permille in decimal
    RESULT = 5  # what the job returned
    REFUSED = 6  # code, what, where, expected of one of our errors
    BUG = 7  # the class of another exception and where it was raised, without its message
    STOPPED = 8  # the job looked, and gave up
    EXHAUSTED = 9  # as REFUSED, for want of memory: the worker ends after it


Frame = tuple[Kind, int, list[bytes]]


def encode(kind: Kind, number: int, parts: Sequence[bytes] = ()) -> bytes:
    """One frame."""
    body = b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))
    return _HEAD.pack(kind, number, len(body)) + body


class Decoder:
    """Frames out of a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes; ValueError for bytes that `encode` does not write."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            kind, number, length = _HEAD.unpack_from(self._buffer)
            if length > MAX_BODY:
                raise ValueError("a frame of this length is not sent")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            body = bytes(memoryview(self._buffer)[_HEAD.size : end])
            del self._buffer[:end]
            yield Kind(kind), number, _parts(body)


def _parts(body: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(body):
        begin = at + _LENGTH.size
        if begin > len(body):
            raise ValueError("a part without its length")
        at = begin + _LENGTH.unpack_from(body, begin - _LENGTH.size)[0]
        if at > len(body):
            raise ValueError("a part is cut off")
        parts.append(body[begin:at])
    return parts
