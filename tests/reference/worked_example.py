"""Write the section "Worked example" of docs/protocol.md: one proof with all its intermediate values.

    python tests/reference/worked_example.py

prints it; test_reference_example.py compares it with the page. The literal prover computes everything, over the ceremony's setup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from literal_prover import (
    H_ID,
    Ceremony,
    Chain,
    Held,
    Proved,
    R,
    canonical,
    compress,
    decompress,
    identity_commitment,
    prove,
    slacks,
)
from net_risk_case import HOLDER, challenge_document, column, held, spread
from py_ecc.optimized_bls12_381.optimized_curve import add, multiply

from riskproof.reference import Rows

HEADING = "## Worked example"
LOTS = {0: 5, 3: -7, 255: 1}
COEFFICIENTS = {0: [-22, 5], 3: [0, 1], 255: [10, -8]}
ROWS = Rows([130, 130], [spread(COEFFICIENTS, 2)], [1])
IDENTITY = "5493001KJTIIGC8Y1R12"
BLINDINGS = (101, 102, 103, 104, 105)  # B: beta, beta'; S: beta, beta', beta''
EXPONENT, SLACK_BITS = 6, 8
COLUMN_BLINDING, IDENTITY_BLINDING, SECOND_BLINDING, NONCE = 11, 12, 21, 22


@dataclass
class Example:
    challenge: bytes
    held: Held
    proved: Proved
    same_identity: dict[str, int | bytes]


def scalar(x: int) -> str:
    """As on the wire: 32 bytes little-endian."""
    return x.to_bytes(32, "little").hex()


def make() -> Example:
    """The example; some seconds."""
    setup = Ceremony()
    challenge = canonical(challenge_document(bound_micros="130", slack_bits=SLACK_BITS))
    venue_draws = iter((COLUMN_BLINDING, IDENTITY_BLINDING))
    book = held([column(LOTS)], IDENTITY, setup, lambda: next(venue_draws))
    draws = iter(BLINDINGS)
    proved = prove(
        challenge, [book], ROWS, [], b=SLACK_BITS, setup=setup, sign=HOLDER.sign, blinding=lambda: next(draws)
    )
    return Example(challenge, book, proved, _same_identity(proved.log[-1][1]))


def _same_identity(state: bytes) -> dict[str, int | bytes]:
    """Section 6 from a state, for two commitments to the identity."""
    t = Chain(state)
    first, second = (identity_commitment(IDENTITY, x) for x in (IDENTITY_BLINDING, SECOND_BLINDING))
    h = decompress(bytes.fromhex(H_ID))
    e = t.challenge("identity-mix")
    # One difference, so Delta = e^0 (I_0 - I_1).
    difference = add(decompress(first), multiply(decompress(second), R - 1))
    T = compress(multiply(h, NONCE))
    t.absorb("identity-nonce", T)
    k = t.challenge("identity-challenge")
    s = (NONCE + k * (IDENTITY_BLINDING - SECOND_BLINDING)) % R
    t.absorb("identity-response", s.to_bytes(32, "little"))
    values: dict[str, int | bytes] = {
        "I_0": first,
        "I_1": second,
        "e": e,
        "Delta": compress(difference),
        "T": T,
        "k": k,
        "s": s,
    }
    return values | {"state": t.state}


def table(values: Sequence[tuple[str, int | bytes]]) -> str:
    """One value a line: points and states as bytes, numbers as scalars on the wire."""
    width = max(len(name) for name, _ in values) + 2
    return "\n".join(f"{name:{width}}{scalar(v) if isinstance(v, int) else v.hex()}" for name, v in values)


SECTION = """{heading}

The smallest statement: one attestation, one column of n = 256, R = 2 rows of b = 8 bits, so m = 1 bit column; no auxiliary column,
E = {exponent}, scale 1. The lots are 5, -7, 1 at places 0, 3, 255. Row 1 has the coefficients -22, 0, 10 there, row 2 has 5, 1, -8,
all others are zero. The bound is 130 micros, so c = 130 in both rows, and the slacks are {slacks}. Registry, snapshot and model
are not worked out: the rows are given, and digests and salted values that play no part stand for themselves.

The holder's key is that of RFC 8037 appendix A, the identity `{identity}`, the column's blinding {column}, the identity's {t}.
In place of random ones the prover's blinding coefficients are {B_betas} (B) and {S_betas} (S), lowest power first.
The setup is the ceremony's. Numbers are written as scalars, 32 bytes little-endian.
`python tests/reference/worked_example.py` makes this section, and a test compares.

The challenge:

```json
{challenge}
```

The payload of the attestation:

```json
{payload}
```

The state of the transcript after each message and each challenge:

```text
{log}
```

Numbers:

```text
{numbers}
```

Points:

```text
{points}
```

The {length} bytes of section 5 are [B_1], [S], [t], B_1(z), S(omega z), [W]. The message that the holder signs, and the proof:

```text
{message}
```

```json
{proof}
```

*Same identity.* With one attestation there is nothing to prove. But from the state after `opening` above, for I_0 of this
attestation, I_1 to the same identity with blinding {second}, and y = {y}, section 6 gives this; `state` is the one after
`identity-response`:

```text
{same_identity}
```
"""


def section(example: Example) -> str:
    """The section of the page, heading included."""
    values = example.proved.values
    numbers = ("rho", "sigma", "alpha", "z", "w_1(z)", "a_1(z)", "B_1(z)", "S(omega z)", "v")
    points = ("[B_1]", "[S]", "[t]", "[W]", "[F1]", "[F2]")
    return SECTION.format(
        heading=HEADING,
        exponent=EXPONENT,
        slacks=" and ".join(map(str, slacks(ROWS, [example.held], []))),
        identity=IDENTITY,
        column=COLUMN_BLINDING,
        t=IDENTITY_BLINDING,
        B_betas=", ".join(map(str, BLINDINGS[:2])),
        S_betas=", ".join(map(str, BLINDINGS[2:])),
        challenge=example.challenge.decode(),
        payload=example.held.payload.decode(),
        log=table(example.proved.log),
        numbers=table([(name, values[name]) for name in numbers]),
        points=table([(name, values[name]) for name in points]),
        length=len(example.proved.body),
        message=table([("message", values["message"])]),
        proof=example.proved.document.decode(),
        second=SECOND_BLINDING,
        y=NONCE,
        same_identity=table(list(example.same_identity.items())),
    )


if __name__ == "__main__":
    print(section(make()), end="")
