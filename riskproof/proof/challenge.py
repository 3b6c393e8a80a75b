"""What a verifier asks: its audience name, statement, bound and scenarios, fresh and short-lived (docs/protocol.md, section 3)."""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from riskproof import encoding, units
from riskproof.encoding import TAG_CHALLENGE, TAG_MODEL, Json
from riskproof.errors import EncodingError, InputError, ProofError, UnitError
from riskproof.proof.statement import MAX_BITS, MIN_BITS
from riskproof.risk.margining.document import SCHEMA as SCHEMA_2
from riskproof.risk.margining.document import MarginModel
from riskproof.risk.model import RiskModel

AnyModel = RiskModel | MarginModel

SCHEMA: Final = "riskproof/challenge/v1"
NONCE_BYTES: Final = 32
MAX_CHALLENGE_BYTES: Final = 1 << 21  # twice the largest model
MAX_AUDIENCE: Final = 128
MAX_NUMERAIRE: Final = 16  # as in riskproof.market.registry
MAX_LIFETIME: Final = 366 * units.SECONDS_PER_DAY
MAX_SKEW: Final = 366 * units.SECONDS_PER_DAY
DEFAULT_TTL: Final = 3600
DEFAULT_MAX_SKEW: Final = 60


class StatementKind(enum.StrEnum):
    """What is to be proved."""

    LOSS = "loss"  # in every scenario, net P&L plus the bound is not negative
    SOLVENCY = "solvency"  # in every scenario, equity after haircuts plus net P&L plus the bound is not negative
    MARGIN = "margin"  # the model's margin requirement is at most the bound
    EXCESS = "excess"  # equity less the model's margin requirement plus the bound is not negative


class Margin(enum.StrEnum):
    """Which requirement `margin` and `excess` are about."""

    INITIAL = "initial"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True)
