"""Montgomery arithmetic for numba kernels: one implementation for every Field, its constants baked into the code.

numba has no integers wider than 64 bits, LLVM has, so each operation is an intrinsic that writes LLVM IR; the Field is a
compile-time argument, so that a kernel that takes one (or names a global one) is specialised per modulus and cached.

An element is UniTuple(uint64, 4), little-endian limbs, below p. A wide number is UniTuple(uint64, 8). Montgomery form of x is
x R mod p, R = 2^256.

    fe_mul(F, a, b)        a b / R mod p                      interleaved (CIOS), one conditional subtraction
    fe_square(F, a)        a^2 / R mod p
    fe_add(F, a, b)        a + b mod p
    fe_sub(F, a, b)        a - b mod p
    fe_from(F, a)          a / R mod p: out of Montgomery form
    fe_to(F, a)            a R mod p: into Montgomery form; a below p
    fe_is_reduced(F, a)    a < p
    fe_is_zero(a)          a == 0
    fe_one(F), fe_zero()   R mod p, 0
    wide_mul(a, b)         a b, not reduced
    wide_add(x, y)         x + y mod 2^512
    fe_reduce(F, x)        x / R mod p for x < p R: a sum of at most F.lazy_products products of elements
    fe_reduce_sum(F, x)    x / R mod p for x < 3 p R, if 4 p < 2^256
    loose_add(a, b)        a + b, not reduced
    loose_mul(F, a, b)     a b / R + e p for some 0 <= e < 1, congruent to a b / R; needs a + p and a b / R + p below 2^256
    loose_square(F, a)     a^2 / R + e p likewise
    fe_load(array, i)      element i of uint64[N, 4]
    fe_store(array, i, a)  array[i, :] = a; wide_load and wide_store likewise for uint64[N, 8]

Lazy dot products are what makes Poseidon's linear layers cheap: three products and one reduction cost 26 ns where three
products reduced one by one cost 55 ns.

Bound of `fe_reduce`: (x + m p)/R < x/R + p <= 2p for x <= p R, so one subtraction suffices; k products are below k p^2, and
k p <= R.

With NUMBA_DISABLE_JIT=1 the same names work on Python integers (`literal`), so a kernel gives the same limbs.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import imputils

from riskproof.commit.field import literal
from riskproof.commit.field.modulus import LIMBS, Field

types: Final[Any] = numba.types
intrinsic: Final[Any] = extending.intrinsic

jit: Final[Any] = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)
inline: Final[Any] = numba.njit(nogil=True, error_model="numpy", boundscheck=False, forceinline=True)

_JIT_OFF: Final[bool] = vars(numba.config)["DISABLE_JIT"]
_M64 = (1 << 64) - 1
_I64 = ir.IntType(64)
_I128 = ir.IntType(128)
_I256 = ir.IntType(256)
_I512 = ir.IntType(512)

if _JIT_OFF:

    def _int(a: Any) -> int:
        return sum(int(v) << (64 * i) for i, v in enumerate(a))

    def _tuple(x: int, n: int = LIMBS) -> Any:
        return tuple(np.uint64(x >> (64 * i) & _M64) for i in range(n))

    def fe_mul(field: Any, a: Any, b: Any) -> Any:
        return _tuple(literal.mul(field, _int(a), _int(b)))

    def fe_square(field: Any, a: Any) -> Any:
        return fe_mul(field, a, a)

    def fe_add(field: Any, a: Any, b: Any) -> Any:
        return _tuple((_int(a) + _int(b)) % field.modulus)

    def fe_sub(field: Any, a: Any, b: Any) -> Any:
        return _tuple((_int(a) - _int(b)) % field.modulus)

    def fe_reduce(field: Any, x: Any) -> Any:
        return _tuple(literal.reduce(field, _int(x)))

    def fe_from(field: Any, a: Any) -> Any:
        return _tuple(literal.reduce(field, _int(a)))

    def fe_to(field: Any, a: Any) -> Any:
        return _tuple(literal.mul(field, _int(a), field.r2))

    def fe_is_reduced(field: Any, a: Any) -> Any:
        return _int(a) < field.modulus

    def fe_is_zero(a: Any) -> Any:
        return _int(a) == 0

    def fe_one(field: Any) -> Any:
        return _tuple(field.r)

    def fe_zero() -> Any:
        return _tuple(0)

    def fe_reduce_sum(field: Any, x: Any) -> Any:
        return _tuple(literal.reduce_sum(field, _int(x)))

    def loose_add(a: Any, b: Any) -> Any:
        return _tuple(_int(a) + _int(b))

    def loose_mul(field: Any, a: Any, b: Any) -> Any:
        return _tuple(literal.divide(field, _int(a) * _int(b)))

    def loose_square(field: Any, a: Any) -> Any:
        return loose_mul(field, a, a)

    def wide_mul(a: Any, b: Any) -> Any:
        return _tuple(_int(a) * _int(b), 2 * LIMBS)

    def wide_add(x: Any, y: Any) -> Any:
        return _tuple(_int(x) + _int(y) & ((1 << 512) - 1), 2 * LIMBS)

else:
    ELEMENT = types.UniTuple(types.uint64, LIMBS)
    WIDE = types.UniTuple(types.uint64, 2 * LIMBS)

    class FieldType(types.Type):  # type: ignore[misc]
        """numba type of a Field: nothing at run time, the modulus is part of the type."""

        def __init__(self, field: Field) -> None:
            self.field = field
            super().__init__(name=f"Field({field.name}, {field.modulus:#x})")

    def _typeof_field(value: Field, context: Any) -> FieldType:
        return FieldType(value)

    def _unbox_field(typ: Any, value: Any, c: Any) -> Any:
        native: Any = extending.NativeValue
        return native(c.context.get_dummy_value())

    def _lower_field(context: Any, builder: Any, typ: Any, value: Any) -> Any:
        return context.get_dummy_value()

    _register: Any = extending
    _lower: Any = imputils
    _register.register_model(FieldType)(extending.models.OpaqueModel)
    _register.typeof_impl.register(Field)(_typeof_field)
    _register.unbox(FieldType)(_unbox_field)
    _lower.lower_constant(FieldType)(_lower_field)

    # --- LLVM IR. `b` is the IR builder; limbs are lists of i64 values, least significant first. ---

    def _word(x: int) -> Any:
        return ir.Constant(_I64, x)

    def _join(b: Any, limbs: Any, width: int) -> Any:
        """One integer of `width` bits from its limbs."""
        wide = ir.IntType(width)
        total = b.zext(limbs[0], wide)
        for i, limb in enumerate(limbs[1:], 1):
            total = b.or_(total, b.shl(b.zext(limb, wide), ir.Constant(wide, 64 * i)))
        return total

    def _split(b: Any, value: Any, n: int) -> list[Any]:
        shifted = (b.lshr(value, ir.Constant(value.type, 64 * i)) if i else value for i in range(n))
        return [b.trunc(part, _I64) for part in shifted]

    def _mul_add(b: Any, x: Any, y: Any, *addends: Any) -> tuple[Any, Any]:
        """(low, high) of x y + up to two more words; cannot overflow 128 bits."""
        p = b.mul(b.zext(x, _I128), b.zext(y, _I128))
        for addend in addends:
            p = b.add(p, b.zext(addend, _I128))
        return b.trunc(p, _I64), b.trunc(b.lshr(p, ir.Constant(_I128, 64)), _I64)

    def _subtract_once(b: Any, value: Any, modulus: int) -> list[Any]:
        """value - p if value >= p, for an i256 value below 2p."""
        p = ir.Constant(_I256, modulus)
        return _split(b, b.select(b.icmp_unsigned("<", value, p), value, b.sub(value, p)), LIMBS)

    def _reduction_step(b: Any, field: Field, t: list[Any]) -> list[Any]:
        """(t + m p) / 2^64 for four limbs t, m chosen so that the division is exact; four limbs, as p < 2^255."""
        p = [_word(x) for x in field.limbs]
        m = b.mul(t[0], _word(field.n0))
        _, carry = _mul_add(b, m, p[0], t[0])
        out = []
        for j in range(1, LIMBS):
            low, carry = _mul_add(b, m, p[j], t[j], carry)
            out.append(low)
        return [*out, carry]

    def _product(b: Any, field: Field, x: list[Any], y: list[Any]) -> list[Any]:
        """x y / R + e p, 0 <= e < 1."""
        t = [_word(0)] * LIMBS
        for i in range(LIMBS):
            row, carry = [], _word(0)
            for j in range(LIMBS):
                low, carry = _mul_add(b, x[j], y[i], t[j], carry)
                row.append(low)
            t = _reduction_step(b, field, row)
            t[-1] = b.add(t[-1], carry)  # no carry: each partial result is below x + p
        return t

    def _wide_product(b: Any, x: list[Any], y: list[Any]) -> list[Any]:
        t = [_word(0)] * (2 * LIMBS)
        for i in range(LIMBS):
            carry = _word(0)
            for j in range(LIMBS):
                t[i + j], carry = _mul_add(b, x[j], y[i], t[i + j], carry)
            t[i + LIMBS] = carry
        return t

    def _wide_square(b: Any, x: list[Any]) -> list[Any]:
        """Each mixed product once, doubled by a shift, plus the squares on the diagonal."""
        t1, carry = _mul_add(b, x[0], x[1])
        t2, carry = _mul_add(b, x[0], x[2], carry)
        t3, t4 = _mul_add(b, x[0], x[3], carry)
        t3, carry = _mul_add(b, x[1], x[2], t3)
        t4, t5 = _mul_add(b, x[1], x[3], t4, carry)
        t5, t6 = _mul_add(b, x[2], x[3], t5)
        mixed = b.shl(_join(b, [_word(0), t1, t2, t3, t4, t5, t6], 512), ir.Constant(_I512, 1))
        diagonal = [word for limb in x for word in _mul_add(b, limb, limb)]
        return _split(b, b.add(mixed, _join(b, diagonal, 512)), 2 * LIMBS)

    def _reduce(b: Any, field: Field, x: list[Any], subtractions: tuple[int, ...]) -> list[Any]:
        """x / R mod p. The low half is reduced by itself and the high half added at the end: a shorter carry chain."""
        low = x[:LIMBS]
        for _ in range(LIMBS):
            low = _reduction_step(b, field, low)
        total = b.add(_join(b, low, 256), _join(b, x[LIMBS:], 256))
        for multiple in subtractions:
            total = _join(b, _subtract_once(b, total, multiple * field.modulus), 256)
        return _split(b, total, LIMBS)

    def _words(b: Any, value: Any, n: int = LIMBS) -> list[Any]:
        return [b.extract_value(value, i) for i in range(n)]

    def _pack(ctx: Any, b: Any, typ: Any, limbs: list[Any]) -> Any:
        return ctx.make_tuple(b, typ, limbs)

    @intrinsic
    def fe_mul(typingctx: Any, field: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = _product(builder, field.field, _words(builder, args[1]), _words(builder, args[2]))
            limbs = _subtract_once(builder, _join(builder, limbs, 256), field.field.modulus)
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, ELEMENT, ELEMENT), codegen

    @intrinsic
    def fe_square(typingctx: Any, field: Any, a: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = _reduce(builder, field.field, _wide_square(builder, _words(builder, args[1])), (1,))
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, ELEMENT), codegen

    @intrinsic
    def fe_add(typingctx: Any, field: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            x, y = (_join(builder, _words(builder, v), 256) for v in args[1:])
            limbs = _subtract_once(builder, builder.add(x, y), field.field.modulus)
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, ELEMENT, ELEMENT), codegen

    @intrinsic
    def fe_sub(typingctx: Any, field: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            x, y = (_join(builder, _words(builder, v), 256) for v in args[1:])
            p, zero = ir.Constant(_I256, field.field.modulus), ir.Constant(_I256, 0)
            back = builder.select(builder.icmp_unsigned("<", x, y), p, zero)
            limbs = _split(builder, builder.add(builder.sub(x, y), back), LIMBS)
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, ELEMENT, ELEMENT), codegen

    @intrinsic
    def fe_reduce(typingctx: Any, field: Any, x: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = _reduce(builder, field.field, _words(builder, args[1], 2 * LIMBS), (1,))
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, WIDE), codegen

    @intrinsic
    def fe_reduce_sum(typingctx: Any, field: Any, x: Any) -> Any:
        if 4 * field.field.modulus >= 1 << 256:
            raise AssertionError("x / R + p may not fit four limbs")

        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = _reduce(builder, field.field, _words(builder, args[1], 2 * LIMBS), (2, 1))
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, WIDE), codegen

    @intrinsic
    def fe_from(typingctx: Any, field: Any, a: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = _reduce(builder, field.field, _words(builder, args[1]) + [_word(0)] * LIMBS, (1,))
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, ELEMENT), codegen

    @intrinsic
    def fe_to(typingctx: Any, field: Any, a: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            r2 = [_word(field.field.r2 >> (64 * i) & _M64) for i in range(LIMBS)]
            limbs = _product(builder, field.field, _words(builder, args[1]), r2)
            limbs = _subtract_once(builder, _join(builder, limbs, 256), field.field.modulus)
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, ELEMENT), codegen

    @intrinsic
    def fe_is_reduced(typingctx: Any, field: Any, a: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            value = _join(builder, _words(builder, args[1]), 256)
            return builder.icmp_unsigned("<", value, ir.Constant(_I256, field.field.modulus))

        return types.boolean(field, ELEMENT), codegen

    @intrinsic
    def fe_is_zero(typingctx: Any, a: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            value = _join(builder, _words(builder, args[0]), 256)
            return builder.icmp_unsigned("==", value, ir.Constant(_I256, 0))

        return types.boolean(ELEMENT), codegen

    @intrinsic
    def fe_one(typingctx: Any, field: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = [_word(field.field.r >> (64 * i) & _M64) for i in range(LIMBS)]
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field), codegen

    @intrinsic
    def fe_zero(typingctx: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _pack(ctx, builder, sig.return_type, [_word(0)] * LIMBS)

        return ELEMENT(), codegen

    @intrinsic
    def wide_mul(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = _wide_product(builder, _words(builder, args[0]), _words(builder, args[1]))
            return _pack(ctx, builder, sig.return_type, limbs)

        return WIDE(ELEMENT, ELEMENT), codegen

    @intrinsic
    def loose_add(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            x, y = (_join(builder, _words(builder, v), 256) for v in args)
            return _pack(ctx, builder, sig.return_type, _split(builder, builder.add(x, y), LIMBS))

        return ELEMENT(ELEMENT, ELEMENT), codegen

    @intrinsic
    def loose_mul(typingctx: Any, field: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            x, y = _words(builder, args[1]), _words(builder, args[2])
            return _pack(ctx, builder, sig.return_type, _product(builder, field.field, x, y))

        return ELEMENT(field, ELEMENT, ELEMENT), codegen

    @intrinsic
    def loose_square(typingctx: Any, field: Any, a: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            limbs = _reduce(builder, field.field, _wide_square(builder, _words(builder, args[1])), ())
            return _pack(ctx, builder, sig.return_type, limbs)

        return ELEMENT(field, ELEMENT), codegen

    @intrinsic
    def wide_add(typingctx: Any, x: Any, y: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            u, v = (_join(builder, _words(builder, w, 2 * LIMBS), 512) for w in args)
            return _pack(ctx, builder, sig.return_type, _split(builder, builder.add(u, v), 2 * LIMBS))

        return WIDE(WIDE, WIDE), codegen


@inline
def fe_load(array: Any, i: Any) -> Any:
    """Element i of uint64[N, 4]."""
    return array[i, 0], array[i, 1], array[i, 2], array[i, 3]


@inline
def fe_store(array: Any, i: Any, a: Any) -> None:
    """array[i, :] = a."""
    array[i, 0] = a[0]
    array[i, 1] = a[1]
    array[i, 2] = a[2]
    array[i, 3] = a[3]


@inline
def wide_load(array: Any, i: Any) -> Any:
    """Wide number i of uint64[N, 8]."""
    a = array
    return a[i, 0], a[i, 1], a[i, 2], a[i, 3], a[i, 4], a[i, 5], a[i, 6], a[i, 7]


@inline
def wide_store(array: Any, i: Any, x: Any) -> None:
    """array[i, :] = x."""
    for j in range(8):
        array[i, j] = x[j]
