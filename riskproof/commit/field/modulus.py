"""The prime fields in use and their Montgomery constants, in plain Python integers.

Montgomery form of x is x * R mod p with R = 2^256. A Field fits the arithmetic of `montgomery` if its top limb is below
2^63 - 1: then the interleaved product never carries out of four limbs ("no-carry" CIOS, Botrel and El Housni, EdMSM,
IACR ePrint 2022/1400).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from riskproof.errors import CommitmentError

LIMBS: Final = 4
SCALAR_BYTES: Final = 32
WIDE_BYTES: Final = 64
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Field:
    """A prime field with a modulus of at most 255 bits.

    Attributes:
        name: used in messages and as the identity of the compiled specialisation.
        modulus: p.
        generator: a generator of the multiplicative group, from which roots of unity are taken.
        two_adicity: the largest k with 2^k | p - 1.
    """

    name: str
    modulus: int
    generator: int
    two_adicity: int

    def __post_init__(self) -> None:
        if self.modulus % 2 == 0 or (self.modulus >> 192) >= (1 << 63) - 1:
            raise AssertionError("modulus does not suit no-carry Montgomery products")

    @cached_property
    def limbs(self) -> tuple[int, int, int, int]:
        """p in little-endian 64-bit limbs."""
        p = self.modulus
        return p & _MASK, p >> 64 & _MASK, p >> 128 & _MASK, p >> 192

    @cached_property
    def n0(self) -> int:
        """-1/p mod 2^64."""
        return -pow(self.modulus, -1, 1 << 64) % (1 << 64)

    @cached_property
    def r(self) -> int:
        """R mod p: one in Montgomery form."""
        return (1 << 256) % self.modulus

    @cached_property
    def r2(self) -> int:
        """R^2 mod p: what a canonical number is multiplied with to enter Montgomery form."""
        return (1 << 512) % self.modulus

    @cached_property
    def lazy_products(self) -> int:
        """How many products of reduced elements may be summed before one reduction: the largest k with k p < 2^256."""
        return (1 << 256) // self.modulus

    def root_of_unity(self, n: int) -> int:
        """generator^((p-1)/n), a primitive n-th root of unity, n a power of two dividing p - 1."""
        if n < 1 or n & (n - 1) or n.bit_length() - 1 > self.two_adicity:
            raise AssertionError("no such domain")
        return pow(self.generator, (self.modulus - 1) // n, self.modulus)

    def to_bytes(self, element: int) -> bytes:
        """32 little-endian bytes of an element in [0, p)."""
        if not 0 <= element < self.modulus:
            raise AssertionError("not reduced")
        return element.to_bytes(SCALAR_BYTES, "little")

    def from_bytes(self, data: bytes, where: str = "scalar") -> int:
        """Inverse of `to_bytes`.

        Raises:
            CommitmentError: not 32 bytes, or not below the modulus; nothing is ever reduced here.
        """
        if len(data) != SCALAR_BYTES:
            raise CommitmentError(f"{len(data)} bytes are not a field element", where=where, expected="32 bytes")
        element = int.from_bytes(data, "little")
        if element >= self.modulus:
            raise CommitmentError("field element is not reduced", where=where, expected=f"below {self.name}'s modulus")
        return element

    def reduce_wide(self, data: bytes) -> int:
        """64 little-endian bytes modulo p: uniform up to 2^-256 if the bytes are uniform."""
        if len(data) != WIDE_BYTES:
            raise AssertionError("64 bytes")
        return int.from_bytes(data, "little") % self.modulus


BN254_FR: Final = Field(
    name="bn254-fr",
    modulus=0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001,
    generator=5,
    two_adicity=28,
)
"""Scalar field of BN254 (EIP-197, circom's default): Poseidon and the position tree."""

BLS12_381_FR: Final = Field(
    name="bls12-381-fr",
    modulus=0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001,
    generator=7,
    two_adicity=32,
)
"""Scalar field of BLS12-381 (EIP-4844): position columns and proofs."""
