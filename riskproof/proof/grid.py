"""Grids on which money is disclosed, in attestations and as bounds of proofs, so that no number is an exact equation in the lots.

    {"significant_digits": 2}         the numbers k 10^j with |k| < 10^2, j >= 0; the default
    {"step_micros": "1000000"}        the multiples of a step; a step of 1 discloses exact micros, and has to be asked for

A requirement is rounded up to the grid, a P&L down: against the account. 26 exact margins were enough to recover a book of 60
instruments by lattice reduction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskproof import encoding, units
from riskproof.encoding import Json
from riskproof.errors import AttestationError, EncodingError, OverflowMoneyError

MAX_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid on amounts in micros: either a number of significant digits or a step.

    Raises:
        AttestationError: both or neither given, digits not in 1..18, step not in 1..2^63 - 1.
    """

    significant_digits: int | None = None
    step_micros: int | None = None

    def __post_init__(self) -> None:
        if (self.significant_digits is None) == (self.step_micros is None):
            raise AttestationError("a grid has significant digits or a step", where="grid", expected="one of the two")
        if self.significant_digits is not None and not 1 <= self.significant_digits <= MAX_DIGITS:
            raise AttestationError("out of range", where="grid.significant_digits", expected=f"1 to {MAX_DIGITS}")
        if self.step_micros is not None and not 1 <= self.step_micros <= units.INT64_MAX:
            raise AttestationError("out of range", where="grid.step_micros", expected="1 to 2^63 - 1")

    def step_at(self, amount: int) -> int:
        """Distance of the grid points around `amount`, in micros."""
        if self.step_micros is not None:
            return self.step_micros
        assert self.significant_digits is not None
        return int(10 ** max(0, len(str(abs(amount))) - self.significant_digits))

    def up(self, amount: int, where: str) -> int:
        """The least grid point not below `amount`; OverflowMoneyError if it does not fit int64."""
        return -self.down(-amount, where)

    def down(self, amount: int, where: str) -> int:
        """The greatest grid point not above `amount`; OverflowMoneyError if it does not fit int64."""
        step = self.step_at(amount)
        rounded = amount // step * step
        if abs(rounded) > units.INT64_MAX:
            raise OverflowMoneyError(
                "amount does not fit 64 bits after rounding to the grid", where=where, expected="a finer grid"
            )
        return rounded

    def contains(self, amount: int) -> bool:
        """True if `amount` is a grid point."""
        return amount % self.step_at(amount) == 0

    def size(self, *, signed: bool) -> int:
        """How many grid points there are up to 2^63 - 1 micros; with `signed`, of either sign."""
        if self.step_micros is not None:
            least = units.INT64_MAX // self.step_micros + 1
        else:
            assert self.significant_digits is not None
            leading = 10 ** (self.significant_digits - 1)  # the least number with all the digits
            last = units.INT64_MAX // 10 ** (len(str(units.INT64_MAX)) - self.significant_digits)
            whole = len(str(units.INT64_MAX)) - 1 - self.significant_digits  # powers of ten that fit entirely
            least = int(10 * leading + whole * 9 * leading + last - leading + 1)
        return 2 * least - 1 if signed else least

    def to_document(self) -> dict[str, Json]:
        if self.step_micros is not None:
            return {"step_micros": str(self.step_micros)}
        return {"significant_digits": self.significant_digits}

    @classmethod
    def from_document(cls, node: Json, where: str) -> Grid:
        m = encoding.members(node, where, (), ("significant_digits", "step_micros"))
        if len(m) != 1:
            raise EncodingError("a grid has significant digits or a step", where=where, expected="one of the two")
        if "step_micros" in m:
            at = f"{where}.step_micros"
            return cls(step_micros=units.parse_integer(encoding.string(m["step_micros"], at), at))
        return cls(significant_digits=encoding.integer(m["significant_digits"], f"{where}.significant_digits"))


COARSE: Final = Grid(significant_digits=2)
EXACT: Final = Grid(step_micros=1)
