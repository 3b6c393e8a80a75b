"""A prover written from docs/protocol.md, sections 4 to 6: polynomials are lists of ints, every transform is its definition.

It proves what it is told to: with `bits` a caller may put anything into the bit columns, and a quotient that does not come out even
is cut off when `dishonest`. So the tests can show the verifier false statements that are proved as well as they can be.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from py_ecc.fields import optimized_bls12_381_FQ as FQ
from py_ecc.optimized_bls12_381.optimized_curve import G1, G2, Z1, add, multiply, normalize

from riskproof.reference import Rows, Setup

R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
H_ID = "ae4e16dd7a1a0e3fc7e46ed82a0155e7cd969a03891904e9ff13e942a4e52e02fc56643167aa9a6cc65220e0ce92ab11"
G_ID = "a2a1dd71aacc62f7f8ab3bfefb421624780bc5d76185ff06710b894bbfe7f721970b0256d0ad7e962a86a3319fd141c8"
CEREMONY = Path(__file__).resolve().parents[2] / "riskproof" / "commit" / "data" / "kzg_trusted_setup.txt"

Polynomial = list[int]  # coefficient of X^i at place i


# Points.


def compress(point) -> bytes:
    x, y = (int(c) for c in normalize(point))
    return (x + (1 << 383) + ((1 << 381) if y > P - y else 0)).to_bytes(48, "big")


def decompress(data: bytes):
    value = int.from_bytes(data, "big")
    x = value % (1 << 381)
    y = pow(x**3 + 4, (P + 1) // 4, P)
    if (value >> 381 & 1) != (y > P - y):
        y = P - y
    return FQ(x), FQ(y), FQ(1)


def identity_commitment(identity: str, blinding: int) -> bytes:
    """I = id G_id + t H_id."""
    d = digest("riskproof/identity/v1", identity.encode())
    number = int.from_bytes(hashlib.sha256(b"\x00" + d).digest() + hashlib.sha256(b"\x01" + d).digest(), "little") % R
    g, h = decompress(bytes.fromhex(G_ID)), decompress(bytes.fromhex(H_ID))
    return compress(add(multiply(g, number), multiply(h, blinding)))


class KnownTau:
    """A setup whose secret is known: a commitment is one multiplication."""

    def __init__(self, tau: int) -> None:
        self.tau = tau
        self.digest = hashlib.sha256(b"a setup for tests" + tau.to_bytes(32, "little")).digest()

    def verifier_setup(self) -> Setup:
        return Setup(self.digest, (G2, multiply(G2, self.tau), multiply(G2, self.tau**2 % R)))

    def commit(self, f: Polynomial) -> bytes:
        return compress(multiply(G1, evaluate(f, self.tau)))


class Ceremony:
    """The ceremony's powers of tau; a commitment is sum_i f_i [tau^i]_1, by buckets of six bits."""

    def __init__(self) -> None:
        lines = CEREMONY.read_text().split()
        g1, g2 = "".join(lines[4163:]), "".join(lines[4098:4163])
        self.digest = digest("riskproof/srs/v1", bytes.fromhex(g1 + g2))
        self.powers = [decompress(bytes.fromhex(line)) for line in lines[4163 : 4163 + 256 + 3]]

    def commit(self, f: Polynomial) -> bytes:
        total = Z1
        for shift in reversed(range(0, 258, 6)):
            for _ in range(6):
                total = add(total, total)
            buckets = [Z1] * 64
            for factor, power in zip(f, self.powers[: len(f)], strict=True):
                window = factor >> shift & 63
                buckets[window] = add(buckets[window], power)
            running = Z1
            for bucket in reversed(buckets[1:]):
                running = add(running, bucket)
                total = add(total, running)
        return compress(total)


# Polynomials over the scalar field.


