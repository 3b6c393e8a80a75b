"""The one error tree of riskproof.

    RiskproofError                      what, where, expected; a stable code
    |-- InputError (ValueError)         something handed to us is wrong; nothing was done
    |   |-- EncodingError               bytes are not the canonical encoding of anything
    |   |-- UnitError                   a number has no exact fixed-point form, or is out of range
    |   |-- OverflowMoneyError          an exact result does not fit the type it is reported in
    |   |-- MarketError                 market data is inconsistent
    |   |   |-- RegistryError           an instrument list is wrong or does not extend its predecessor
    |   |   |-- UnknownInstrumentError  a name or index is not in the registry
    |   |   |-- SnapshotError           a snapshot does not fit its registry, or lacks what was asked
    |   |   |-- HistoryError            a history of levels has a gap, or lacks what was asked
    |   |   `-- ImportFormatError       a venue's file is not in the documented format
    |   |-- PortfolioError              a book is wrong: duplicate rows, fractional lots, unpriced holding
    |   |-- ModelError                  a risk model document is wrong
    |   |-- DomainError                 a pricing input lies outside the kernel's domain
    |   |-- CommitmentError             a commitment, opening or blinding is wrong
    |   |   `-- PointError              bytes are not a curve point of the right group
    |   |-- AttestationError            an attestation, disclosure or opening cannot be built or read
    |   |-- ProofError                  a challenge, statement or proof cannot be built or read
    |   |   |-- FalseStatementError     what is to be proved is not true; says by how much, so it is for the prover's eyes only
    |   |   `-- LeakBudgetError         one more answer would tell the verifier too much
    |   |-- KeyFileError                a key file is missing, unreadable, too open, or not a key
    |   |-- KeySetError                 a public key set is wrong or holds a key that must not be trusted
    |   `-- ConfigError                 a configuration member is wrong
    |-- StoreError                      the ledger refused or failed; nothing was acknowledged
    |   |-- ConflictError               an id is taken by different content
    |   |-- NotFoundError               the ledger has no such record
    |   `-- StoreCorruptError           what is on disk contradicts itself
    `-- ServiceError                    a call was refused or failed
        |-- UnauthenticatedError        no usable client identity
        |-- PermissionDeniedError       the identity may not do this
        |-- CapacityError               a queue, message or concurrency bound is reached; try again later
        |-- DeadlineError               the caller's deadline passed before the work was done
        |-- WorkerLostError             the process that worked on the answer died; asking again may help
        `-- RemoteError                 a server answered with an error that has no class here

Wrong or hostile input raises one of these. A bug of our own raises AssertionError. Verification of an
attestation or a proof does not raise on bad bytes: it answers valid, invalid or malformed.

No message, argument or repr of an error may carry secret data (keys, salts, blinding, hidden positions).
"""

from __future__ import annotations

from typing import ClassVar


class RiskproofError(Exception):
    """Base of every error riskproof raises on purpose.

    Attributes:
        what: what is wrong, in one clause.
        where: the place: a file and line, a JSON member path, an argument name; "" if there is none.
        expected: what would have been right; "" if it follows from `what`.
        code: a stable upper-case identifier of the class, used on the wire and in JSON output.
    """

    code: ClassVar[str] = "RISKPROOF"

    def __init__(self, what: str, *, where: str = "", expected: str = "") -> None:
        self.what = what
        self.where = where
        self.expected = expected
        super().__init__(what, where, expected)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} (expected {self.expected})" if self.expected else text

    def __reduce__(self) -> tuple[object, tuple[type[RiskproofError], str, str, str]]:
        return _rebuild, (type(self), self.what, self.where, self.expected)


def _rebuild(cls: type[RiskproofError], what: str, where: str, expected: str) -> RiskproofError:
    return cls(what, where=where, expected=expected)


class InputError(RiskproofError, ValueError):
    """Something handed to us is wrong; nothing was done with it."""

    code = "INPUT"


