"""Build and sign an attestation, and the opening that goes with it.

The expensive parts are the caller's and outlive an attestation: the committed book, the risk array of the snapshot, the account's
figures. What is left is a fresh salt and fresh blindings, two short documents and a signature.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from riskproof.attest.book import CommittedBook
from riskproof.attest.envelope import MAX_SIGNATURES, Envelope, pre_authentication_encoding
from riskproof.attest.holder import ExclusiveWindow, HolderBinding, HolderRequest
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import MAX_TIME
from riskproof.attest.opening import MAX_SEQUENCE, Opening
from riskproof.attest.payload import (
    GENESIS,
    MAX_ACCOUNT_ID,
    MAX_AUDIENCE,
    MAX_LIFETIME,
    MAX_NONCE,
    SALT_BYTES,
    Attestation,
    Columns,
    Disclosed,
    Policy,
    attestation_digest,
    blinded_account,
    chain_commitment,
)
from riskproof.attest.registry_tree import registry_tree
from riskproof.commit.columns import Blinding
from riskproof.commit.identity import commit_identity
from riskproof.errors import AttestationError, PortfolioError
from riskproof.market.marketfile import Market
from riskproof.proof.grid import COARSE, Grid
from riskproof.risk.figures import RiskBasis
from riskproof.risk.model import RiskModel

if TYPE_CHECKING:
    from riskproof.risk.arrays import RiskArray
    from riskproof.risk.figures import Figures
    from riskproof.risk.margining import AnyModel

DEFAULT_TTL = 3600


@dataclass(frozen=True, kw_only=True)
class AttestationRequest:
    """What to attest.

    Attributes:
        venue: who speaks; one of the signing keys must be this venue's.
        account_id: the venue's name of the account, 1 to 128 printable characters; only its salted digest is signed.
        book: the committed book, on the market's registry.
        market, model: the public inputs. array: the risk array computed from them under a model of version 1, None under one of
            version 2, which has none.
        risk: the book's risk (`RiskBasis.figures`); needed by the policies MARGIN and ARRAY.
        policy, grid: what is disclosed, and how coarsely.
        sequence, previous_digest: the account's attestations are numbered from 1, and each names the one before (GENESIS: none).
        issued_at, ttl: seconds; valid in [issued_at, issued_at + ttl).
        audience, nonce: whom it is for and what they asked to see in it, if anything.
        max_snapshot_age: the tolerance for issued_at - snapshot time, seconds, stated in the attestation; None: not stated.
        retired: column numbers to leave out; `retirable_columns` says which may be.
        holder: whom to bind as the account's holder, if anybody; needs an audience.
        exclusive: the window in which the venue promises no other exclusive attestation of the account; needs a holder. The caller
            has made sure of the promise: nothing here knows of other attestations.
    """

    venue: str
    account_id: str = field(repr=False)
    book: CommittedBook = field(repr=False)
    market: Market = field(repr=False)
    model: AnyModel = field(repr=False)
    array: RiskArray | None = field(repr=False)
    risk: Figures | None = field(default=None, repr=False)
    policy: Policy = Policy.NONE
    grid: Grid = COARSE
    sequence: int = field(default=1, repr=False)
    previous_digest: bytes = field(default=GENESIS, repr=False)
    issued_at: int
    ttl: int = DEFAULT_TTL
    audience: str | None = None
    nonce: str | None = None
    max_snapshot_age: int | None = None
    retired: tuple[int, ...] = ()
    holder: HolderRequest | None = None
    exclusive: ExclusiveWindow | None = None


class BuiltAttestation(NamedTuple):
    """attestation: envelope bytes, for anyone. opening: secret bytes, for the holder. digest: 32 bytes naming the attestation."""

    attestation: bytes
    opening: bytes
    digest: bytes

    def __repr__(self) -> str:
        return f"BuiltAttestation({self.digest.hex()})"


def retirable_columns(market: Market, book: CommittedBook) -> tuple[int, ...]:
    """Columns whose instruments have all expired and in which the book holds nothing any more; never all columns."""
    registry, size = market.registry, market.registry.column_size
    columns = [
        j
        for j in range(registry.columns)
        if all(market.snapshot.is_expired(i) for i in registry.instruments[j * size : (j + 1) * size])
        and not any(j * size <= index < (j + 1) * size for index, _ in book.portfolio.positions)
    ]
    return tuple(columns[: registry.columns - 1])


def build_attestation(request: AttestationRequest, *keys: SigningKey) -> BuiltAttestation:
    """Sign an attestation with one or more keys. Everything is checked before anything is signed.

    Raises:
        AttestationError: no key of the venue, a member out of range, inputs that do not belong together, a snapshot older than the
            tolerance or newer than the attestation, a policy without figures, a column that cannot be retired, a holder without
            an audience or with a key that signs here, an exclusive window without a holder or without a use.
        PortfolioError: with a holder, the book holds an instrument that the snapshot does not price, or that has expired.
        OverflowMoneyError: a figure does not fit 64 bits after rounding to the grid.
    """
    _check(request, keys)
    market, book = request.market, request.book
    basis = RiskBasis(market, request.model, request.array)
    commitments = book.fresh()
    live = [j for j in range(market.registry.columns) if j not in request.retired]
    account_salt, chain_salt = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(SALT_BYTES)
    identity_blinding = None if request.holder is None else Blinding.random()
    statement = Attestation(
        venue=request.venue,
        signers=tuple(sorted(key.key_id for key in keys)),
        account=blinded_account(request.account_id, account_salt),
        chain=chain_commitment(request.sequence, request.previous_digest, chain_salt),
        issued_at=request.issued_at,
        expires_at=request.issued_at + request.ttl,
        audience=request.audience,
        nonce=request.nonce,
        numeraire=market.registry.numeraire,
        quantity_exponent=market.registry.quantity_exponent,
        registry_digest=market.registry.digest,
        registry_size=len(market.registry),
        registry_root=registry_tree(market.registry).root,
        snapshot_digest=market.snapshot.digest,
        snapshot_time=market.snapshot.time,
        max_snapshot_age_seconds=request.max_snapshot_age,
        model_name=request.model.name,
        model_digest=request.model.digest,
        kernel=basis.kernel,
        array_digest=basis.array_digest,
        positions_root=commitments.positions_root,
        tree_capacity=book.capacity,
        columns=Columns(market.registry.column_size, request.retired, tuple(commitments.columns[j] for j in live)),
        disclosed=disclosed_figures(request.policy, request.grid, request.risk),
        holder=_binding(request.holder, identity_blinding),
        exclusive=request.exclusive,
    )
    payload = statement.to_bytes()
    message = pre_authentication_encoding(payload)
    signatures = sorted((key.key_id, key.sign(message)) for key in keys)
    digest = attestation_digest(payload)
    opening = Opening(
        attestation_digest=digest,
        account_id=request.account_id,
        account_salt=account_salt,
        sequence=request.sequence,
        previous_digest=request.previous_digest,
        chain_salt=chain_salt,
        registry_digest=market.registry.digest,
        registry_size=len(market.registry),
        tree_capacity=book.capacity,
        root_salt=commitments.root_salt,
        epoch_secret=book.epoch_secret,
        blindings=tuple(commitments.blindings[j] for j in live),
        positions=(),
        identity=None if request.holder is None else request.holder.identity,
        identity_blinding=None if identity_blinding is None else identity_blinding.to_bytes(),
    ).to_bytes(book.positions_fragment())
    return BuiltAttestation(Envelope(payload, tuple(signatures)).to_bytes(), opening, digest)


def _binding(holder: HolderRequest | None, blinding: Blinding | None) -> HolderBinding | None:
    if holder is None or blinding is None:
        return None
    return HolderBinding(holder.key, commit_identity(holder.identity, blinding), holder.tag, holder.tag_epoch)


def disclosed_figures(policy: Policy, grid: Grid, risk: Figures | None) -> Disclosed:
    """What `policy` reveals of a book's risk.

    Raises:
        AttestationError: without risk, or a model that asks for less than nothing, or initially for less than later.
        OverflowMoneyError: a figure does not fit 64 bits after rounding to the grid.
    """
    if policy is Policy.NONE:
        return Disclosed(Policy.NONE)
    if risk is None:
        raise AttestationError(f"policy {policy} discloses figures, and there are none", where="risk")
    if not 0 <= risk.maintenance_margin_micros <= risk.initial_margin_micros:
        raise AttestationError(
            "margins that no verifier accepts", where="risk", expected="0 <= maintenance margin <= initial margin"
        )
    return Disclosed.of(
        policy,
        grid,
        initial_margin_micros=risk.initial_margin_micros,
        maintenance_margin_micros=risk.maintenance_margin_micros,
        worst_scenario=risk.worst_id,
        pnl_micros=risk.pnl_micros,
    )


def _check(request: AttestationRequest, keys: tuple[SigningKey, ...]) -> None:
    if not any(key.venue == request.venue for key in keys):
        raise AttestationError("no signing key of the venue", where="keys", expected=f"a key of {request.venue!r}")
    if len({key.key_id for key in keys}) != len(keys) or len(keys) > MAX_SIGNATURES:
        raise AttestationError("a key signs once", where="keys", expected=f"up to {MAX_SIGNATURES} different keys")
    for text, where, longest in (
        (request.account_id, "account_id", MAX_ACCOUNT_ID),
        (request.audience, "audience", MAX_AUDIENCE),
        (request.nonce, "nonce", MAX_NONCE),
    ):
        if text is not None and not (0 < len(text) <= longest and text.isprintable()):
            raise AttestationError("not a name", where=where, expected=f"1 to {longest} printable characters")
    if not 0 < request.issued_at < MAX_TIME - MAX_LIFETIME:
        raise AttestationError("out of range", where="issued_at", expected="seconds since the epoch")
    if not 0 < request.ttl <= MAX_LIFETIME:
        raise AttestationError(f"{request.ttl} s is out of range", where="ttl", expected=f"1 to {MAX_LIFETIME} seconds")
    if not 0 < request.sequence <= MAX_SEQUENCE or len(request.previous_digest) != len(GENESIS):
        raise AttestationError("not a place in a chain", where="sequence", expected="1 or more, and a digest")
    if (request.sequence == 1) != (request.previous_digest == GENESIS):
        raise AttestationError(
            "the first attestation, and only it, has no previous one", where="previous_digest", expected="GENESIS at 1"
        )
    _check_inputs(request)
    _check_age(request)
    _check_retired(request)
    _check_holder(request, keys)


def _check_inputs(request: AttestationRequest) -> None:
    market, array = request.market, request.array
    if (array is None) is isinstance(request.model, RiskModel):
        raise AttestationError(
            "a model of version 1 has a risk array, one of version 2 has none",
            where="array",
            expected="the model's array" if array is None else "None",
        )
    belongs = [("book", request.book.registry.digest, market.registry.digest)]
    if array is not None:
        belongs += [
            ("array", array.registry_digest, market.registry.digest),
            ("array", array.snapshot_digest, market.snapshot.digest),
            ("array", array.model_digest, request.model.digest),
        ]
    for what, one, other in belongs:
        if one != other:
            raise AttestationError("does not belong to the market and the model", where=what, expected=other.hex())
    if request.risk is not None and len(request.risk.pnl_micros) != len(request.model.scenarios):
        raise AttestationError("does not belong to the model", where="risk", expected="one P&L for each scenario")


def _check_age(request: AttestationRequest) -> None:
    age = request.issued_at - request.market.snapshot.time
    if age < 0:
        raise AttestationError(f"the snapshot is {-age} s newer than the attestation", where="issued_at")
    if age > request.model.max_snapshot_age_seconds:
        raise AttestationError(
            f"the snapshot is {age} s old",
            where="snapshot",
            expected=f"at most the {request.model.max_snapshot_age_seconds} s of {request.model.name}",
        )
    if request.max_snapshot_age is not None and not age <= request.max_snapshot_age <= MAX_TIME:
        raise AttestationError(
            f"the snapshot is {age} s old", where="snapshot", expected=f"at most {request.max_snapshot_age} s"
        )


def _check_retired(request: AttestationRequest) -> None:
    if not request.retired:
        return
    allowed = retirable_columns(request.market, request.book)
    if list(request.retired) != sorted(set(request.retired)) or not set(request.retired) <= set(allowed):
        raise AttestationError(
            f"columns {request.retired} cannot be retired", where="retired", expected=f"some of {allowed}, ascending"
        )


def _check_holder(request: AttestationRequest, keys: tuple[SigningKey, ...]) -> None:
    holder, window = request.holder, request.exclusive
    if holder is None:
        if window is not None:
            raise AttestationError(
                "only an attestation with a holder is exclusive", where="exclusive", expected="a holder"
            )
        return
    if request.audience is None:
        raise AttestationError("a holder is bound towards an audience", where="audience", expected="whom it is for")
    if any(key.public.raw == holder.key for key in keys):  # or the venue could prove in the holder's name
        raise AttestationError(
            "the holder's key signs the attestation", where="holder.key", expected="a key that only the holder has"
        )
    expires_at = request.issued_at + request.ttl
    if window is not None and not (window.start <= expires_at and window.until > request.issued_at):
        raise AttestationError(
            "window is over when the attestation is issued, or begins after it has expired",
            where="exclusive",
            expected=f"from at most {expires_at}, until after {request.issued_at}",
        )
    # A proof over this attestation counts whatever has no price as zero (docs/protocol.md, section 2.3): a debt that has expired
    # and is not settled would be in no row, and the holder chooses the moment.
    registry, snapshot = request.market.registry, request.market.snapshot
    for index, _ in request.book.portfolio.positions:
        if snapshot.quotes[index] is not None:
            continue
        expired = snapshot.is_expired(registry.instruments[index])
        raise PortfolioError(
            "this holding has expired and is not settled, and the attestation has a holder"
            if expired
            else "the snapshot does not price this holding, and the attestation has a holder",
            where=registry.instruments[index].name,
            expected="the book after its settlement" if expired else "a snapshot that quotes it",
        )