class Challenge:
    """A challenge. Construction checks it.

    Attributes:
        audience: the verifier's name; every attestation has to be for it.
        nonce: 32 random bytes.
        issued_at, expires_at: seconds since the epoch; answered in [issued_at, expires_at).
        statement: see `StatementKind`.
        bound_micros: M, 1e-6 of the numeraire, 0 to 2^63 - 1.
        model_name, model_digest: the scenarios.
        model: the whole model, if the challenge carries it; else verifier and prover find it by its digest.
        max_skew_seconds: largest difference between the attestations' times of issue, and between their snapshots' times.
        exclusive: whether every attestation has to be exclusive for the challenge's life.
        numeraire: the currency of the bound, if the challenge names it; else that of the attestations.
        slack_bits: b, if the challenge names it; else it follows from the registries' exponents.
        max_age_seconds: how long before the challenge an attestation may have been issued; None: as long as it is valid.
        margin: which requirement, for `margin` and `excess`; None for the other statements.

    Raises:
        ProofError: a member is out of its range, or the model is not the one of the digest.
    """

    audience: str
    nonce: bytes
    issued_at: int
    expires_at: int
    statement: StatementKind
    bound_micros: int
    model_name: str
    model_digest: bytes
    model: AnyModel | None
    max_skew_seconds: int
    exclusive: bool = False
    numeraire: str | None = None
    slack_bits: int | None = None
    max_age_seconds: int | None = None
    margin: Margin | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.audience) <= MAX_AUDIENCE or not self.audience.isprintable():
            raise ProofError("not a name", where="audience", expected=f"1 to {MAX_AUDIENCE} printable characters")
        if len(self.nonce) != NONCE_BYTES:
            raise ProofError(f"{len(self.nonce)} bytes", where="nonce", expected=f"{NONCE_BYTES} bytes")
        if not 0 < self.issued_at <= units.TIME_MAX or not 0 < self.expires_at <= units.TIME_MAX:
            raise ProofError("time is out of range", where="issued_at", expected="seconds since the epoch")
        if not self.issued_at < self.expires_at <= self.issued_at + MAX_LIFETIME:
            raise ProofError(
                "expires before it is issued, or lives too long",
                where="expires_at",
                expected=f"1 to {MAX_LIFETIME} seconds after issued_at",
            )
        if not 0 <= self.bound_micros <= units.INT64_MAX:
            raise ProofError("bound is out of range", where="bound", expected="0 to 2^63 - 1 micros of the numeraire")
        if not 0 <= self.max_skew_seconds <= MAX_SKEW:
            raise ProofError("out of range", where="max_skew_seconds", expected=f"0 to {MAX_SKEW} seconds")
        if self.max_age_seconds is not None and not 0 <= self.max_age_seconds <= MAX_LIFETIME:
            raise ProofError("out of range", where="max_age_seconds", expected=f"0 to {MAX_LIFETIME} seconds")
        if self.numeraire is not None and (
            not 0 < len(self.numeraire) <= MAX_NUMERAIRE or not self.numeraire.isprintable()
        ):
            raise ProofError("not a currency", where="numeraire", expected=f"1 to {MAX_NUMERAIRE} printable characters")
        bits = self.slack_bits
        if bits is not None and (not MIN_BITS <= bits <= MAX_BITS or bits % 8):
            raise ProofError(
                f"slacks of {bits} bits", where="slack_bits", expected=f"a multiple of 8, {MIN_BITS} to {MAX_BITS}"
            )
        if (self.statement in (StatementKind.MARGIN, StatementKind.EXCESS)) != (self.margin is not None):
            raise ProofError(
                "no requirement is named" if self.margin is None else f"{self.statement} has no requirement",
                where="requirement",
                expected="initial or maintenance, for the statements margin and excess only",
            )
        if isinstance(self.model, MarginModel) and self.margin is None:
            raise ProofError(
                f"{self.statement} under a model of version 2",
                where="statement",
                expected="margin or excess, or a model of version 1",
            )
        if self.model is not None and (self.model.name, self.model.digest) != (self.model_name, self.model_digest):
            raise ProofError("the document is another model", where="model.document", expected=self.model_digest.hex())

    @classmethod
    def new(
        cls,
        *,
        audience: str,
        bound_micros: int,
        model: AnyModel,
        now: int,
        statement: StatementKind = StatementKind.LOSS,
        ttl: int = DEFAULT_TTL,
        max_skew_seconds: int = DEFAULT_MAX_SKEW,
        exclusive: bool = False,
        numeraire: str | None = None,
        slack_bits: int | None = None,
        max_age_seconds: int | None = None,
        margin: Margin | None = None,
        embed_model: bool = True,
    ) -> Challenge:
        """A fresh challenge, its nonce from the operating system's generator (ProofError as the class)."""
        return cls(
            audience,
            secrets.token_bytes(NONCE_BYTES),
            now,
            now + ttl,
            statement,
            bound_micros,
            model.name,
            model.digest,
            model if embed_model else None,
            max_skew_seconds,
            exclusive,
            numeraire,
            slack_bits,
            max_age_seconds,
            margin,
        )

    def to_document(self) -> dict[str, Json]:
        model: dict[str, Json] = {"name": self.model_name, "digest": self.model_digest.hex()}
        if self.model is not None:
            model["document"] = self.model.to_document()
        document: dict[str, Json] = {
            "schema": SCHEMA,
            "audience": self.audience,
            "nonce": self.nonce.hex(),
            "issued_at": self.issued_at,
            "expires_at": self.expires_at,
            "statement": self.statement.value,
            "bound_micros": str(self.bound_micros),
            "model": model,
            "max_skew_seconds": self.max_skew_seconds,
            "exclusive": self.exclusive,
        }
        if self.numeraire is not None:
            document["numeraire"] = self.numeraire
        if self.slack_bits is not None:
            document["slack_bits"] = self.slack_bits
        if self.max_age_seconds is not None:
            document["max_age_seconds"] = self.max_age_seconds
        if self.margin is not None:
            document["requirement"] = self.margin.value
        return document

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return encoding.canonical_json(self.to_document())

    @cached_property
    def digest(self) -> bytes:
        """32 bytes naming this challenge."""
        return encoding.digest(TAG_CHALLENGE, self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "challenge", *, read_model: bool = True) -> Challenge:
        """Parse a challenge: canonical JSON and ranges (ProofError).

        read_model: whether to read the model that it carries, which takes longer than everything else; if not, `model` is None, and
        the digest is that of the whole all the same.
        """
        try:
            node = encoding.parse_canonical(data, where, limit=MAX_CHALLENGE_BYTES)
            challenge = _parse(node, data if read_model else None, where)
        except (EncodingError, UnitError) as error:
            raise ProofError(error.what, where=error.where, expected=error.expected) from None
        challenge.__dict__["digest"] = encoding.digest(
            TAG_CHALLENGE, data
        )  # canonical: these are the bytes of to_bytes
        return challenge