@cache
def domain(n: int) -> tuple[int, ...]:
    """1, omega, .. omega^(n-1)."""
    omega = pow(7, (R - 1) // n, R)
    return tuple(pow(omega, i, R) for i in range(n))


def interpolate(values: Sequence[int]) -> Polynomial:
    """The polynomial of degree below n with these values on H: f_j = (1/n) sum_i values_i omega^(-i j)."""
    n = len(values)
    powers, inverse = domain(n), pow(n, -1, R)
    held = [(i, v % R) for i, v in enumerate(values) if v]
    return [sum(v * powers[-i * j % n] for i, v in held) * inverse % R for j in range(n)]


def evaluate(f: Polynomial, x: int) -> int:
    total = 0
    for coefficient in reversed(f):
        total = (total * x + coefficient) % R
    return total


def plus(*terms: tuple[int, Polynomial]) -> Polynomial:
    """sum of factor times polynomial."""
    size = max(len(f) for _, f in terms)
    return [sum(factor * f[i] for factor, f in terms if i < len(f)) % R for i in range(size)]


def times(f: Polynomial, g: Polynomial) -> Polynomial:
    product = [0] * (len(f) + len(g) - 1)
    for i, x in enumerate(f):
        if x:
            for j, y in enumerate(g):
                product[i + j] += x * y
    return [x % R for x in product]


def divide(f: Polynomial, g: Polynomial, *, cut: bool) -> Polynomial:
    """f / g for monic g; what is left over must be nothing, unless it is to be `cut` off."""
    rest, quotient = list(f), [0] * max(1, len(f) - len(g) + 1)
    for i in reversed(range(len(f) - len(g) + 1)):
        quotient[i] = rest[i + len(g) - 1] % R
        for j, y in enumerate(g):
            if y:
                rest[i + j] -= quotient[i] * y
    assert cut or not any(x % R for x in rest), "does not come out even"
    return quotient


def vanishing(n: int) -> Polynomial:
    """Z_H(X) = X^n - 1."""
    return [R - 1] + [0] * (n - 1) + [1]


def blinded(values: Sequence[int], blinding: Sequence[int]) -> Polynomial:
    """Interpolate on H, plus (blinding_0 + blinding_1 X + ..) Z_H."""
    return plus((1, interpolate(values)), (1, times(list(blinding), vanishing(len(values)))))


# The transcript.


def digest(tag: str, body: bytes) -> bytes:
    return hashlib.sha256(bytes([len(tag)]) + tag.encode() + body).digest()


@dataclass
class Chain:
    """Section 4; `log` has (label, state after it) in order."""

    state: bytes = bytes(32)
    log: list[tuple[str, bytes]] = field(default_factory=list)

    def absorb(self, label: str, data: bytes) -> None:
        length = len(data).to_bytes(8, "little")
        self.state = hashlib.sha256(self.state + bytes([len(label)]) + label.encode() + length + data).digest()
        self.log.append((label, self.state))

    def challenge(self, label: str) -> int:
        prefix = self.state + bytes([len(label)]) + label.encode()
        x = hashlib.sha256(prefix + b"\x00").digest() + hashlib.sha256(prefix + b"\x01").digest()
        self.absorb(label, x)
        return int.from_bytes(x, "little") % R


# The prover.


@dataclass
class Held:
    """An attestation's payload, and what its holder knows: n lots of each live column, the columns' blindings, the identity's."""

    payload: bytes
    lots: list[list[int]]
    blindings: list[int]
    identity_blinding: int


@dataclass
class Proved:
    """The proof document, the bytes of section 5, values by their names on the page, and (label, state) after each absorb."""

    document: bytes
    body: bytes
    values: dict[str, int | bytes]
    log: list[tuple[str, bytes]]


def canonical(node) -> bytes:
    return json.dumps(node, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def coefficients(rows: Rows, n: int) -> bytes:
    shape = {"columns": len(rows.A), "auxiliary_columns": len(rows.D) // n, "rows": len(rows.constants), "size": n}
    header = canonical({**shape, "scales": [str(s) for s in rows.scales]})
    body = len(header).to_bytes(8, "little") + header
    for column in rows.A:
        for place in column:
            for x in place:
                body += (x % 2**64).to_bytes(8, "little")
    for place in rows.D:
        for x in place:
            body += (x % 2**64).to_bytes(8, "little")
    return digest("riskproof/coefficients/v1", body)


def slacks(rows: Rows, held: Sequence[Held], x: Sequence[int]) -> list[int]:
    """slack_r = c_r + <q, A_r> + <x, D_r> in integers."""
    q = [column for h in held for column in h.lots]
    found = []
    for r, c in enumerate(rows.constants):
        on_lots = sum(
            s * q_i * A[i][r] for A, s, lots in zip(rows.A, rows.scales, q, strict=True) for i, q_i in enumerate(lots)
        )
        found.append(c + on_lots + sum(x_p * rows.D[p][r] for p, x_p in enumerate(x)))
    return found


def prove(
    challenge: bytes,
    held: Sequence[Held],
    rows: Rows,
    x: Sequence[int],
    *,
    b: int,
    setup: KnownTau | Ceremony,
    sign: Callable[[bytes], bytes],
    blinding: Callable[[], int],
    bits: Sequence[int] | None = None,
    dishonest: bool = False,
) -> Proved:
    """Prove the rows for attestations in ascending order of digest.

    `blinding` is called for each x column (once), each bit column (beta, beta'), S (beta, beta', beta''), and then y of section 6.
    """
    stated = json.loads(challenge)
    documents = [json.loads(h.payload) for h in held]
    n, rows_count = documents[0]["columns"]["size"], len(rows.constants)
    K, l, m = len(rows.A), len(rows.D) // n, -(-rows_count * b // n)  # noqa: E741
    values: dict[str, int | bytes] = {}

    # Bits, least significant first, across all rows.
    if bits is None:
        held_slacks = slacks(rows, held, x)
        assert dishonest or all(0 <= s < 2**b for s in held_slacks), "a slack is out of range"
        bits = [s >> i & 1 for s in held_slacks for i in range(b)]
    bits = [*bits, *[0] * (m * n - len(bits))]

    t = Chain()
    t.absorb("protocol", b"riskproof/net-risk/v1")
    t.absorb("srs", setup.digest)
    t.absorb("parameters", b"".join(k.to_bytes(4, "little") for k in (n, b, rows_count, len(held), K, l, m)))
    t.absorb("challenge", digest("riskproof/challenge/v1", challenge))
    t.absorb("audience", stated["audience"].encode())
    t.absorb("nonce", bytes.fromhex(stated["nonce"]))
    t.absorb("expiry", stated["expires_at"].to_bytes(8, "little"))
    t.absorb("model", bytes.fromhex(stated["model"]["digest"]))
    for h, document in zip(held, documents, strict=True):
        t.absorb("attestation", digest("riskproof/attestation/v1", h.payload))
        t.absorb("registry", bytes.fromhex(document["registry_digest"]))
        t.absorb("snapshot", bytes.fromhex(document["snapshot_digest"]))
        t.absorb("holder-identity", bytes.fromhex(document["holder"]["identity"]))
        t.absorb("account-tag", bytes.fromhex(document["holder"]["tag"]))
    t.absorb("holder-key", bytes.fromhex(documents[0]["holder"]["key"]))
    for j, document in enumerate(documents):
        columns = document["columns"]
        count = len(columns["retired"]) + len(columns["commitments"])
        live = [number for number in range(count) if number not in columns["retired"]]
        for number, commitment in zip(live, columns["commitments"], strict=True):
            t.absorb("column", j.to_bytes(4, "little") + number.to_bytes(4, "little") + bytes.fromhex(commitment))
    t.absorb("constants", b"".join((c % 2**256).to_bytes(32, "little") for c in rows.constants))
    t.absorb("coefficients", coefficients(rows, n))

    # Round 1.
    padded = [*x, *[0] * (l * n - len(x))]
    x_h = [blinded(padded[h * n : h * n + n], [blinding()]) for h in range(l)]
    B = [blinded(bits[u * n : u * n + n], [blinding(), blinding()]) for u in range(m)]
    x_points, B_points = [setup.commit(f) for f in x_h], [setup.commit(f) for f in B]
    for point in x_points:
        t.absorb("auxiliary-column", point)
    for point in B_points:
        t.absorb("bit-column", point)
    values["rho"] = rho = t.challenge("rho")

    # Round 2.
    weights = [0] * (m * n)
    for r in range(rows_count):
        for i in range(b):
            weights[r * b + i] = pow(rho, r + 1, R) * 2**i % R

    def mixed(coefficients: Sequence[int], factor: int) -> int:
        return sum(pow(rho, r + 1, R) * factor * c for r, c in enumerate(coefficients)) % R

    w = [interpolate(weights[u * n : u * n + n]) for u in range(m)]
    a = [interpolate([mixed(place, s) for place in A]) for A, s in zip(rows.A, rows.scales, strict=True)]
    d = [interpolate([mixed(place, 1) for place in rows.D[h * n : h * n + n]]) for h in range(l)]
    q = [blinded(lots, [s_j]) for h in held for lots, s_j in zip(h.lots, h.blindings, strict=True)]
    values["sigma"] = sigma = mixed(rows.constants, 1)
    share = sigma * pow(n, -1, R) % R  # sigma / n
    products = [(1, times(B_u, w_u)) for B_u, w_u in zip(B, w, strict=True)]
    products += [(-1, times(q_j, a_j)) for q_j, a_j in zip(q, a, strict=True)]
    products += [(-1, times(x_i, d_i)) for x_i, d_i in zip(x_h, d, strict=True)]
    f = plus(*products)
    f_on_H = [evaluate(f, point) for point in domain(n)]
    if not dishonest:
        assert sum(f_on_H) % R == sigma
    S_on_H = [0]
    for value in f_on_H[:-1]:
        S_on_H.append((S_on_H[-1] + value - share) % R)
    S = blinded(S_on_H, [blinding(), blinding(), blinding()])
    S_point = setup.commit(S)
    t.absorb("accumulator", S_point)
    values["alpha"] = alpha = t.challenge("alpha")

    # Round 3.
    omega = domain(n)[1]
    S_turned = [s * pow(omega, i, R) % R for i, s in enumerate(S)]  # S(omega X)
    numerator = [(1, S_turned), (-1, S), (-1, f), (share, [1])]
    for u, B_u in enumerate(B):
        numerator += [(pow(alpha, u + 1, R), times(B_u, B_u)), (-pow(alpha, u + 1, R), B_u)]
    quotient = divide(plus(*numerator), vanishing(n), cut=dishonest)
    assert len(quotient) <= n + 3
    t_point = setup.commit(quotient)
    t.absorb("quotient", t_point)
    z = t.challenge("z")
    while z == 0 or pow(z, n, R) == 1:
        z = t.challenge("z")
    values["z"] = z

    # Round 4.
    B_z, S_omega_z = [evaluate(B_u, z) for B_u in B], evaluate(S, omega * z % R)
    for value in B_z:
        t.absorb("bit-evaluation", value.to_bytes(32, "little"))
    t.absorb("accumulator-evaluation", S_omega_z.to_bytes(32, "little"))
    values["v"] = v = t.challenge("v")

    # Round 5.
    number = S_omega_z + share
    terms = [(-1, S), (-(pow(z, n, R) - 1), quotient)]
    for u in range(m):
        number += (
            -B_z[u] * evaluate(w[u], z) + pow(alpha, u + 1, R) * (B_z[u] ** 2 - B_z[u]) - pow(v, u + 1, R) * B_z[u]
        )
        terms.append((pow(v, u + 1, R), B[u]))
    terms += [(evaluate(a_j, z), q_j) for a_j, q_j in zip(a, q, strict=True)]
    terms += [(evaluate(d_h, z), f_h) for d_h, f_h in zip(d, x_h, strict=True)]
    F1, F2 = plus((number, [1]), *terms), plus((1, S), (-S_omega_z, [1]))
    W = plus((1, divide(F1, [-z % R, 1], cut=dishonest)), (1, divide(F2, [-omega * z % R, 1], cut=dishonest)))
    W_point = setup.commit(W)
    t.absorb("opening", W_point)

    # Section 6.
    document = {
        "schema": "riskproof/proof/v1",
        "challenge_digest": digest("riskproof/challenge/v1", challenge).hex(),
        "attestation_digests": [digest("riskproof/attestation/v1", h.payload).hex() for h in held],
    }
    scalars = [value.to_bytes(32, "little") for value in (*B_z, S_omega_z)]
    body = b"".join([*x_points, *B_points, S_point, t_point, *scalars, W_point])
    document["proof"] = base64.b64encode(body).decode()
    if len(held) >= 2:
        e = t.challenge("identity-mix")
        y = blinding()
        delta = sum(
            pow(e, j - 1, R) * (held[0].identity_blinding - held[j].identity_blinding) for j in range(1, len(held))
        )
        T = compress(multiply(decompress(bytes.fromhex(H_ID)), y))
        t.absorb("identity-nonce", T)
        k = t.challenge("identity-challenge")
        s = (y + k * delta) % R
        t.absorb("identity-response", s.to_bytes(32, "little"))
        document["identity_proof"] = base64.b64encode(T + s.to_bytes(32, "little")).decode()
    message = digest("riskproof/holder-consent/v1", t.state)
    document["holder_signature"] = base64.b64encode(sign(message)).decode()

    for u in range(m):
        values |= {f"[B_{u + 1}]": B_points[u], f"B_{u + 1}(z)": B_z[u], f"w_{u + 1}(z)": evaluate(w[u], z)}
    values |= {f"a_{j + 1}(z)": evaluate(a_j, z) for j, a_j in enumerate(a)}
    values |= {"[S]": S_point, "S(omega z)": S_omega_z, "[t]": t_point, "[W]": W_point}
    values |= {"[F1]": setup.commit(F1), "[F2]": setup.commit(F2), "message": message}
    return Proved(canonical(document), body, values, t.log)
