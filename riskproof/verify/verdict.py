"""What a verification answers: valid, invalid with the number of the failed check, or malformed. Never a bare bool."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NoReturn

from riskproof import units
from riskproof.attest.payload import Attestation
from riskproof.encoding import Json
from riskproof.market.registry import Instrument


class Outcome(enum.StrEnum):
    """The three answers."""

    VALID = "valid"  # every check that the inputs allow has passed
    INVALID = "invalid"  # well-formed, and a check failed
    MALFORMED = "malformed"  # not an attestation, opening, disclosure or market file at all


class Check(enum.IntEnum):
    """The numbered checks, in the order in which they are made. Numbers never change their meaning (docs/verification.md)."""

    SIGNATURE = 1
    KEY = 2
    VENUE = 3
    NOT_YET_VALID = 4
    EXPIRED = 5
    AUDIENCE = 6
    NONCE = 7
    SNAPSHOT_AGE = 8
    DISCLOSED_FIGURES = 9
    REGISTRY = 10
    SNAPSHOT = 11
    MODEL = 12
    ARRAY = 13
    RETIRED_COLUMNS = 14
    DISCLOSED_SCENARIOS = 15
    OPENING_ACCOUNT = 20
    OPENING_CHAIN = 21
    OPENING_ROOT = 22
    OPENING_COLUMNS = 23
    OPENING_INSTRUMENTS = 24
    OPENING_RISK = 25
    OPENING_IDENTITY = 26
    DISCLOSURE_ATTESTATION = 30
    DISCLOSURE_INSTRUMENTS = 31
    DISCLOSURE_POSITIONS = 32
    PROOF_CHALLENGE = 40
    PROOF_TIME = 41
    PROOF_ATTESTATIONS = 42
    PROOF_ATTESTATION_VALID = 43
    PROOF_HOLDER = 44
    PROOF_AUDIENCE = 45
    PROOF_ACCOUNTS = 46
    PROOF_KEY = 47
    PROOF_NUMERAIRE = 48
    PROOF_COLUMN_SIZE = 49
    PROOF_SKEW = 50
    PROOF_EXCLUSIVE = 51
    PROOF_MARKETS = 52
    PROOF_MODEL = 53
    PROOF_ROWS = 54
    PROOF_HOLDS = 55
    PROOF_IDENTITY = 56
    PROOF_CONSENT = 57

    @property
    def title(self) -> str:
        """What the check establishes, in a few words."""
        return _TITLES[self]


_TITLES = {
    Check.SIGNATURE: "signed by a known key",
    Check.KEY: "key valid at the time of issue and not compromised",
    Check.VENUE: "key belongs to the venue",
    Check.NOT_YET_VALID: "already issued",
    Check.EXPIRED: "not expired",
    Check.AUDIENCE: "audience as expected",
    Check.NONCE: "nonce as expected",
    Check.SNAPSHOT_AGE: "snapshot fresh enough when issued",
    Check.DISCLOSED_FIGURES: "disclosed figures on their grid and consistent",
    Check.REGISTRY: "registry is the one given",
    Check.SNAPSHOT: "snapshot is the one given",
    Check.MODEL: "risk model is the one given or shipped",
    Check.ARRAY: "risk array recomputed",
    Check.RETIRED_COLUMNS: "retired columns hold expired instruments only",
    Check.DISCLOSED_SCENARIOS: "disclosed figures fit the model",
    Check.OPENING_ACCOUNT: "opening belongs to the attestation and names the account",
    Check.OPENING_CHAIN: "chain commitment opened",
    Check.OPENING_ROOT: "positions root recomputed",
    Check.OPENING_COLUMNS: "position columns recomputed",
    Check.OPENING_INSTRUMENTS: "instruments are the registry's",
    Check.OPENING_RISK: "P&L and margin recomputed",
    Check.OPENING_IDENTITY: "holder's identity opened",
    Check.DISCLOSURE_ATTESTATION: "disclosure belongs to the attestation",
    Check.DISCLOSURE_INSTRUMENTS: "instruments are the registry's",
    Check.DISCLOSURE_POSITIONS: "positions are in the committed book",
    Check.PROOF_CHALLENGE: "proof answers this challenge",
    Check.PROOF_TIME: "challenge issued and not expired",
    Check.PROOF_ATTESTATIONS: "proof is over exactly these attestations",
    Check.PROOF_ATTESTATION_VALID: "each attestation valid by itself",
    Check.PROOF_HOLDER: "each attestation binds a holder",
    Check.PROOF_AUDIENCE: "each attestation is for the challenge's audience",
    Check.PROOF_ACCOUNTS: "no account twice",
    Check.PROOF_KEY: "one holder key",
    Check.PROOF_NUMERAIRE: "one numeraire",
    Check.PROOF_COLUMN_SIZE: "one column size",
    Check.PROOF_SKEW: "issued and priced at nearly the same time",
    Check.PROOF_EXCLUSIVE: "exclusive, if the challenge says so",
    Check.PROOF_MARKETS: "registries and snapshots are the ones given",
    Check.PROOF_MODEL: "scenarios are the challenge's",
    Check.PROOF_ROWS: "rows recomputed, and none can wrap around",
    Check.PROOF_HOLDS: "proof holds",
    Check.PROOF_IDENTITY: "one identity behind all accounts",
    Check.PROOF_CONSENT: "signed by the holder's key",
}


@dataclass(frozen=True)
class CheckResult:
    """A check that was made and passed."""

    number: int
    name: str


@dataclass(frozen=True)
class ProvenPosition:
    """A position that a valid disclosure proves: int64 lots (zero too) of an instrument, by its terms and registry index.

    A lot is 10^-quantity_exponent of the instrument's unit.
    """

    index: int
    instrument: Instrument
    lots: int
    quantity_exponent: int

    @property
    def quantity(self) -> str:
        """The exact decimal number of the instrument's units."""
        return units.format_decimal(self.lots, self.quantity_exponent)