_MODELS_KEPT: Final = 16
_models: dict[bytes, AnyModel] = {}


def _embedded(document: Json, data: bytes, where: str) -> AnyModel:
    """The model of the challenge read from `data`, kept: verifiers ask under one again and again, and reading it takes the longest.

    It is found by the digest of its bytes, not by comparing trees: to Python, the documents 0 and false are equal.
    """
    name = encoding.digest(TAG_MODEL, encoding.canonical_part(document, data))
    kept = _models.get(name)
    if kept is not None:
        return kept
    at = f"{where}.model.document"
    model: AnyModel
    if isinstance(document, dict) and document.get("schema") == SCHEMA_2:
        model = MarginModel.from_document(document, at)
        if model.digest != name:
            raise ProofError(
                "the document is not expanded", where=at, expected="the members that its digest is made of"
            )
    else:
        model = RiskModel.from_document(document, at)
    if model.digest == name:
        for oldest in list(_models)[: 1 - _MODELS_KEPT]:
            _models.pop(oldest, None)
        _models[name] = model
    return model


def _parse(node: Json, data: bytes | None, where: str) -> Challenge:
    """The challenge of a document; data: its bytes, None to leave the model out."""
    m = encoding.members(
        node,
        where,
        (
            "schema",
            "audience",
            "nonce",
            "issued_at",
            "expires_at",
            "statement",
            "bound_micros",
            "model",
            "max_skew_seconds",
            "exclusive",
        ),
        ("numeraire", "slack_bits", "max_age_seconds", "requirement"),
    )
    if m["schema"] != SCHEMA:
        raise EncodingError("not a challenge of this version", where=f"{where}.schema", expected=SCHEMA)
    if m["statement"] not in tuple(StatementKind):
        raise EncodingError("unknown statement", where=f"{where}.statement", expected=", ".join(StatementKind))
    if "requirement" in m and m["requirement"] not in tuple(Margin):
        raise EncodingError("unknown requirement", where=f"{where}.requirement", expected=", ".join(Margin))
    if not isinstance(m["exclusive"], bool):
        raise EncodingError("not true or false", where=f"{where}.exclusive", expected="true or false")
    model = encoding.members(m["model"], f"{where}.model", ("name", "digest"), ("document",))
    digest = encoding.hex_bytes(model["digest"], f"{where}.model.digest", 32)
    try:
        return Challenge(
            encoding.string(m["audience"], f"{where}.audience", max_length=MAX_AUDIENCE),
            encoding.hex_bytes(m["nonce"], f"{where}.nonce", NONCE_BYTES),
            encoding.integer(m["issued_at"], f"{where}.issued_at"),
            encoding.integer(m["expires_at"], f"{where}.expires_at"),
            StatementKind(m["statement"]),
            units.parse_integer(
                encoding.string(m["bound_micros"], f"{where}.bound_micros", max_length=20), f"{where}.bound_micros"
            ),
            encoding.string(model["name"], f"{where}.model.name", max_length=64),
            digest,
            _embedded(model["document"], data, where) if data is not None and "document" in model else None,
            encoding.integer(m["max_skew_seconds"], f"{where}.max_skew_seconds"),
            m["exclusive"],
            encoding.string(m["numeraire"], f"{where}.numeraire", max_length=MAX_NUMERAIRE)
            if "numeraire" in m
            else None,
            encoding.integer(m["slack_bits"], f"{where}.slack_bits") if "slack_bits" in m else None,
            encoding.integer(m["max_age_seconds"], f"{where}.max_age_seconds") if "max_age_seconds" in m else None,
            Margin(m["requirement"]) if "requirement" in m else None,
        )
    except ProofError as error:
        raise ProofError(error.what, where=f"{where}.{error.where}", expected=error.expected) from None
    except EncodingError:
        raise
    except InputError as error:
        raise ProofError(error.what, where=error.where, expected=error.expected) from None
