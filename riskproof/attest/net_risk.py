"""Net risk over attestations: which may be combined, the statement they make together, and its proof (docs/protocol.md).

Prover and verifier build the statement with the same code from the same public inputs. The prover adds the openings and the
holder's key.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from riskproof import encoding
from riskproof.attest.envelope import Envelope
from riskproof.attest.holder import HolderBinding
from riskproof.attest.keys import SigningKey
from riskproof.attest.keyset import PublicKey
from riskproof.attest.opening import Opening
from riskproof.attest.payload import Attestation
from riskproof.commit.columns import Blinding, column_basis
from riskproof.commit.identity import commit_identity
from riskproof.commit.points import parse_g1
from riskproof.encoding import TAG_HOLDER_CONSENT
from riskproof.errors import ProofError
from riskproof.market.marketfile import Market
from riskproof.proof.challenge import AnyModel, Challenge
from riskproof.proof.document import ProofDocument
from riskproof.proof.identity import prove_same
from riskproof.proof.leakage import check_bound, check_slack_bits
from riskproof.proof.programme import compile_statement
from riskproof.proof.prover import Progress, Witness, prove
from riskproof.proof.rows import AttestedMarket, StatementRows, check_size
from riskproof.proof.setup import ceremony_setup
from riskproof.proof.statement import MAX_ATTESTATIONS, AttestedColumns, CommittedColumn, Statement
from riskproof.proof.transcript import Transcript
from riskproof.proof.verifier import verify
from riskproof.risk.arrays import RiskArray, compute_array
from riskproof.risk.margining import load, names
from riskproof.risk.model import RiskModel
from riskproof.units import format_time

Int64 = npt.NDArray[np.int64]

HEAD_ROOM: Final = 0.2  # share of a proof's progress that goes to pricing


class Rule(enum.Enum):
    """What has to hold of attestations before they are netted, apart from each being valid by itself."""

    DISTINCT = enum.auto()  # each attestation once
    HOLDER = enum.auto()  # each binds a holder
    AUDIENCE = enum.auto()  # each is for the challenge's audience
    ACCOUNT = enum.auto()  # no account twice
    KEY = enum.auto()  # one holder key, and none of a venue
    NUMERAIRE = enum.auto()  # one numeraire, the challenge's
    SIZE = enum.auto()  # one column size
    SKEW = enum.auto()  # issued, and priced, at nearly the same time, and not long before the challenge
    EXCLUSIVE = enum.auto()  # exclusive for the challenge's life, if it says so


@dataclass(frozen=True)
class Violation:
    """A rule that does not hold, and why."""

    rule: Rule
    reason: str


def combination_violations(challenge: Challenge, attestations: Sequence[Attestation]) -> list[Violation]:
    """Every rule that these attestations break together, in the order of `Rule`; empty if they may be netted."""
    found: list[Violation] = []

    def require(rule: Rule, holds: bool, reason: str) -> None:
        if not holds:
            found.append(Violation(rule, reason))

    count = len(attestations)
    require(Rule.DISTINCT, 0 < count <= MAX_ATTESTATIONS, f"{count} attestations, 1 to {MAX_ATTESTATIONS} are served")
    digests = [a.digest for a in attestations]
    require(Rule.DISTINCT, len(set(digests)) == count, "an attestation is given twice")
    holders: list[HolderBinding] = []
    for a in attestations:
        if a.holder is None:
            found.append(Violation(Rule.HOLDER, f"the attestation of {a.venue!r} binds no holder"))
        else:
            holders.append(a.holder)
    for a in attestations:
        require(
            Rule.AUDIENCE,
            a.audience == challenge.audience,
            f"the attestation of {a.venue!r} is for {a.audience!r}, the challenge is of {challenge.audience!r}",
        )
    if found:
        return found
    epochs: dict[str, int] = {}
    signers_of: dict[str, tuple[str, ...]] = {}
    for a, holder in zip(attestations, holders, strict=True):
        epoch = epochs.setdefault(a.venue, holder.tag_epoch)
        require(
            Rule.ACCOUNT,
            epoch == holder.tag_epoch,
            f"attestations of {a.venue!r} have tags of epochs {epoch} and {holder.tag_epoch}: one account has two tags then",
        )
        require(
            Rule.ACCOUNT,
            signers_of.setdefault(a.venue, a.signers) == a.signers,
            f"attestations of {a.venue!r} are signed by different keys: one account may have two tags then",
        )
    require(Rule.ACCOUNT, len({h.tag for h in holders}) == count, "two attestations are of the same account")
    require(Rule.KEY, len({h.key for h in holders}) == 1, "the attestations bind different holder keys")
    signers = {signer for a in attestations for signer in a.signers}
    for holder in holders:
        own = PublicKey(holder.key, "holder").key_id in signers
        require(Rule.KEY, not own, "the holder's key is a venue's, which could consent in the holder's name")
    numeraires = sorted({a.numeraire for a in attestations} | ({challenge.numeraire} if challenge.numeraire else set()))
    require(Rule.NUMERAIRE, len(numeraires) == 1, "different numeraires: " + ", ".join(numeraires))
    sizes = sorted({a.columns.size for a in attestations})
    require(Rule.SIZE, len(sizes) == 1, "different column sizes: " + ", ".join(map(str, sizes)))
    for what, times in (
        ("issued", [a.issued_at for a in attestations]),
        ("priced", [a.snapshot_time for a in attestations]),
    ):
        skew = max(times) - min(times)
        require(
            Rule.SKEW,
            skew <= challenge.max_skew_seconds,
            f"{what} {skew} s apart, the challenge allows {challenge.max_skew_seconds} s",
        )
    oldest = min(a.issued_at for a in attestations)
    require(
        Rule.SKEW,
        challenge.max_age_seconds is None or challenge.issued_at - oldest <= challenge.max_age_seconds,
        f"attested {challenge.issued_at - oldest} s before the challenge, which allows {challenge.max_age_seconds} s",
    )
    if challenge.exclusive:
        for a in attestations:
            require(
                Rule.EXCLUSIVE,
                a.exclusive is not None and a.exclusive.contains(challenge.issued_at, challenge.expires_at),
                f"the attestation of {a.venue!r} is not exclusive "
                f"from {format_time(challenge.issued_at)} until {format_time(challenge.expires_at)}",
            )
    return found


def check_combination(challenge: Challenge, attestations: Sequence[Attestation], holder_key: bytes) -> None:
    """Raise ProofError unless the attestations may be netted and all bind `holder_key`."""
    for violation in combination_violations(challenge, attestations):
        raise ProofError(violation.reason, where="attestations", expected="attestations that the challenge allows")
    bound = {a.holder.key for a in attestations if a.holder is not None}
    if bound != {holder_key}:
        raise ProofError("not the key that the attestations bind", where="holder key", expected=bound.pop().hex())


def challenge_model(challenge: Challenge, given: AnyModel | None = None) -> AnyModel:
    """The model a challenge names: the one it carries, the one given, or a shipped one of that name.

    Raises:
        ProofError: none of these has the challenge's digest.
    """
    for model in (challenge.model, given):
        if model is not None and model.digest == challenge.model_digest:
            return model
    if challenge.model_name in names():
        shipped = load(challenge.model_name)
        if shipped.digest == challenge.model_digest:
            return shipped
    raise ProofError(
        f"no model {challenge.model_name} of the challenge's digest",
        where="challenge.model",
        expected=f"the document of {challenge.model_digest.hex()}",
    )


def attested_market(attestation: Attestation, market: Market, array: RiskArray | None) -> AttestedMarket:
    """What an attestation adds to the rows."""
    return AttestedMarket(market, array, attestation.columns.live)


def build_statement(challenge: Challenge, attestations: Sequence[Attestation], compiled: StatementRows) -> Statement:
    """The statement of a challenge over attestations, ascending by digest, that break no rule (ProofError as `Statement`)."""
    attested, keys = [], set[bytes]()
    for a in attestations:
        if a.holder is None:
            raise AssertionError("the rules come first")
        keys.add(a.holder.key)
        columns = tuple(CommittedColumn(j, c) for j, c in zip(a.columns.live, a.columns.commitments, strict=True))
        attested.append(
            AttestedColumns(a.digest, a.registry_digest, a.snapshot_digest, a.holder.identity, a.holder.tag, columns)
        )
    (key,) = keys
    return Statement(
        challenge.digest,
        challenge.nonce,
        challenge.model_digest,
        challenge.audience,
        challenge.expires_at,
        key,
        tuple(attested),
        compiled.rows(challenge.bound_micros),
        compiled.bits(challenge.slack_bits),
    )


def consent_message(transcript: Transcript) -> bytes:
    """The 32 bytes that the holder signs."""
    return encoding.digest(TAG_HOLDER_CONSENT, transcript.state)


@dataclass(frozen=True)
class ProverInput:
    """One account's part of a proof.

    Attributes:
        attestation: envelope bytes. opening: its opening, secret.
        market: the market file's bytes, or the market.
        array: its risk array under the challenge's model, if the caller has it.
    """

    attestation: bytes
    opening: bytes = field(repr=False)
    market: bytes | Market = field(repr=False)
    array: RiskArray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class UnsignedProof:
    """A proof that lacks the holder's consent.

    Attributes:
        challenge_digest, attestation_digests, proof, identity_proof: as in `ProofDocument`.
        consent: 32 bytes for the holder's key to sign.
        holder_key: 32 bytes, the public key that has to sign.
    """

    challenge_digest: bytes
    attestation_digests: tuple[bytes, ...]
    proof: bytes
    identity_proof: bytes | None
    consent: bytes
    holder_key: bytes

    def signed(self, key: SigningKey) -> bytes:
        """The finished proof (ProofError if it is another key than the attestations bind)."""
        if key.public.raw != self.holder_key:
            raise ProofError(
                "not the key that the attestations bind", where="holder key", expected=self.holder_key.hex()
            )
        return self.with_signature(key.sign(self.consent))

    def with_signature(self, signature: bytes) -> bytes:
        """The finished proof with a signature of `consent` that was made elsewhere."""
        return ProofDocument(
            self.challenge_digest, self.attestation_digests, self.proof, self.identity_proof, signature
        ).to_bytes()


@dataclass(frozen=True)
class _Account:
    attestation: Attestation
    opening: Opening = field(repr=False)
    attested: AttestedMarket = field(repr=False)


def prove_net_risk(
    challenge: bytes,
    inputs: Sequence[ProverInput],
    holder_key: SigningKey,
    *,
    model: AnyModel | None = None,
    allow_tight_bound: bool = False,
    progress: Progress = lambda stage, done: None,
) -> bytes:
    """Answer a challenge: the bytes of a proof file.

    Args:
        challenge: the verifier's bytes.
        inputs: one for each account, in any order.
        holder_key: the key whose public half the attestations bind.
        model: the challenge's model, if the challenge does not carry it and it does not ship.
        allow_tight_bound: answer a bound off the coarse grid, or slacks narrower than usual: nearly an equation in the lots.
        progress: told the stage that begins and the fraction done.

    Raises:
        FalseStatementError: the statement is not true; by how much and where, for the prover's eyes.
        ProofError: the challenge, the attestations or the openings do not belong together.
        AttestationError, MarketError: an input that cannot be read.
    """
    unsigned = prove_core(
        challenge, inputs, holder_key.public.raw, model=model, allow_tight_bound=allow_tight_bound, progress=progress
    )
    return unsigned.signed(holder_key)


def prove_core(
    challenge: bytes,
    inputs: Sequence[ProverInput],
    holder_key: bytes,
    *,
    model: AnyModel | None = None,
    allow_tight_bound: bool = False,
    progress: Progress = lambda stage, done: None,
    compiled: StatementRows | None = None,
) -> UnsignedProof:
    """As `prove_net_risk`, for whoever has the openings and not the holder's key.

    compiled: rows of the challenge's statement over the attestations in ascending order of their digests, if the caller has them.
    """
    parsed = Challenge.from_bytes(challenge)
    check_bound(parsed.bound_micros, allow_tight=allow_tight_bound)
    scenarios = challenge_model(parsed, model)
    if not 0 < len(inputs) <= MAX_ATTESTATIONS:
        raise ProofError(f"{len(inputs)} attestations", where="attestations", expected=f"1 to {MAX_ATTESTATIONS}")
    accounts: list[_Account] = []
    for i, given in enumerate(inputs):
        progress("pricing", HEAD_ROOM * i / len(inputs))
        accounts.append(_account(given, scenarios, f"attestations[{i}]", priced=compiled is None))
    accounts.sort(key=lambda account: account.attestation.digest)
    attestations = [a.attestation for a in accounts]
    check_combination(parsed, attestations, holder_key)
    if compiled is None:
        compiled = compile_statement(parsed, scenarios, [a.attested for a in accounts])
    check_slack_bits(compiled.bits(parsed.slack_bits), compiled.bits(None), allow_tight=allow_tight_bound)
    statement = build_statement(parsed, attestations, compiled)
    witness = _witness(accounts, compiled)
    setup = ceremony_setup(statement.n)
    proof, transcript = prove(
        setup,
        statement,
        witness,
        progress=lambda stage, done: progress(stage, HEAD_ROOM + (1 - HEAD_ROOM) * done),
    )
    if not verify(setup, statement, proof)[0]:
        _check_openings(accounts)
    identity = _identity_proof(transcript, accounts)
    return UnsignedProof(
        parsed.digest,
        tuple(a.digest for a in attestations),
        proof,
        identity,
        consent_message(transcript),
        statement.holder_key,
    )


def _account(given: ProverInput, model: AnyModel, where: str, *, priced: bool) -> _Account:
    """An account's part; with its risk array, if it is to be priced here and the model has one."""
    attestation = Attestation.from_bytes(Envelope.from_bytes(given.attestation, where).payload, f"{where}.payload")
    opening = Opening.from_bytes(given.opening, f"{where}.opening")
    if opening.attestation_digest != attestation.digest:
        raise ProofError("opening of another attestation", where=f"{where}.opening", expected=attestation.digest.hex())
    market = given.market if isinstance(given.market, Market) else Market.from_bytes(given.market, f"{where}.market")
    for what, stated, own in (
        ("registry", attestation.registry_digest, market.registry.digest),
        ("snapshot", attestation.snapshot_digest, market.snapshot.digest),
    ):
        if stated != own:
            raise ProofError(f"another {what} than the attested one", where=f"{where}.market", expected=stated.hex())
    check_size(len(model.scenarios), market.registry.columns, market.registry.column_size)
    if not priced or not isinstance(model, RiskModel):
        return _Account(attestation, opening, attested_market(attestation, market, None))
    array = given.array or compute_array(market, model)
    if (array.registry_digest, array.snapshot_digest, array.model_digest) != (
        market.registry.digest,
        market.snapshot.digest,
        model.digest,
    ):
        raise ProofError("not the risk array of the market and the challenge's model", where=f"{where}.array")
    return _Account(attestation, opening, attested_market(attestation, market, array))


