"""Sections 3.1, 4, 5 and 6 of docs/protocol.md: whether a proof is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from riskproof.reference import signature
from riskproof.reference.documents import (
    Attestation,
    Challenge,
    Proof,
    parse_attestation,
    parse_challenge,
    parse_proof,
)
from riskproof.reference.groups import (
    GENERATOR,
    H_ID_BYTES,
    R_ORDER,
    Point,
    Setup,
    ceremony,
    combine,
    digest,
    equal,
    pairing_product_is_one,
    point,
    scalar,
)
from riskproof.reference.outcomes import Invalid, Malformed
from riskproof.reference.statement import Rows, check_no_wrap, coefficients_digest, slack_bits
from riskproof.reference.transcript import Transcript, u32, u64


@dataclass(frozen=True)
class Result:
    """outcome, and for what is refused the reason; a reason of an invalid proof begins with the section that it breaks."""

    outcome: Literal["valid", "invalid", "malformed"]
    reason: str = ""


def verify(
    proof: bytes,
    challenge: bytes,
    attestations: Sequence[bytes],
    rows: Rows,
    *,
    exponent: int,
    now: int | None = None,
    clock_tolerance: int = 0,
    setup: Setup | None = None,
) -> Result:
    """Whether `proof` answers `challenge` for these attestations and rows; about a second, pairings and subgroup checks.

    It takes for granted, and the caller must have made sure: each attestation is signed by its venue and valid by itself (checks 1
    to 9 of docs/verification.md), its registry and snapshot are the ones the rows were computed from, its retired columns hold
    expired instruments only, and the rows are those of the challenge's statement, bound and model (sections 2.1, 2.3 and 2.4).

    Documents are judged first, challenge, attestations, proof in this order; then section 3.1, section 2, the proof's bytes.

    Args:
        proof, challenge: the documents.
        attestations: payloads or DSSE envelopes, in any order.
        rows: the recomputed rows; their columns are those of the attestations in ascending order of `attestation_digest`.
        exponent: E of section 2.1, at least 6.
        now: seconds since the epoch; None skips the challenge's times.
        clock_tolerance: seconds by which `now` may be before the challenge.
        setup: None means the ceremony's.

    Raises:
        ValueError: no attestation, or rows that do not fit the attestations' columns: the caller's mistake. Hostile bytes never
            raise.
    """
    if not attestations or exponent < 6 or clock_tolerance < 0:
        raise ValueError("no attestation, an exponent below 6, or a negative tolerance")
    try:
        c = parse_challenge(challenge)
        given = sorted((parse_attestation(data) for data in attestations), key=lambda a: a.digest)
        p = parse_proof(proof)
        _check_rules(p, c, given, now, clock_tolerance)
        _check_proof(p, c, given, rows, slack_bits(exponent, c.slack_bits), setup or ceremony())
    except Malformed as error:
        return Result("malformed", str(error))
    except Invalid as error:
        return Result("invalid", str(error))
    return Result("valid")


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise Invalid(reason)


def _check_rules(p: Proof, c: Challenge, given: list[Attestation], now: int | None, tolerance: int) -> None:
    """Section 3.1, as far as it needs neither market nor venues' keys."""
    first = given[0]
    if now is not None:
        _require(c.issued_at - tolerance <= now, "3.1 rule 1: the challenge is not yet valid")
        _require(now < c.expires_at, "3.1 rule 1: the challenge has expired")
    _require(p.challenge_digest == c.digest, "3.1 rule 1: the proof names another challenge")
    _require(list(p.attestation_digests) == [a.digest for a in given], "3.1 rule 1: the proof names other attestations")
    _require(all(a.audience == c.audience for a in given), "3.1 rule 2: an attestation is for another audience")
    _require(len({a.tag for a in given}) == len(given), "3.1 rule 3: an account is there twice")
    epochs = {(a.venue, a.tag_epoch) for a in given}
    _require(len(epochs) == len({a.venue for a in given}), "3.1 rule 3: attestations of a venue differ in tag epoch")
    signed = {(a.venue, a.signers) for a in given}
    _require(len(signed) == len({a.venue for a in given}), "3.1 rule 3: attestations of a venue have different signers")
    _require(all(a.key == first.key for a in given), "3.1 rule 4: attestations of different holder keys")
    signers = {signer for a in given for signer in a.signers}
    _require(signature.thumbprint(first.key) not in signers, "3.1 rule 4: the holder's key is a venue's")
    _require(all(a.numeraire == first.numeraire for a in given), "3.1 rule 5: attestations in different numeraires")
    _require(c.numeraire in (None, first.numeraire), "3.1 rule 5: the challenge names another numeraire")
    _require(all(a.n == first.n for a in given), "3.1 rule 5: columns of different sizes")
    for name, times in (("issue", [a.issued_at for a in given]), ("snapshot", [a.snapshot_time for a in given])):
        _require(max(times) - min(times) <= c.max_skew_seconds, f"3.1 rule 5: {name} times too far apart")
    if c.max_age_seconds is not None:
        oldest = min(a.issued_at for a in given)
        _require(
            c.issued_at - oldest <= c.max_age_seconds, "3.1 rule 5: an attestation is older than the challenge allows"
        )
    if c.exclusive:
        for a in given:
            holds = a.exclusive is not None and a.exclusive[0] <= c.issued_at and c.expires_at <= a.exclusive[1]
            _require(holds, "3.1 rule 6: an attestation is not exclusive for the challenge's time")


