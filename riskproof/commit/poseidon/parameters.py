"""Poseidon parameters: generated, not pasted.

Round constants and MDS matrix come from the Grain LFSR in self-shrinking mode, as in the authors' reference script
(generate_params_poseidon.sage, field = 1, s_box = 0) and in circomlib:

    state     80 bits: field (2), S-box (4), bits of p (12), t (12), R_F (10), R_P (10), thirty ones (30), each big-endian
    update    b[i + 80] = b[i + 62] + b[i + 51] + b[i + 38] + b[i + 23] + b[i + 13] + b[i]  over GF(2); 160 bits discarded
    output    of each following pair, the second bit where the first is 1, nothing where it is 0
    constants (R_F + R_P) t numbers of bits(p) output bits, most significant first; p and above are drawn again
    MDS       x_0 .. x_{t-1}, y_0 .. y_{t-1} likewise, reduced modulo p; M[i][j] = 1 / (x_i + y_j)

The script then tests the matrix for infinitely long subspace trails and draws again on failure; for circomlib's parameters the
first draw passes, which the hash vectors in the tests confirm.

Partial rounds as a recurrence. Cell 0 alone passes the S-box there, so with d = t - 1, z the value of cell 0 before its S-box,
y after it, s the other cells, and M = [[m, v], [w, N]], a partial round is a linear system with input y and output z:

    z' = m y + v s,    s' = w y + N s

  * A constant on s passes untouched, so it moves through M into the next round: one constant per round stays (on z), and the
    rest lands in the first full round after.
  * With X^d = a_1 X^{d-1} + .. + a_d the characteristic equation of N and h_0 = m, h_k = v N^{k-1} w, cell 0 obeys
    z_{r+1} = sum_i a_i z_{r+1-i} + sum_k b_k y_{r-k},  b_k = h_k - sum_{i<=k} a_i h_{k-i}  (Cayley-Hamilton). In observer
    form, where u_1 .. u_d need no reduction, a round costs 2 t - 1 products and *one* reduction:

        z' = a_1 z + b_0 y + u_1,    u_i' = a_{i+1} z + b_i y + u_{i+1},    a_t = u_t = 0

    (the sparse matrices of the paper's appendix B cost 2 t - 1 products and t reductions).
  * u_i = z_i - sum_{j<=i} a_j z_{i-j} with z_0 = z, z_k = v N^{k-1} s is a linear change of coordinates: its matrix joins the
    linear layer before the partial rounds, its inverse follows the last of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from riskproof.commit.field.modulus import BN254_FR

Matrix: TypeAlias = tuple[tuple[int, ...], ...]
Vector: TypeAlias = tuple[int, ...]

FULL_ROUNDS: Final = 8
PARTIAL_ROUNDS: Final = {2: 56, 3: 57, 4: 56, 5: 60}  # by t; circomlib's N_ROUNDS_P
MAX_ARITY: Final = max(PARTIAL_ROUNDS) - 1

_P = BN254_FR.modulus
_BITS = _P.bit_length()
_TAPS = (62, 51, 38, 23, 13, 0)
_DISCARDED = 160


@dataclass(frozen=True)
class PoseidonParameters:
    """The permutation of width t as the paper states it; canonical integers below p."""

    t: int
    full_rounds: int
    partial_rounds: int
    round_constants: tuple[Vector, ...]  # [R_F + R_P][t]
    mds: Matrix  # [t][t]


@dataclass(frozen=True)
class RecurrenceParameters:
    """The same permutation with its partial rounds as a recurrence.

    Attributes:
        full_constants: [R_F][t], added before each full round.
        mds: [t][t], after every full round but the last before the partial ones.
        entry: [t][t], after that one; gives (z, u_1 .. u_d).
        leave: [t][t], after the last partial round; gives the cells back.
        partial_constants: [R_P], added to z before each partial round's S-box.
        a: [t], a_1 .. a_d, 0.
        b: [t], b_0 .. b_d.
    """

    full_constants: tuple[Vector, ...]
    mds: Matrix
    entry: Matrix
    leave: Matrix
    partial_constants: Vector
    a: Vector
    b: Vector


class _Grain:
    """The bit stream of the self-shrinking Grain LFSR."""

    def __init__(self, t: int, partial_rounds: int) -> None:
        fields = ((1, 2), (0, 4), (_BITS, 12), (t, 12), (FULL_ROUNDS, 10), (partial_rounds, 10), ((1 << 30) - 1, 30))
        text = "".join(f"{value:0{width}b}" for value, width in fields)
        self._raw = np.frombuffer(text.encode(), dtype=np.uint8) - ord("0")
        self._output = self._raw[:0]
        self._position = 0

    def _extend(self, length: int) -> None:
        """Lengthen the raw stream to at least `length` bits.

        Squaring the recurrence over GF(2) doubles every distance, so b[i + 80 k] = sum b[i + tap k] for every power of two k:
        with 80 k bits known, the next (80 - 62) k are one vector operation.
        """
        while len(self._raw) < length:
            k = 1 << ((len(self._raw) // 80).bit_length() - 1)
            start, count = len(self._raw) - 80 * k, 18 * k
            block = np.zeros(count, dtype=np.uint8)
            for tap in _TAPS:
                block ^= self._raw[start + tap * k : start + tap * k + count]
            self._raw = np.concatenate([self._raw, block])

    def integer(self) -> int:
        """The next bits(p) output bits, most significant first."""
        end = self._position + _BITS
        while len(self._output) < end:
            self._extend(2 * len(self._raw))
            stream = self._raw[80 + _DISCARDED :]
            pairs = stream[: len(stream) // 2 * 2].reshape(-1, 2)
            self._output = pairs[pairs[:, 0] == 1, 1]
        bits: npt.NDArray[np.uint8] = self._output[self._position : end]
        self._position = end
        return int.from_bytes(np.packbits(bits), "big") >> (-_BITS % 8)


@cache
def parameters(t: int) -> PoseidonParameters:
    """Circomlib's parameters of width t, 2 <= t <= 5."""
    partial_rounds = PARTIAL_ROUNDS[t]
    grain = _Grain(t, partial_rounds)

    def element() -> int:
        while (x := grain.integer()) >= _P:
            pass
        return x

    constants = tuple(tuple(element() for _ in range(t)) for _ in range(FULL_ROUNDS + partial_rounds))
    while True:
        draw = [grain.integer() % _P for _ in range(2 * t)]
        xs, ys = draw[:t], draw[t:]
        if len(set(draw)) == 2 * t and all((x + y) % _P for x in xs for y in ys):
            break
    mds = tuple(tuple(pow(x + y, -1, _P) for y in ys) for x in xs)
    return PoseidonParameters(t, FULL_ROUNDS, partial_rounds, constants, mds)


