"""Small net-risk statements with everything known: documents as venues and verifiers would write them, rows, and the proof."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from literal_prover import Ceremony, Held, KnownTau, R, blinded, canonical, digest, identity_commitment, prove, slacks

from riskproof.reference import Result, Rows, verify

N = 256
NOW = 1_768_382_700
SETUP = KnownTau(int.from_bytes(hashlib.sha512(b"toxic").digest(), "little") % R)
HOLDER = Ed25519PrivateKey.from_private_bytes(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)  # RFC 8037, appendix A


def random_scalar() -> int:
    return 1 + secrets.randbelow(R - 1)


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def word(text: str) -> str:
    """32 bytes in hexadecimal that stand for something outside the proof."""
    return hashlib.sha256(text.encode()).hexdigest()


def challenge_document(**changes: Any) -> dict[str, Any]:
    """A challenge; a change to None leaves the member out."""
    document = {
        "schema": "riskproof/challenge/v1",
        "audience": "lender",
        "nonce": word("nonce"),
        "issued_at": 1_768_382_600,
        "expires_at": 1_768_386_200,
        "statement": "loss",
        "bound_micros": "100",
        "model": {"name": "crypto-pm", "digest": word("model")},
        "max_skew_seconds": 60,
        "exclusive": False,
        **changes,
    }
    return {name: value for name, value in document.items() if value is not None}


def attestation_document(
    commitments: list[bytes],
    identity: bytes,
    retired: tuple[int, ...] = (),
    holder: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The payload of an attestation with a holder; a change to None leaves the member out."""
    count = len(commitments) + len(retired)
    document = {
        "schema": "riskproof/attestation/v2",
        "venue": "venue-a",
        "signers": ["atZR63tNG3W2GhPpVleKnfrw1N7N6LAqOe5grE2SBR4"],
        "account": word("account"),
        "chain": word("chain"),
        "issued_at": 1_768_382_600,
        "expires_at": 1_768_386_200,
        "audience": "lender",
        "numeraire": "USD",
        "quantity_exponent": 3,
        "registry_digest": word("registry"),
        "registry_size": N * count,
        "registry_root": word("root"),
        "snapshot_digest": word("snapshot"),
        "snapshot_time": 1_768_382_553,
        "model": {"name": "crypto-pm", "digest": word("model")},
        "kernel": "example/1",
        "array_digest": word("array"),
        "positions_root": (7).to_bytes(32, "little").hex(),
        "tree_capacity": 1024,
        "columns": {"size": N, "retired": list(retired), "commitments": [c.hex() for c in commitments]},
        "disclosure": {"policy": "none"},
        "holder": {
            "key": public(HOLDER),
            "identity": identity.hex(),
            "tag": word("tag"),
            "tag_epoch": 683,
            **(holder or {}),
        },
        **changes,
    }
    return {name: value for name, value in document.items() if value is not None}


def column(lots: dict[int, int]) -> list[int]:
    return [lots.get(i, 0) for i in range(N)]


def held(
    lots: list[list[int]],
    identity: str = "LEI-1",
    setup: KnownTau | Ceremony = SETUP,
    scalar: Callable[[], int] = random_scalar,
    **changes: Any,
) -> Held:
    """An attestation of these columns; `scalar` gives the columns' blindings, then the identity's."""
    blindings = [scalar() for _ in lots]
    commitments = [setup.commit(blinded(q, [s])) for q, s in zip(lots, blindings, strict=True)]
    t = scalar()
    document = attestation_document(commitments, identity_commitment(identity, t), **changes)
    return Held(canonical(document), lots, blindings, t)


