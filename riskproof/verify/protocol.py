"""How checks are made in order: each passes, or ends the verification with its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from riskproof.attest.payload import Attestation
from riskproof.errors import InputError
from riskproof.units import TIME_MAX, format_time
from riskproof.verify.verdict import Check, CheckResult, Outcome, ProvenPosition, Verdict


def clock_text(now: int) -> str:
    """The verifier's time, 0 or more, in words: it may be later than any time in a document."""
    return format_time(now) if now <= TIME_MAX else "after the year 9999"


class CheckFailedError(Exception):
    """A check failed. It never leaves this package."""

    def __init__(self, check: Check, reason: str) -> None:
        super().__init__(check, reason)
        self.check = check
        self.reason = reason


@dataclass
class Run:
    """The state of one verification."""

    checks: list[CheckResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    attestation: Attestation | None = None
    positions: tuple[ProvenPosition, ...] = ()
    identity: str | None = field(default=None, repr=False)

    def require(self, check: Check, condition: bool, reason: str) -> None:
        """End with `check` failed unless `condition` holds."""
        if not condition:
            raise CheckFailedError(check, reason)

    def passed(self, check: Check) -> None:
        """Note that a check was made and passed."""
        self.checks.append(CheckResult(check.value, check.title))

    def verdict(self, checks: Callable[[Run], None]) -> Verdict:
        """Make the checks. Typed errors about input bytes mean malformed; anything else is a bug and is raised."""
        try:
            checks(self)
        except CheckFailedError as failure:
            return Verdict(
                Outcome.INVALID,
                failure.check.value,
                failure.check.title,
                failure.reason,
                tuple(self.checks),
                tuple(self.notes),
            )
        except InputError as error:
            return Verdict(Outcome.MALFORMED, reason=str(error), checks=tuple(self.checks), notes=tuple(self.notes))
        return Verdict(
            Outcome.VALID,
            checks=tuple(self.checks),
            notes=tuple(self.notes),
            attestation=self.attestation,
            positions=self.positions,
            identity=self.identity,
        )
