"""The synchronous client."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import grpc

from riskproof.attest.holder import ExclusiveWindow
from riskproof.attest.keys import SigningKey
from riskproof.client import requests
from riskproof.client.arrays import ArrayAssembler
from riskproof.client.channels import DEFAULT_TIMEOUT, OPTIONS, call_error, credentials, new_request_id
from riskproof.client.proofs import Consent, Progress, take
from riskproof.client.values import (
    AttestationEntry,
    BroughtAccount,
    CreatedAttestation,
    Disclosure,
    Holding,
    Margin,
    Page,
    Positions,
    PublishedSnapshot,
    RecordedHolder,
    RecordedTrade,
    SnapshotSummary,
)
from riskproof.encoding import canonical_json, parse_canonical
from riskproof.errors import InputError
from riskproof.market.marketfile import Market
from riskproof.market.registry import Registry
from riskproof.market.snapshot import Snapshot
from riskproof.verify import Verdict

if TYPE_CHECKING:
    from riskproof.risk.arrays import RiskArray
    from riskproof.verify.net_risk import ProofCase, ProofVerdict

T = TypeVar("T")


class Client:
    """A connection to a venue's server, for one thread or many. Close it, or use it as a context manager.

    Every method raises the error that the server raised, DeadlineError after `timeout` seconds, RemoteError if the server
    cannot be reached.
    """

    def __init__(
        self,
        address: str,
        *,
        authority: str | Path,
        certificate: str | Path | None = None,
        private_key: str | Path | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        """Connect when first used.

        Args:
            address: host:port.
            authority: PEM file of the authority that signed the server's certificate.
            certificate, private_key: PEM files of the client's own certificate, which states its role.
            timeout: seconds per call.

        Raises:
            ConfigError: a file cannot be read.
        """
        secure = credentials(authority, certificate, private_key)
        self._use(grpc.secure_channel(address, secure, options=OPTIONS), timeout)

    @classmethod
    def insecure(cls, address: str, *, timeout: float = DEFAULT_TIMEOUT) -> Client:
        """A client without TLS, for a server in insecure mode on the same machine."""
        client = cls.__new__(cls)
        client._use(grpc.insecure_channel(address, options=OPTIONS), timeout)
        return client

    def _use(self, channel: grpc.Channel, timeout: float) -> None:
        self._channel, self._timeout = channel, timeout

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _call(self, request: requests.Request[T], timeout: float | None) -> T:
        method = self._channel.unary_unary(
            request.method,
            request_serializer=type(request.message).SerializeToString,
            response_deserializer=request.response.FromString,
        )
        try:
            response = method(request.message, timeout=self._timeout if timeout is None else timeout)
        except grpc.RpcError as error:
            raise call_error(error, request.method) from None
        return request.decode(response)

    def compute_array(
        self, snapshot_digest: bytes = b"", model: str = "", *, timeout: float | None = None
    ) -> RiskArray:
        """The risk array of a snapshot, or of the one published last, as the server computed it; checked against its digest."""
        request = requests.compute_array(snapshot_digest, model)
        method = self._channel.unary_stream(
            request.method,
            request_serializer=type(request.message).SerializeToString,
            response_deserializer=request.response.FromString,
        )
        parts = ArrayAssembler()
        try:
            for part in method(request.message, timeout=self._timeout if timeout is None else timeout):
                parts.add(request.decode(part))
        except grpc.RpcError as error:
            raise call_error(error, request.method) from None
        return parts.finish()

    def publish_snapshot(
        self, snapshot_json: bytes, registry_json: bytes = b"", *, timeout: float | None = None
    ) -> PublishedSnapshot:
        """Store a snapshot and, unless it is stored already, its registry version. Operators only."""
        return self._call(requests.publish_snapshot(snapshot_json, registry_json), timeout)

    def publish_market(self, market: Market, *, timeout: float | None = None) -> PublishedSnapshot:
        """Store a market: its registry version and its snapshot. Operators only."""
        registry = canonical_json(market.registry.to_document())
        return self.publish_snapshot(canonical_json(market.snapshot.to_document()), registry, timeout=timeout)

    def get_registry(self, digest: bytes = b"", *, timeout: float | None = None) -> bytes:
        """Canonical bytes of a registry version, or of the latest; checked against the digest."""
        return self._call(requests.get_registry(digest), timeout)

    def get_snapshot(self, digest: bytes = b"", *, timeout: float | None = None) -> bytes:
        """Canonical bytes of a snapshot, or of the one published last; checked against the digest."""
        return (self._call(requests.get_snapshot(digest), timeout))[0]

    def get_market(self, snapshot_digest: bytes = b"", *, timeout: float | None = None) -> Market:
        """A snapshot, or the one published last, with its registry version."""
        document, registry_digest = self._call(requests.get_snapshot(snapshot_digest), timeout)
        registry = Registry.from_document(
            parse_canonical(self.get_registry(registry_digest, timeout=timeout), "registry")
        )
        return Market(registry, Snapshot.from_document(parse_canonical(document, "snapshot"), registry))

    def list_snapshots(
        self, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> Page[SnapshotSummary]:
        """Snapshots, last published first."""
        return self._call(requests.list_snapshots(page_size, page_token), timeout)

    def get_model(self, name: str = "", *, timeout: float | None = None) -> bytes:
        """Canonical bytes of a risk model, the server's default one for ""; checked against the digest."""
        return self._call(requests.get_model(name), timeout)

    def open_account(self, account_id: str, *, timeout: float | None = None) -> int:
        """Open an account, or find it open; returns when it was opened, seconds since the epoch. Operators only."""
        return self._call(requests.open_account(account_id), timeout)

    def set_holder(self, account_id: str, identity: str, *, timeout: float | None = None) -> RecordedHolder:
        """Record who holds an account: attestations with a holder bind the identity recorded last. Operators only."""
        return self._call(requests.set_holder(account_id, identity), timeout)

    def record_trade(
        self, account_id: str, trade_id: str, legs: Iterable[Holding], *, timeout: float | None = None
    ) -> RecordedTrade:
        """Record a trade; it is on disk when this returns. Sending it again under its id is harmless. Operators only."""
        return self._call(requests.record_trade(account_id, trade_id, legs), timeout)

    def get_positions(self, account_id: str, *, timeout: float | None = None) -> Positions:
        """The book of an account. Operators, and the account's holder."""
        return self._call(requests.get_positions(account_id), timeout)

    def compute_margin(
        self,
        account_id: str | None = None,
        *,
        book: Sequence[Holding] | None = None,
        snapshot_digest: bytes = b"",
        model: str = "",
        with_greeks: bool = False,
        timeout: float | None = None,
    ) -> Margin:
        """Risk and margin of an account, or of a hypothetical book; nothing is stored. Operators and account holders.

        Raises:
            InputError: both given, or neither.
        """
        if (account_id is None) == (book is None):
            raise InputError("an account or a book, one of them", where="compute_margin", expected="account_id or book")
        return self._call(requests.compute_margin(account_id, book, snapshot_digest, model, with_greeks), timeout)

    def create_attestation(
        self,
        account_id: str,
        *,
        request_id: str = "",
        snapshot_digest: bytes = b"",
        model: str = "",
        disclosure: Disclosure = Disclosure.DEFAULT,
        audience: str = "",
        nonce: str = "",
        ttl_seconds: int = 0,
        holder_key: bytes = b"",
        exclusive: ExclusiveWindow | None = None,
        timeout: float | None = None,
    ) -> CreatedAttestation:
        """Attest an account's net risk exposure. Operators, and the account's holder.

        request_id: give one to be able to send the request again; "" makes a fresh one.
        holder_key: the holder's Ed25519 public key, 32 bytes: binds the account's holder towards the audience; b"" binds nobody.
        exclusive: with a holder: a time in which the account gets no other exclusive attestation. It is never taken back.
        """
        request = requests.create_attestation(
            account_id,
            request_id or new_request_id(),
            snapshot_digest=snapshot_digest,
            model=model,
            disclosure=disclosure,
            audience=audience,
            nonce=nonce,
            ttl_seconds=ttl_seconds,
            holder_key=holder_key,
            exclusive=exclusive,
        )
        return self._call(request, timeout)

    def get_attestation(self, account_id: str, sequence: int, *, timeout: float | None = None) -> AttestationEntry:
        """One of an account's attestations. Operators, and the account's holder."""
        return self._call(requests.get_attestation(account_id, sequence), timeout)

    def list_attestations(
        self, account_id: str, *, page_size: int = 0, page_token: str = "", timeout: float | None = None
    ) -> Page[AttestationEntry]:
        """An account's attestations in the order of their numbers. Operators, and the account's holder."""
        return self._call(requests.list_attestations(account_id, page_size, page_token), timeout)

    def get_opening(self, account_id: str, sequence: int, *, timeout: float | None = None) -> bytes:
        """The opening of an attestation: secret. The account's holder only."""
        return self._call(requests.get_opening(account_id, sequence), timeout)

    def verify_attestation(
        self,
        attestation: bytes,
        *,
        keys: bytes = b"",
        audience: str = "",
        nonce: str = "",
        recompute: bool = False,
        opening: bytes = b"",
        timeout: float | None = None,
    ) -> Verdict:
        """What the server says of an attestation. To trust nobody, use `riskproof.verify` instead.

        keys: a JWK set, b"" for the server's own. recompute: the risk array too, from the server's ledger.
        """
        request = requests.verify_attestation(
            attestation, keys=keys, audience=audience, nonce=nonce, recompute=recompute, opening=opening
        )
        return self._call(request, timeout)

    def get_key_set(self, *, timeout: float | None = None) -> bytes:
        """The venue's public keys as a JWK set. Who relies on them compares them with a copy from elsewhere."""
        return self._call(requests.get_key_set(), timeout)

    def create_challenge(
        self,
        *,
        bound_micros: int,
        audience: str = "",
        statement: str = "loss",
        requirement: str = "",
        model: str | bytes = "",
        max_skew_seconds: int | None = None,
        max_age_seconds: int | None = None,
        exclusive: bool = False,
        ttl_seconds: int = 0,
        numeraire: str = "",
        timeout: float | None = None,
    ) -> bytes:
        """A fresh challenge to account holders (`riskproof.proof.challenge`); its digest is checked. Verifiers only.

        audience: who asks, "" for the venue. statement: loss, solvency, margin or excess. requirement: initial or maintenance, for
        margin and excess. model: a name, or a model's bytes; "" is the server's default.
        """
        request = requests.create_challenge(
            bound_micros=bound_micros,
            audience=audience,
            statement=statement,
            requirement=requirement,
            model=model,
            max_skew_seconds=max_skew_seconds,
            max_age_seconds=max_age_seconds,
            exclusive=exclusive,
            ttl_seconds=ttl_seconds,
            numeraire=numeraire,
        )
        return self._call(request, timeout)

    def prove(
        self,
        account_id: str,
        challenge: bytes,
        attestations: Sequence[bytes],
        holder_key: SigningKey,
        *,
        brought: Sequence[BroughtAccount] = (),
        markets: Sequence[bytes | Market] = (),
        allow_tight_bound: bool = False,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Answer a challenge with a proof that the venue makes and the holder signs; the holder's key stays here. The holder only.

        Args:
            attestations: the account's, of this venue, which has their openings.
            holder_key: the key that they bind. It signs what was recomputed here from the challenge and the attestations.
            brought: attestations of other venues; this venue learns what their openings say.
            markets: markets of the attested snapshots, if they are at hand; the others are fetched from this venue.
            progress: told the stage that begins and the fraction done.

        Raises:
            FalseStatementError: the statement is not true; by how much, for the holder's eyes.
            LeakBudgetError: the verifier would learn more of the account than the venue lets out.
            WorkerLostError: the proof was lost; ask again.
            ProofError: the inputs do not belong together, or the venue's proof is not to be signed.
        """
        consent = Consent(challenge, attestations, brought, markets)
        for digest in consent.missing_snapshots():
            consent.add_market(self.get_market(digest, timeout=timeout))
        if name := consent.missing_model():
            consent.add_model(self.get_model(name, timeout=timeout))
        own = consent.digests[: len(attestations)]
        request = requests.prove(account_id, challenge, own, brought, holder_key.public.raw, allow_tight_bound)
        method = self._channel.unary_stream(
            request.method,
            request_serializer=type(request.message).SerializeToString,
            response_deserializer=request.response.FromString,
        )
        unsigned = None
        try:
            for event in method(request.message, timeout=self._timeout if timeout is None else timeout):
                unsigned = take(request.decode(event), holder_key, progress)
        except grpc.RpcError as error:
            raise call_error(error, request.method) from None
        return consent.sign(unsigned, holder_key)

    def verify_proof(self, case: ProofCase, *, timeout: float | None = None) -> ProofVerdict:
        """What the server says of a proof. To trust nobody, use `riskproof.verify.net_risk` instead.

        case: for keys and markets, b"" stands for the server's own.
        """
        return self._call(requests.verify_proof(case), timeout)

    def verify_proofs(self, cases: Sequence[ProofCase], *, timeout: float | None = None) -> list[ProofVerdict]:
        """What the server says of up to 256 proofs, in their order; see `verify_proof`."""
        return self._call(requests.verify_proofs(cases), timeout)

    def is_serving(self, *, timeout: float | None = None) -> bool:
        """What the standard health check says of the server."""
        return self._call(requests.health_check(), timeout)
