"""128-bit integer products for compiled kernels, with a plain-Python form for when the JIT is off.

numba has no 128-bit integer. LLVM has, and on x86-64 and AArch64 a 64x64 -> 128-bit product is one or two
instructions; the functions here reach it through `numba.extending.intrinsic`. All of them are exact and total:
no function here overflows, traps or rounds except where its name says so.

With NUMBA_DISABLE_JIT=1 the same names are Python functions on `int(...)` of their arguments, so a kernel written
against this module gives the same integers with the JIT on and off.

    mul_u64(a, b)            -> (lo, hi)  uint64 x uint64, the exact 128-bit product
    mul_hi_u64(a, b)         -> hi        floor(a * b / 2^64)
    mul_hi_i64(a, b)         -> hi        floor(a * b / 2^64), signed
    mul_shift_i64(a, b, k)   -> int64     floor(a * b / 2^k), 0 <= k < 128; the caller knows that it fits int64
    add_carry_u64(a, b, c)   -> (s, c')   a + b + c with c in {0, 1}
    sub_borrow_u64(a, b, c)  -> (d, c')   a - b - c with c in {0, 1}

The `imul_` family works on int64 only, and with the JIT off on plain Python integers, so that a kernel which keeps its
values inside int64 needs no casts (mixing uint64 and int64 in numba gives a float):

    imul_hi(a, b)            -> int64     floor(a * b / 2^64)
    imul_shr(a, b, k)        -> int64     floor(a * b / 2^k), 0 <= k < 128, reduced to a signed 64-bit number
    imul_add_shr(a, b, c, k) -> int64     floor((a * b + c) / 2^k), 0 <= k < 128, reduced likewise
    imul_low(a, b, k)        -> int64     a * b modulo 2^k, 0 < k < 64, not negative
    nmul_hi(a, b)            -> int64     as imul_hi, but a, b >= 0: the compiler need not carry a sign, which
    nmul_shr(a, b, k)        -> int64     as imul_shr, a, b >= 0           halves the work of a chain of products
    nmul_add_shr(a, b, c, k) -> int64     as imul_add_shr, a, b, c >= 0
    bit_length(a)            -> int64     the least n with a < 2^n, for a >= 0
    scalar(a)                -> int64     a. A loop that passes through it stays scalar: 128-bit products have no vector form,
                                          and a vectorized loop would spend its time moving words in and out of vectors
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

_M64 = (1 << 64) - 1
_I64 = ir.IntType(64)
_I128 = ir.IntType(128)


def _signed(x: int) -> int:
    return x - (1 << 64) if x >> 63 else x


if config.DISABLE_JIT:  # type: ignore[attr-defined]

    def mul_u64(a: Any, b: Any) -> Any:
        p = int(a) * int(b)
        return np.uint64(p & _M64), np.uint64(p >> 64)

    def mul_hi_u64(a: Any, b: Any) -> Any:
        return np.uint64((int(a) * int(b)) >> 64)

    def mul_hi_i64(a: Any, b: Any) -> Any:
        return np.int64((int(a) * int(b)) >> 64)

    def mul_shift_i64(a: Any, b: Any, k: Any) -> Any:
        return np.int64(_signed(((int(a) * int(b)) >> int(k)) & _M64))

    def add_carry_u64(a: Any, b: Any, c: Any) -> Any:
        s = int(a) + int(b) + int(c)
        return np.uint64(s & _M64), np.uint64(s >> 64)

    def sub_borrow_u64(a: Any, b: Any, c: Any) -> Any:
        d = int(a) - int(b) - int(c)
        return np.uint64(d & _M64), np.uint64(1 if d < 0 else 0)

    def imul_hi(a: Any, b: Any) -> Any:
        return (int(a) * int(b)) >> 64

    def imul_shr(a: Any, b: Any, k: Any) -> Any:
        return _signed(((int(a) * int(b)) >> int(k)) & _M64)

    def imul_add_shr(a: Any, b: Any, c: Any, k: Any) -> Any:
        return _signed(((int(a) * int(b) + int(c)) >> int(k)) & _M64)

    def imul_low(a: Any, b: Any, k: Any) -> Any:
        return (int(a) * int(b)) & ((1 << int(k)) - 1)

    def bit_length(a: Any) -> Any:
        return int(a).bit_length()

    def scalar(a: Any) -> Any:
        return int(a)

    nmul_hi, nmul_shr, nmul_add_shr = imul_hi, imul_shr, imul_add_shr

else:

    def _pair(ctx: Any, builder: Any, sig: Any, lo: Any, hi: Any) -> Any:
        return ctx.make_tuple(builder, sig.return_type, (lo, hi))

    def _split(builder: Any, p: Any) -> tuple[Any, Any]:
        return builder.trunc(p, _I64), builder.trunc(builder.lshr(p, ir.Constant(_I128, 64)), _I64)

    @intrinsic  # type: ignore[untyped-decorator]
    def mul_u64(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            p = builder.mul(builder.zext(args[0], _I128), builder.zext(args[1], _I128))
            return _pair(ctx, builder, sig, *_split(builder, p))

        return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), codegen  # type: ignore[no-untyped-call]

    @intrinsic  # type: ignore[untyped-decorator]
    def mul_hi_u64(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            p = builder.mul(builder.zext(args[0], _I128), builder.zext(args[1], _I128))
            return _split(builder, p)[1]

        return types.uint64(types.uint64, types.uint64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def mul_hi_i64(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            p = builder.mul(builder.sext(args[0], _I128), builder.sext(args[1], _I128))
            return _split(builder, p)[1]

        return types.int64(types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def mul_shift_i64(typingctx: Any, a: Any, b: Any, k: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            p = builder.mul(builder.sext(args[0], _I128), builder.sext(args[1], _I128))
            return builder.trunc(builder.ashr(p, builder.zext(args[2], _I128)), _I64)

        return types.int64(types.int64, types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def add_carry_u64(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            s = builder.add(builder.zext(args[0], _I128), builder.zext(args[1], _I128))
            s = builder.add(s, builder.zext(args[2], _I128))
            return _pair(ctx, builder, sig, *_split(builder, s))

        return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64, types.uint64), codegen  # type: ignore[no-untyped-call]

    @intrinsic  # type: ignore[untyped-decorator]
    def sub_borrow_u64(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            d = builder.sub(builder.zext(args[0], _I128), builder.zext(args[1], _I128))
            d = builder.sub(d, builder.zext(args[2], _I128))
            lo, hi = _split(builder, d)
            return _pair(ctx, builder, sig, lo, builder.and_(hi, ir.Constant(_I64, 1)))

        return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64, types.uint64), codegen  # type: ignore[no-untyped-call]

    def _signed_product(builder: Any, a: Any, b: Any) -> Any:
        return builder.mul(builder.sext(a, _I128), builder.sext(b, _I128))

    @intrinsic  # type: ignore[untyped-decorator]
    def imul_hi(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _split(builder, _signed_product(builder, args[0], args[1]))[1]

        return types.int64(types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def imul_shr(typingctx: Any, a: Any, b: Any, k: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            p = _signed_product(builder, args[0], args[1])
            return builder.trunc(builder.ashr(p, builder.zext(args[2], _I128)), _I64)

        return types.int64(types.int64, types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def imul_add_shr(typingctx: Any, a: Any, b: Any, c: Any, k: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            p = builder.add(_signed_product(builder, args[0], args[1]), builder.sext(args[2], _I128))
            return builder.trunc(builder.ashr(p, builder.zext(args[3], _I128)), _I64)

        return types.int64(types.int64, types.int64, types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def imul_low(typingctx: Any, a: Any, b: Any, k: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            one = ir.Constant(_I64, 1)
            mask = builder.sub(builder.shl(one, args[2]), one)
            return builder.and_(builder.mul(args[0], args[1]), mask)

        return types.int64(types.int64, types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def bit_length(typingctx: Any, a: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            zeros = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))
            return builder.sub(ir.Constant(_I64, 64), zeros)

        return types.int64(types.int64), codegen

    def _natural_product(builder: Any, a: Any, b: Any) -> Any:
        return builder.mul(builder.zext(a, _I128), builder.zext(b, _I128))

    @intrinsic  # type: ignore[untyped-decorator]
    def nmul_hi(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _split(builder, _natural_product(builder, args[0], args[1]))[1]

        return types.int64(types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def nmul_shr(typingctx: Any, a: Any, b: Any, k: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            p = _natural_product(builder, args[0], args[1])
            return builder.trunc(builder.lshr(p, builder.zext(args[2], _I128)), _I64)

        return types.int64(types.int64, types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def nmul_add_shr(typingctx: Any, a: Any, b: Any, c: Any, k: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            p = builder.add(_natural_product(builder, args[0], args[1]), builder.zext(args[2], _I128))
            return builder.trunc(builder.lshr(p, builder.zext(args[3], _I128)), _I64)

        return types.int64(types.int64, types.int64, types.int64, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def scalar(typingctx: Any, a: Any) -> Any:
        def codegen(ctx: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.asm(ir.FunctionType(_I64, [_I64]), "", "=r,0", [args[0]], side_effect=False)

        return types.int64(types.int64), codegen