class EncodingError(InputError):
    """Bytes are not the canonical encoding of what they should be."""

    code = "ENCODING"


class UnitError(InputError):
    """A number has no exact fixed-point form in its unit, or is out of the unit's range."""

    code = "UNIT"


class OverflowMoneyError(InputError):
    """An exact result does not fit the integer type it has to be reported in."""

    code = "MONEY_OVERFLOW"


class MarketError(InputError):
    """Market data is inconsistent."""

    code = "MARKET"


class RegistryError(MarketError):
    """An instrument list is wrong, or does not extend the one before it."""

    code = "REGISTRY"


class UnknownInstrumentError(MarketError):
    """A name or an index is not in the registry."""

    code = "UNKNOWN_INSTRUMENT"


class SnapshotError(MarketError):
    """A snapshot does not fit its registry, or lacks something that is needed."""

    code = "SNAPSHOT"


class HistoryError(MarketError):
    """A history of levels has a gap, or lacks something that is needed."""

    code = "HISTORY"


class ImportFormatError(MarketError):
    """A venue's file is not in the documented format."""

    code = "IMPORT_FORMAT"


class PortfolioError(InputError):
    """A book is wrong: duplicate rows, fractional lots, a holding that cannot be priced."""

    code = "PORTFOLIO"


class ModelError(InputError):
    """A risk model document is wrong."""

    code = "MODEL"


class DomainError(InputError):
    """A pricing input lies outside the kernel's domain."""

    code = "DOMAIN"


class CommitmentError(InputError):
    """A commitment, an opening or a blinding is wrong."""

    code = "COMMITMENT"


class PointError(CommitmentError):
    """Bytes are not a point of the right group in its one encoding."""

    code = "POINT"


class AttestationError(InputError):
    """An attestation, a disclosure or an opening cannot be built or read."""

    code = "ATTESTATION"


class ProofError(InputError):
    """A challenge, a statement or a proof cannot be built or read."""

    code = "PROOF"


class FalseStatementError(ProofError):
    """What is to be proved is not true. The message says by how much and in which scenario: for the prover only."""

    code = "FALSE_STATEMENT"


class LeakBudgetError(ProofError):
    """One more answer would tell the verifier more about the book than the budget allows."""

    code = "LEAK_BUDGET"


class KeyFileError(InputError):
    """A key file is missing, unreadable, too open, or not a key."""

    code = "KEY_FILE"


class KeySetError(InputError):
    """A public key set is wrong, or holds a key that must not be trusted."""

    code = "KEY_SET"


class ConfigError(InputError):
    """A configuration member is wrong."""

    code = "CONFIG"


class StoreError(RiskproofError):
    """The ledger refused or failed; nothing was acknowledged."""

    code = "STORE"


class ConflictError(StoreError):
    """An id is already taken by different content."""

    code = "CONFLICT"


class NotFoundError(StoreError):
    """The ledger has no such record."""

    code = "NOT_FOUND"


class StoreCorruptError(StoreError):
    """What is on disk contradicts itself."""

    code = "STORE_CORRUPT"


class ServiceError(RiskproofError):
    """A call was refused or failed."""

    code = "SERVICE"


class UnauthenticatedError(ServiceError):
    """The caller has no usable identity."""

    code = "UNAUTHENTICATED"


class PermissionDeniedError(ServiceError):
    """The caller's identity may not do this."""

    code = "PERMISSION_DENIED"


class CapacityError(ServiceError):
    """A queue, message or concurrency bound is reached; try again later."""

    code = "CAPACITY"


class DeadlineError(ServiceError):
    """The caller's deadline passed before the work was done."""

    code = "DEADLINE"


class WorkerLostError(ServiceError):
    """The process that worked on the answer died; asking again may help."""

    code = "WORKER_LOST"


class RemoteError(ServiceError):
    """A server answered with an error that has no class here."""

    code = "REMOTE"