def _check_proof(p: Proof, c: Challenge, given: list[Attestation], rows: Rows, b: int, setup: Setup) -> None:
    """Sections 2.5, 4, 5 and 6."""
    n, R, J, K, l = given[0].n, len(rows.constants), len(given), len(rows.A), rows.auxiliary_columns  # noqa: E741
    if rows.n != n or sum(len(a.columns) for a in given) != K:
        raise ValueError("rows do not fit the attestations' columns")
    m = -(-R * b // n)
    check_no_wrap(rows, b)

    # Section 4: the statement.
    t = Transcript()
    t.absorb("protocol", b"riskproof/net-risk/v1")
    t.absorb("srs", setup.digest)
    t.absorb("parameters", b"".join(map(u32, (n, b, R, J, K, l, m))))
    t.absorb("challenge", c.digest)
    t.absorb("audience", c.audience.encode("utf-8"))
    t.absorb("nonce", c.nonce)
    t.absorb("expiry", u64(c.expires_at))
    t.absorb("model", c.model_digest)
    for a in given:
        t.absorb("attestation", a.digest)
        t.absorb("registry", a.registry_digest)
        t.absorb("snapshot", a.snapshot_digest)
        t.absorb("holder-identity", a.identity)
        t.absorb("account-tag", a.tag)
    t.absorb("holder-key", given[0].key)
    for j, a in enumerate(given):
        for number, commitment in a.columns:
            t.absorb("column", u32(j) + u32(number) + commitment)
    t.absorb("constants", b"".join(x.to_bytes(32, "little", signed=True) for x in rows.constants))
    t.absorb("coefficients", coefficients_digest(rows))

    # Section 5: what was sent.
    if len(p.proof) != 48 * (l + m + 3) + 32 * (m + 1):
        raise Malformed(f"proof.proof: {len(p.proof)} bytes, not {48 * (l + m + 3) + 32 * (m + 1)}")
    at = 0

    def take(length: int) -> bytes:
        nonlocal at
        at += length
        return p.proof[at - length : at]

    x_bytes, B_bytes = [take(48) for _ in range(l)], [take(48) for _ in range(m)]
    S_bytes, t_bytes = take(48), take(48)
    B_z_bytes, S_omega_z_bytes, W_bytes = [take(32) for _ in range(m)], take(32), take(48)
    x = [point(data, "auxiliary column") for data in x_bytes]
    B = [point(data, "bit column") for data in B_bytes]
    S, quotient, W = point(S_bytes, "accumulator"), point(t_bytes, "quotient"), point(W_bytes, "opening")
    B_z = [scalar(data, "bit evaluation") for data in B_z_bytes]
    S_omega_z = scalar(S_omega_z_bytes, "accumulator evaluation")
    q = [point(commitment, "column") for a in given for _, commitment in a.columns]

    # Section 5: rounds.
    for data in x_bytes:
        t.absorb("auxiliary-column", data)
    for data in B_bytes:
        t.absorb("bit-column", data)
    rho = t.challenge("rho")
    t.absorb("accumulator", S_bytes)
    alpha = t.challenge("alpha")
    t.absorb("quotient", t_bytes)
    z = t.challenge("z")
    while z == 0 or pow(z, n, R_ORDER) == 1:
        z = t.challenge("z")
    for data in B_z_bytes:
        t.absorb("bit-evaluation", data)
    t.absorb("accumulator-evaluation", S_omega_z_bytes)
    v = t.challenge("v")
    t.absorb("opening", W_bytes)

    # The public polynomials at z.
    omega = pow(7, (R_ORDER - 1) // n, R_ORDER)
    Z_H_z = (pow(z, n, R_ORDER) - 1) % R_ORDER
    L = [
        pow(omega, i, R_ORDER) * Z_H_z * pow(n * (z - pow(omega, i, R_ORDER)), -1, R_ORDER) % R_ORDER for i in range(n)
    ]
    rho_to = [pow(rho, r, R_ORDER) for r in range(1, R + 1)]
    w_z = [0] * m
    for r in range(R):
        for i in range(b):
            k = r * b + i
            w_z[k // n] += rho_to[r] * 2**i * L[k % n]

    def row_sum(place: Sequence[int]) -> int:
        return sum(power * a for power, a in zip(rho_to, place, strict=True)) % R_ORDER

    a_z = [s * sum(L[i] * row_sum(A[i]) for i in range(n)) for A, s in zip(rows.A, rows.scales, strict=True)]
    d_z = [sum(L[i] * row_sum(rows.D[h * n + i]) for i in range(n)) for h in range(l)]
    sigma = row_sum(rows.constants)

    # [F1], [F2] and the pairing equation; u = 1 .. m.
    number = S_omega_z + sigma * pow(n, -1, R_ORDER)
    number += sum(-B_z[u] * w_z[u] + pow(alpha, u + 1, R_ORDER) * (B_z[u] ** 2 - B_z[u]) for u in range(m))
    number -= sum(pow(v, u + 1, R_ORDER) * B_z[u] for u in range(m))
    terms = [(number, GENERATOR), (-1, S), (-Z_H_z, quotient)]
    terms += [*zip(a_z, q, strict=True), *zip(d_z, x, strict=True)]
    terms += [(pow(v, u + 1, R_ORDER), B[u]) for u in range(m)]
    F1 = combine(terms)
    F2 = combine([(1, S), (-S_omega_z, GENERATOR)])
    P0 = combine([(-omega * z, F1), (-z, F2), (-omega * z * z, W)])
    P1 = combine([(1, F1), (1, F2), (z + omega * z, W)])
    P2 = combine([(-1, W)])
    _require(pairing_product_is_one(zip((P0, P1, P2), setup.g2, strict=True)), "5: the pairing equation does not hold")

    _check_holder(p, given, t)


def _check_holder(p: Proof, given: list[Attestation], t: Transcript) -> None:
    """Section 6, from the transcript after round 5."""
    if p.identity_proof is not None:
        T_bytes, s_bytes = p.identity_proof[:48], p.identity_proof[48:]
        T, s, H_id = point(T_bytes, "identity nonce"), scalar(s_bytes, "identity response"), point(H_ID_BYTES, "H_id")
        I: list[Point] = [point(a.identity, "identity") for a in given]  # noqa: E741
        e = t.challenge("identity-mix")
        Delta = combine(
            (sign * pow(e, j - 1, R_ORDER), I[i]) for j in range(1, len(I)) for sign, i in ((1, 0), (-1, j))
        )
        t.absorb("identity-nonce", T_bytes)
        k = t.challenge("identity-challenge")
        t.absorb("identity-response", s_bytes)
        _require(equal(combine([(s, H_id)]), combine([(1, T), (k, Delta)])), "6: the identities are not proved equal")
    message = digest("riskproof/holder-consent/v1", t.state)
    _require(signature.is_signed(given[0].key, message, p.holder_signature), "6: the holder's signature is wrong")
