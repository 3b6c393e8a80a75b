"""Who calls, and what they may.

The role is in the client certificate, as its one subject alternative name of type URI with the scheme `riskproof`:

    riskproof://operator/NAME               runs the venue
    riskproof://account-holder/ACCOUNT      owns one account: ACCOUNT is its id, percent-encoded
    riskproof://verifier/NAME               anyone whom the venue lets verify

The certificate itself is checked by TLS against the configured authority. A method without a rule here cannot be served.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from riskproof.errors import PermissionDeniedError, UnauthenticatedError

SCHEME: Final = "riskproof"
MAX_NAME: Final = 128


class Role(enum.StrEnum):
    """What a caller is to the venue."""

    OPERATOR = "operator"
    ACCOUNT_HOLDER = "account-holder"
    VERIFIER = "verifier"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller. name: the account id of an account holder, else a name for the log."""

    role: Role
    name: str

    @property
    def uri(self) -> str:
        """The certificate's subject alternative name."""
        return f"{SCHEME}://{self.role}/{quote(self.name, safe='')}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which roles may call a method. own_account: an account holder's request must name the holder's own account."""

    roles: frozenset[Role]
    own_account: bool = False


_EVERYONE: Final = Rule(frozenset(Role))
_OPERATOR: Final = Rule(frozenset({Role.OPERATOR}))
_VERIFIER: Final = Rule(frozenset({Role.VERIFIER}))
_OPERATOR_AND_HOLDER: Final = Rule(frozenset({Role.OPERATOR, Role.ACCOUNT_HOLDER}), own_account=True)
_HOLDER: Final = Rule(frozenset({Role.ACCOUNT_HOLDER}), own_account=True)

RULES: Final[dict[str, Rule]] = {
    "riskproof.v1.MarketService/PublishSnapshot": _OPERATOR,
    "riskproof.v1.MarketService/GetRegistry": _EVERYONE,
    "riskproof.v1.MarketService/GetSnapshot": _EVERYONE,
    "riskproof.v1.MarketService/ListSnapshots": _EVERYONE,
    "riskproof.v1.MarketService/GetModel": _EVERYONE,
    "riskproof.v1.PositionService/OpenAccount": _OPERATOR,
    "riskproof.v1.PositionService/SetHolder": _OPERATOR,
    "riskproof.v1.PositionService/RecordTrade": _OPERATOR,
    "riskproof.v1.PositionService/GetPositions": _OPERATOR_AND_HOLDER,
    "riskproof.v1.RiskService/ComputeArray": _EVERYONE,
    "riskproof.v1.RiskService/ComputeMargin": _OPERATOR_AND_HOLDER,
    "riskproof.v1.AttestationService/CreateAttestation": _OPERATOR_AND_HOLDER,
    "riskproof.v1.AttestationService/GetAttestation": _OPERATOR_AND_HOLDER,
    "riskproof.v1.AttestationService/ListAttestations": _OPERATOR_AND_HOLDER,
    "riskproof.v1.AttestationService/VerifyAttestation": _EVERYONE,
    "riskproof.v1.AttestationService/GetOpening": _HOLDER,
    "riskproof.v1.AttestationService/GetKeySet": _EVERYONE,
    "riskproof.v1.ProofService/CreateChallenge": _VERIFIER,
    "riskproof.v1.ProofService/Prove": _HOLDER,
    "riskproof.v1.ProofService/VerifyProof": _EVERYONE,
    "riskproof.v1.ProofService/VerifyProofs": _EVERYONE,
}


@lru_cache(maxsize=4096)
def identity_from_uri(uri: str) -> Identity:
    """The identity a certificate's URI states.

    Raises:
        UnauthenticatedError: not the URI that `Identity.uri` writes for any identity.
    """
    parts = urlsplit(uri)
    try:
        identity = Identity(Role(parts.netloc), unquote(parts.path.removeprefix("/"), errors="strict"))
    except ValueError:
        identity = None
    if (
        identity is None
        or identity.uri != uri
        or not 0 < len(identity.name) <= MAX_NAME
        or not identity.name.isprintable()
    ):
        raise UnauthenticatedError(
            "the client certificate states no role",
            where="client certificate",
            expected=f"a subject alternative name {SCHEME}://ROLE/NAME with one of the roles {', '.join(Role)}",
        )
    return identity


def authorize(method: str, identity: Identity | None, account_id: str | None) -> None:
    """Check a call against its rule.

    Args:
        method: "package.Service/Method".
        identity: the caller, None without a certificate.
        account_id: the account that the request names, None or "" if it names none.

    Raises:
        UnauthenticatedError: the caller has no identity.
        PermissionDeniedError: the caller's role may not call the method, or not for this account.
    """
    rule = RULES[method]
    if identity is None:
        raise UnauthenticatedError(
            "no client certificate", where=method, expected="mutual TLS with a certificate of the venue's authority"
        )
    if identity.role not in rule.roles:
        raise PermissionDeniedError(
            f"role {identity.role} may not call this", where=method, expected=" or ".join(sorted(rule.roles))
        )
    if rule.own_account and identity.role is Role.ACCOUNT_HOLDER and account_id and account_id != identity.name:
        raise PermissionDeniedError(
            "an account holder may use their own account only", where=method, expected="the certificate's account"
        )