@dataclass
class Case:
    """A statement with its witness. `challenge` is a document; `held` in ascending order of digest, as the rows are."""

    challenge: dict[str, Any]
    held: list[Held]
    rows: Rows
    x: list[int] = field(default_factory=list)
    b: int = 64
    exponent: int = 9

    @property
    def attestations(self) -> list[bytes]:
        return [h.payload for h in self.held]

    def prove(self, **options: Any) -> dict[str, Any]:
        """The proof document as a tree, to be tampered with."""
        settings = {"sign": HOLDER.sign, "setup": SETUP, "blinding": random_scalar, **options}
        proved = prove(canonical(self.challenge), self.held, self.rows, self.x, b=self.b, **settings)
        return json.loads(proved.document)

    def judge(self, proof: dict[str, Any] | bytes, **options: Any) -> Result:
        """The reference verifier's result; `challenge` and `attestations` may be given as bytes."""
        data = proof if isinstance(proof, bytes) else canonical(proof)
        stated = options.pop("challenge", canonical(self.challenge))
        attestations = options.pop("attestations", self.attestations)
        settings = {"exponent": self.exponent, "setup": SETUP.verifier_setup(), **options}
        return verify(data, stated, attestations, self.rows, **settings)


def ordered(
    parts: list[tuple[Held, list[list[list[int]]], int]],
) -> tuple[list[Held], list[list[list[int]]], list[int]]:
    """Attestations with their columns' coefficients and scale, brought into the proof's order: held, A, scales."""
    parts = sorted(parts, key=lambda part: digest("riskproof/attestation/v1", part[0].payload))
    scales = [scale for h, _, scale in parts for _ in h.lots]
    return [h for h, _, _ in parts], [A for _, columns, _ in parts for A in columns], scales


def spread(coefficients: dict[int, list[int]], rows: int) -> list[list[int]]:
    """One column's coefficients from the places that have any."""
    return [coefficients.get(i, [0] * rows) for i in range(N)]


def small_case(bound: int = 100, **challenge_changes: Any) -> Case:
    """One venue, one column, two rows, eight bits: slacks bound - 100 and bound + 10."""
    lots = column({0: 5, 3: -7, 255: 1})
    A = [spread({0: [-22, 5], 3: [0, 1], 255: [10, -8]}, 2)]
    h = held([lots])
    stated = challenge_document(bound_micros=str(bound), slack_bits=8, **challenge_changes)
    return Case(stated, [h], Rows([bound, bound], A, [1]), b=8)


def wide_case(*, identities: tuple[str, str] = ("LEI-1", "LEI-1"), **second_changes: Any) -> Case:
    """Two venues, three live columns and a retired one, two auxiliaries in one column, seven rows of 64 bits: m = 2.

    The rows are those of `solvency`: three scenarios, then x_p >= 0 and x_p >= H_p q_p for each p. The bound is the least true one:
    the worst scenario's slack is 0.
    """
    second_holder = {"tag": word("another tag"), "tag_epoch": 684, **second_changes.pop("holder", {})}
    first = held([column({0: 2_000, 7: -70_000_000}), column({1: 1})], identities[0], retired=(1,))
    second = held(
        [column({0: 3, 200: -2_500})],
        identities[1],
        **{"venue": "venue-b", "issued_at": 1_768_382_650, "holder": second_holder, **second_changes},
    )
    haircuts = (40, 11)  # on lot 0 of the first column of each
    A_first = [
        spread({0: [-900, 800, 3, 0, -haircuts[0], 0, 0], 7: [-1, 1, 0, 0, 0, 0, 0]}, 7),
        spread({1: [2**61, -(2**61), 9, 0, 0, 0, 0], 2: [2**63 - 1, -(2**63), 0, 0, 0, 0, 0]}, 7),
    ]
    A_second = [spread({0: [5, -5, 6, 0, 0, 0, -haircuts[1]], 200: [10**12, -(10**12), 1, 0, 0, 0, 0]}, 7)]
    both, A, scales = ordered([(first, A_first, 1), (second, A_second, 10)])
    x = [2_000 * haircuts[0], 3 * 10 * haircuts[1]]
    D = [[0] * 7 for _ in range(N)]
    D[0], D[1] = [-1, -1, -1, 1, 1, 0, 0], [-1, -1, -1, 0, 0, 1, 1]
    unbounded = Rows([0] * 7, A, scales, D, (3, 5))
    bound = -min(slacks(unbounded, both, x)[:3])
    stated = challenge_document(numeraire="USD", statement="solvency", bound_micros=str(bound))
    return Case(stated, both, replace(unbounded, constants=[bound] * 3 + [0] * 4), x, exponent=6)
