"""Field elements as uint64[..., 4] little-endian limbs, the memory layout of their 32 little-endian bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from riskproof.commit.field.modulus import LIMBS, SCALAR_BYTES, Field
from riskproof.errors import CommitmentError

LimbArray: TypeAlias = npt.NDArray[np.uint64]

_LIMB = np.dtype("<u8")


def limbs_of(elements: Iterable[int]) -> LimbArray:
    """uint64[N, 4] of integers in [0, 2^256), not reduced."""
    data = b"".join(x.to_bytes(SCALAR_BYTES, "little") for x in elements)
    return np.frombuffer(data, dtype=_LIMB).astype(np.uint64).reshape(-1, LIMBS)


def ints_of(limbs: LimbArray) -> list[int]:
    """Inverse of `limbs_of` for uint64[N, 4]."""
    data = bytes_of(limbs)
    return [int.from_bytes(data[i : i + SCALAR_BYTES], "little") for i in range(0, len(data), SCALAR_BYTES)]


def bytes_of(limbs: LimbArray) -> bytes:
    """The 32 little-endian bytes of each element, one after the other."""
    return limbs.astype(_LIMB, copy=False).tobytes()


def limbs_from_bytes(data: bytes, field: Field, where: str = "scalars") -> LimbArray:
    """uint64[N, 4] of N canonical elements of 32 bytes each.

    Raises:
        CommitmentError: not a multiple of 32 bytes, or an element that is not below the modulus.
    """
    if len(data) % SCALAR_BYTES:
        raise CommitmentError(f"{len(data)} bytes are not field elements", where=where, expected="a multiple of 32")
    limbs = np.frombuffer(data, dtype=_LIMB).astype(np.uint64).reshape(-1, LIMBS)
    bad = np.flatnonzero(~below(limbs, field))
    if len(bad):
        raise CommitmentError(
            "field element is not reduced", where=f"{where}[{bad[0]}]", expected=f"below {field.name}'s modulus"
        )
    return limbs


def below(limbs: LimbArray, field: Field) -> npt.NDArray[np.bool_]:
    """bool[...]: which elements of uint64[..., 4] are below the modulus."""
    result = np.zeros(limbs.shape[:-1], dtype=np.bool_)
    for i in range(LIMBS):  # from the low limb up, so that the highest limb that differs decides
        p = np.uint64(field.limbs[i])
        result = (limbs[..., i] < p) | ((limbs[..., i] == p) & result)
    return result


def signed_limbs(values: npt.NDArray[np.int64], field: Field) -> LimbArray:
    """uint64[N, 4] of int64[N] modulo p: v for v >= 0, p + v below. Injective, because p > 2^64."""
    out = np.zeros((len(values), LIMBS), dtype=np.uint64)
    out[:, 0] = values.view(np.uint64)
    negative = values < 0
    if negative.any():
        magnitude = (~values.view(np.uint64)[negative]) + np.uint64(1)  # 2^64 - v mod 2^64, right for -2^63 too
        low = np.uint64(field.limbs[0])
        out[negative, 0] = low - magnitude
        rest = (field.modulus >> 64) - (magnitude > low).astype(object)  # borrow: at most one
        for i in range(1, LIMBS):
            out[negative, i] = (rest >> (64 * (i - 1)) & ((1 << 64) - 1)).astype(np.uint64)
    return out
