"""Arithmetic of BLS12-381's base field for numba kernels: what coordinates of points are made of.

An element is UniTuple(uint64, 6), little-endian limbs, below p, in Montgomery form with R = 2^384. The products are those of
`montgomery` with two more limbs: p < 2^381, so the interleaved product does not carry out of them.

    base_mul(a, b)      a b / R mod p
    base_sub(a, b)      a - b mod p
    base_load(x, i, j)  limbs j .. j + 5 of row i of a uint64 array; base_store likewise

They exist with the JIT only: without it, whoever needs them takes the slower path over the curve library.
"""

from __future__ import annotations

from typing import Any, Final

import numba
from llvmlite import ir
from numba import extending

from riskproof.commit.field import montgomery
from riskproof.commit.field.montgomery import inline
from riskproof.commit.points import BASE_FIELD

LIMBS: Final = 6
BITS: Final = 64 * LIMBS
JIT: Final[bool] = not vars(numba.config)["DISABLE_JIT"]

if JIT:
    types: Final[Any] = numba.types
    intrinsic: Final[Any] = extending.intrinsic
    _m: Final[Any] = montgomery  # its LLVM building blocks, which do not depend on the number of limbs

    _ELEMENT = types.UniTuple(types.uint64, LIMBS)
    _WIDTH = ir.IntType(BITS)
    _P = ir.Constant(_WIDTH, BASE_FIELD)
    _N0 = -pow(BASE_FIELD, -1, 1 << 64) % (1 << 64)

    def _product(b: Any, x: list[Any], y: list[Any]) -> list[Any]:
        p = [_m._word(BASE_FIELD >> (64 * i) & (1 << 64) - 1) for i in range(LIMBS)]
        t = [_m._word(0)] * LIMBS
        for i in range(LIMBS):
            row, carry = [], _m._word(0)
            for j in range(LIMBS):
                low, carry = _m._mul_add(b, x[j], y[i], t[j], carry)
                row.append(low)
            factor = b.mul(row[0], _m._word(_N0))
            _, above = _m._mul_add(b, factor, p[0], row[0])
            t = []
            for j in range(1, LIMBS):
                low, above = _m._mul_add(b, factor, p[j], row[j], above)
                t.append(low)
            t.append(b.add(above, carry))
        return t

    @intrinsic
    def base_mul(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = _product(builder, *(_m._words(builder, v, LIMBS) for v in args))
            value = _m._join(builder, limbs, BITS)
            least = builder.select(builder.icmp_unsigned("<", value, _P), value, builder.sub(value, _P))
            return ctx.make_tuple(builder, sig.return_type, _m._split(builder, least, LIMBS))

        return _ELEMENT(_ELEMENT, _ELEMENT), codegen

    @intrinsic
    def base_sub(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            x, y = (_m._join(builder, _m._words(builder, v, LIMBS), BITS) for v in args)
            back = builder.select(builder.icmp_unsigned("<", x, y), _P, ir.Constant(_WIDTH, 0))
            limbs = _m._split(builder, builder.add(builder.sub(x, y), back), LIMBS)
            return ctx.make_tuple(builder, sig.return_type, limbs)

        return _ELEMENT(_ELEMENT, _ELEMENT), codegen

    @inline
    def base_load(x: Any, i: Any, j: Any) -> Any:
        """The element at x[i, j : j + 6]."""
        return x[i, j], x[i, j + 1], x[i, j + 2], x[i, j + 3], x[i, j + 4], x[i, j + 5]

    @inline
    def base_store(x: Any, i: Any, j: Any, a: Any) -> None:
        """x[i, j : j + 6] = a."""
        for k in range(6):
            x[i, j + k] = a[k]