@cache
def recurrence_parameters(t: int) -> RecurrenceParameters:
    """`parameters(t)` with partial rounds as a recurrence; the permutation is the same."""
    plain = parameters(t)
    half, partial, mds, d = plain.full_rounds // 2, plain.partial_rounds, plain.mds, t - 1

    kept: list[int] = []
    carried: Vector = (0,) * t
    for constants in plain.round_constants[half : half + partial]:
        total = _add(constants, carried)
        kept.append(total[0])
        carried = _apply(mds, (0, *total[1:]))
    after = _add(plain.round_constants[half + partial], carried)
    full = (*plain.round_constants[:half], after, *plain.round_constants[half + partial + 1 :])

    m, v, w = mds[0][0], mds[0][1:], tuple(row[0] for row in mds[1:])
    block = _transpose(tuple(row[1:] for row in mds[1:]))
    powers = [v]  # v N^k
    for _ in range(d):
        powers.append(_apply(block, powers[-1]))
    # v N^d = sum a_i v N^{d-i} determines a, because v, v N .. are independent
    a = _apply(_inverse(_transpose(tuple(reversed(powers[:d])))), powers[d])
    h = (m, *(_apply((row,), w)[0] for row in powers[:d]))
    b = tuple((h[k] - sum(a[i - 1] * h[k - i] for i in range(1, k + 1))) % _P for k in range(t))

    z = [tuple(int(j == 0) for j in range(t)), *((0, *row) for row in powers[:d])]
    change = tuple(
        tuple((z[i][c] - sum(a[j - 1] * z[i - j][c] for j in range(1, i + 1))) % _P for c in range(t)) for i in range(t)
    )
    return RecurrenceParameters(full, mds, _product(change, mds), _inverse(change), tuple(kept), (*a, 0), b)


def _add(x: Vector, y: Vector) -> Vector:
    return tuple((i + j) % _P for i, j in zip(x, y, strict=True))


def _apply(matrix: Matrix, vector: Vector) -> Vector:
    return tuple(sum(m * x for m, x in zip(row, vector, strict=True)) % _P for row in matrix)


def _transpose(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def _product(a: Matrix, b: Matrix) -> Matrix:
    columns = _transpose(b)
    return tuple(_apply(columns, row) for row in a)


def _inverse(matrix: Matrix) -> Matrix:
    """Gauss and Jordan over the field; the caller's matrix is not singular (StopIteration would be a bug of ours)."""
    n = len(matrix)
    work = [[*row, *(int(i == j) for j in range(n))] for i, row in enumerate(matrix)]
    for i in range(n):
        pivot = next(k for k in range(i, n) if work[k][i])
        work[i], work[pivot] = work[pivot], work[i]
        scale = pow(work[i][i], -1, _P)
        work[i] = [x * scale % _P for x in work[i]]
        for k in range(n):
            if k != i and work[k][i]:
                factor = work[k][i]
                work[k] = [(x - factor * y) % _P for x, y in zip(work[k], work[i], strict=True)]
    return tuple(tuple(row[n:]) for row in work)