@dataclass(frozen=True)
class Answer:
    """What every verdict says, whatever it is about. It has no truth value on purpose: compare `outcome`.

    Attributes:
        outcome: valid, invalid or malformed.
        failed_check: number of the failed check if invalid, else None.
        check: name of the failed check if invalid, else "".
        reason: what is wrong and where, "" if valid.
        checks: the checks that passed, in order.
        notes: what was not checked, and why.
    """

    outcome: Outcome
    failed_check: int | None = None
    check: str = ""
    reason: str = ""
    checks: tuple[CheckResult, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has three outcomes: compare verdict.outcome")

    def to_document(self) -> dict[str, Json]:
        """The verdict as JSON: outcome, failed_check, check, reason, checks, notes, and if valid what was said."""
        return {
            "outcome": self.outcome.value,
            "failed_check": self.failed_check,
            "check": self.check,
            "reason": self.reason,
            "checks": [{"number": c.number, "name": c.name} for c in self.checks],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Verdict(Answer):
    """The answer of a verification of an attestation or a disclosure.

    Attributes:
        attestation: what the attestation says, if valid: nobody vouches for it otherwise, and it is None.
        positions: what a valid disclosure proves.
        identity: the holder's identity, if the verdict is valid and an opening opened it: not for everybody, and not in the repr.
    """

    attestation: Attestation | None = None
    positions: tuple[ProvenPosition, ...] = ()
    identity: str | None = field(default=None, repr=False)

    def to_document(self) -> dict[str, Json]:
        document = super().to_document()
        if self.attestation is not None:
            document["attestation_digest"] = self.attestation.digest.hex()
            document["attestation"] = self.attestation.to_document()
        if self.positions:
            document["positions"] = [
                {
                    "index": p.index,
                    "instrument": p.instrument.to_document(),
                    "lots": str(p.lots),
                    "quantity": p.quantity,
                }
                for p in self.positions
            ]
        if self.identity is not None:
            document["identity"] = self.identity
        return document