def _witness(accounts: Sequence[_Account], compiled: StatementRows) -> Witness:
    lots = np.concatenate([_lots(account) for account in accounts])
    blindings = [Blinding.from_bytes(b, "opening.blindings") for a in accounts for b in a.opening.blindings]
    return Witness(lots, tuple(blindings), compiled.auxiliary(lots))


def _lots(account: _Account) -> Int64:
    """int64[live columns * n]: the opened lots, column by column (ProofError if they do not fit the attested columns)."""
    opening, columns, n = account.opening, account.attestation.columns, account.attestation.columns.size
    dense = np.zeros(columns.count * n, dtype=np.int64)
    fits = len(opening.blindings) == len(columns.live)
    for position in opening.positions:
        fits = fits and position.index < account.attestation.registry_size and position.index // n in columns.live
        if not fits:
            break
        dense[position.index] = position.lots
    if not fits:
        raise _wrong_opening(account)
    return np.concatenate([dense[j * n : (j + 1) * n] for j in columns.live])


def _wrong_opening(account: _Account) -> ProofError:
    return ProofError(
        "the opening is not that of the attestation",
        where=f"opening of {account.attestation.digest.hex()}",
        expected="the opening that the venue handed out with the attestation",
    )


def _check_openings(accounts: Sequence[_Account]) -> None:
    """Find out which opening made a proof fail, and raise ProofError."""
    for account in accounts:
        lots, columns, n = _lots(account), account.attestation.columns, account.attestation.columns.size
        for k, (commitment, blinding) in enumerate(zip(columns.commitments, account.opening.blindings, strict=True)):
            part = lots[k * n : (k + 1) * n]
            if not column_basis(n).verify(parse_g1(commitment), part, Blinding.from_bytes(blinding)):
                raise _wrong_opening(account)
    raise AssertionError("a proof of a true statement with the right openings fails")


def _identity_proof(transcript: Transcript, accounts: Sequence[_Account]) -> bytes | None:
    """The identity proof for two accounts or more, after checking that the openings hold one identity (ProofError)."""
    identities, blindings = set[str](), []
    for account in accounts:
        opening = account.opening
        if opening.identity is None or opening.identity_blinding is None:
            raise ProofError(
                "the opening lacks the holder's identity", where="opening", expected="riskproof/opening/v2"
            )
        blinding = Blinding.from_bytes(opening.identity_blinding, "opening.identity_blinding")
        holder = account.attestation.holder
        if holder is None or commit_identity(opening.identity, blinding) != holder.identity:
            raise _wrong_opening(account)
        identities.add(opening.identity)
        blindings.append(blinding)
    if len(identities) != 1:
        raise ProofError(
            "the venues verified different identities: books of two persons are not netted",
            where="attestations",
            expected="accounts of one holder, its identity spelled alike",
        )
    return prove_same(transcript, blindings) if len(accounts) > 1 else None
