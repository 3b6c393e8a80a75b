"""How much the answers to challenges tell of a book, and where to stop (docs/threat-model.md, "What answers tell").

Points bound bits. Let the answers of a budget cost at most B points together. Then the verifier has seen one of at most 2^B
transcripts, and its chance to guess the book, or anything that depends on the book, is at most 2^B times what it was before:

    what                                            points
    an answer, proof or refusal, coarse bound            1    one of two; a refusal is seen as well: no proof comes
    the first answer under a model that is not
      the venue's, besides                               3    its scenarios may be aimed at one position; a verifier that bisects
                                                              a shock, not the bound, needs a new model for every question
    an answer to a tight bound                          63    whoever takes the bound from the loss tells the loss, to the micro:
                                                              one of 2^63 numbers
    a margin of an attestation, coarse grid             11    one of 1,623 grid points
    a P&L of an attestation, coarse grid                12    one of 3,245
    the worst scenario of an attestation                12    one of up to 4,096

The same question about the same books at the same snapshot has the same answer, and costs nothing the second time. A coarse bound
is taken to be the verifier's own. One that the holder suggests, its loss rounded up, is a number it has told (11 points): nobody
here can count what is said elsewhere.

Points are counted for each account and audience. A budget of `limit` points is what WINDOW_SECONDS may cost: a fresh attestation
or a small trade does not renew it, time does. The positions themselves are the finer key: a book that never changes has one budget
for good.

The default limit (ADR 0014) is that of one exact number and hardly more. The grid keeps a loss within its cell, at least a
hundredth of the loss, however many bounds are asked at one snapshot; the limit keeps everything else. A loss to two digits is
one of 1,623: 11 answers find its cell. A loss to the micro holds 35 bits or so, and 40 of them gave away a book of 60 positions
(tests/proof/test_leak_attacks.py): 1,389 bits where the budget lets 64 out. A book of a few positions has fewer bits than that:
give it a lower limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from riskproof import encoding, units
from riskproof.encoding import TAG_LEAK_BUDGET, Json
from riskproof.errors import LeakBudgetError, ProofError
from riskproof.proof.grid import COARSE, Grid

WINDOW_SECONDS: Final = 30 * units.SECONDS_PER_DAY
DEFAULT_LIMIT: Final = 64
MAX_LIMIT: Final = 1_000_000

ANSWER_POINTS: Final = 1
NEW_MODEL_POINTS: Final = 3
TIGHT_POINTS: Final = 63
WORST_SCENARIO_POINTS: Final = 12

TIGHT_DANGER: Final = (
    "a tight bound is close to an exact equation in the hidden lots, and a few dozen of them give the whole book away"
)


# ---- bounds ----------------------------------------------------------------------------------------------------------


def is_tight(bound_micros: int) -> bool:
    """True if a bound has more than the two significant digits of the coarse grid."""
    return not COARSE.contains(bound_micros)


def check_bound(bound_micros: int, allow_tight: bool = False) -> None:
    """Refuse a bound off the coarse grid, unless it is allowed; ProofError names the grid points around it."""
    if allow_tight or not is_tight(bound_micros):
        return
    below = COARSE.down(bound_micros, "bound")
    near = [below] + [above for above in (below + COARSE.step_at(bound_micros),) if above <= units.INT64_MAX]
    raise ProofError(
        f"{_money(bound_micros)} has more than two significant digits: {TIGHT_DANGER}",
        where="bound",
        expected=" or ".join(map(_money, near)),
    )


def check_slack_bits(bits: int, usual: int, allow_tight: bool = False) -> None:
    """Refuse slacks of fewer bits than follow from the registries' exponents, unless it is allowed (ProofError).

    A slack below 2^b bounds the gain of every scenario as well: with a small b, a proof is one narrow interval for each scenario.
    """
    if bits < usual and not allow_tight:
        raise ProofError(
            f"slacks of {bits} bits bound the gain of every scenario too: {TIGHT_DANGER}",
            where="slack_bits",
            expected=f"{usual} or more",
        )


def _money(micros: int) -> str:
    return units.format_decimal(micros, units.MICROS_EXPONENT)


# ---- what is counted -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """Something that one audience is about to learn of one account. The four names are digests of 32 bytes.

    Attributes:
        account: `account_key`. audience: `audience_key`. book: `book_key`.
        subject: what is learned; equal subjects tell nothing new.
        points: what it costs, 1 or more.
    """

    account: bytes
    audience: bytes
    book: bytes
    subject: bytes
    points: int


@dataclass(frozen=True)
class Record:
    """An event that was let out. at: seconds since the epoch."""

    event: Event
    at: int


def account_key(venue: str, account_id: str) -> bytes:
    """Names an account in a budget; 32 bytes."""
    return _key({"kind": "account", "venue": venue, "account_id": account_id})


def audience_key(audience: str) -> bytes:
    """Names an audience in a budget; 32 bytes."""
    return _key({"kind": "audience", "audience": audience})


def book_key(account: bytes, positions: Iterable[tuple[int, int]]) -> bytes:
    """Names the positions of an account; 32 bytes that are the same in every attestation of an unchanged book.

    positions: (registry index, lots) of every position, in any order, zero lots left out. Registries of a venue only grow, so an
    index means the same instrument in all of them.
    """
    lots: list[Json] = [[index, str(held)] for index, held in sorted(positions)]
    return _key({"kind": "book", "account": account.hex(), "positions": lots})


def _key(document: dict[str, Json]) -> bytes:
    return encoding.digest(TAG_LEAK_BUDGET, encoding.canonical_json(document))


class Figures(Protocol):
    """What an attestation discloses (riskproof.attest.payload.Disclosed)."""

    @property
    def grid(self) -> Grid | None: ...

    @property
    def pnl_micros(self) -> tuple[int, ...] | None: ...

    def to_document(self) -> dict[str, Json]: ...


@dataclass(frozen=True)
class AttestedBook:
    """An account under a challenge, as its attestation and opening show it; the repr does not show the account.

    Attributes:
        venue, account_id: whose books it is in.
        positions: (registry index, lots) of every position.
        registry_digest, snapshot_digest: 32 bytes each, as attested.
        model_digest: the model of the attestation, which is the venue's own.
        disclosed: the figures in the attestation.
    """

    venue: str
    account_id: str = field(repr=False)
    positions: tuple[tuple[int, int], ...] = field(repr=False)
    registry_digest: bytes
    snapshot_digest: bytes
    model_digest: bytes
    disclosed: Figures = field(repr=False)


def figures_points(disclosed: Figures) -> int:
    """Points of the figures in an attestation: two margins, the worst scenario, and each P&L."""
    if disclosed.grid is None:
        return 0
    margin, pnl = (_bits(disclosed.grid.size(signed=signed)) for signed in (False, True))
    return 2 * margin + WORST_SCENARIO_POINTS + pnl * len(disclosed.pnl_micros or ())


def _bits(values: int) -> int:
    """Bits that tell one of `values` from the others."""
    return (values - 1).bit_length()


def answer_events(
    books: Sequence[AttestedBook],
    *,
    audience: str,
    statement: str,
    bound_micros: int,
    slack_bits: int,
    usual_slack_bits: int,
    model_digest: bytes,
) -> tuple[Event, ...]:
    """What an audience learns when one challenge about `books` is answered, with a proof or without: the same, so that the charge
    can be made before the answer is known.

    slack_bits, usual_slack_bits: b of the statement, and what it would be if the challenge did not name it.
    """
    whom = audience_key(audience)
    keys = [(account := account_key(b.venue, b.account_id), book_key(account, b.positions)) for b in books]
    asked: list[Json] = sorted(
        [book.hex(), b.registry_digest.hex(), b.snapshot_digest.hex()] for (_, book), b in zip(keys, books, strict=True)
    )
    question = _key(
        {
            "kind": "answer",
            "statement": statement,
            "bound_micros": str(bound_micros),
            "slack_bits": slack_bits,
            "model": model_digest.hex(),
            "books": asked,
        }
    )
    points = TIGHT_POINTS if is_tight(bound_micros) or slack_bits < usual_slack_bits else ANSWER_POINTS
    events: list[Event] = []
    for (account, book), b in zip(keys, books, strict=True):
        if figures := figures_points(b.disclosed):
            shown: dict[str, Json] = {
                "kind": "figures",
                "book": book.hex(),
                "snapshot": b.snapshot_digest.hex(),
                "model": b.model_digest.hex(),
                "disclosure": b.disclosed.to_document(),
            }
            events.append(Event(account, whom, book, _key(shown), figures))
        if b.model_digest != model_digest:
            aimed = _key({"kind": "model", "model": model_digest.hex()})
            events.append(Event(account, whom, book, aimed, NEW_MODEL_POINTS))
        events.append(Event(account, whom, book, question, points))
    return tuple(events)


# ---- the budget ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Balance:
    """Points of one account towards one audience. `left` is the lesser of what the window and the unchanged book leave."""

    spent_in_window: int
    spent_on_book: int
    limit: int

    @property
    def left(self) -> int:
        return max(0, self.limit - max(self.spent_in_window, self.spent_on_book))


def balance(records: Iterable[Record], event: Event, *, now: int, limit: int = DEFAULT_LIMIT) -> Balance:
    """Where the budget of an event's account, audience and book stands at `now` (ProofError for a limit out of range).

    A record from the future counts: it shows a clock that was set back.
    """
    _check_limit(limit)
    ours = [r for r in records if (r.event.account, r.event.audience) == (event.account, event.audience)]
    return Balance(
        sum(r.event.points for r in ours if r.at > now - WINDOW_SECONDS),
        sum(r.event.points for r in ours if r.event.book == event.book),
        limit,
    )


def admit(
    records: Sequence[Record], events: Iterable[Event], *, now: int, limit: int = DEFAULT_LIMIT
) -> tuple[Event, ...]:
    """The events that are new and have to be recorded before the answer leaves. All of them are let out, or none.

    records: everything recorded about the events' accounts and audiences, of any age.

    Raises:
        LeakBudgetError: the budget of an account does not allow it; says how much is left and when that changes.
        ProofError: a limit or a time out of range.
    """
    _check_limit(limit)
    if not 0 <= now <= units.TIME_MAX:
        raise ProofError("out of range", where="now", expected="seconds since the epoch")
    known = {(r.event.account, r.event.audience, r.event.subject) for r in records}
    fresh: dict[tuple[bytes, bytes, bytes], Event] = {}
    for event in events:
        name = (event.account, event.audience, event.subject)
        if name not in known:
            fresh.setdefault(name, event)
    by_account: dict[tuple[bytes, bytes], int] = {}
    by_book: dict[tuple[bytes, bytes, bytes], int] = {}
    for event in fresh.values():
        account, book = (event.account, event.audience), (event.account, event.audience, event.book)
        by_account[account] = by_account.get(account, 0) + event.points
        by_book[book] = by_book.get(book, 0) + event.points
    for (owner, audience, positions), cost in by_book.items():
        wanted = Event(owner, audience, positions, b"", cost)
        _check_room(records, wanted, by_account[owner, audience], now, limit)
    return tuple(fresh.values())


def _check_room(records: Sequence[Record], wanted: Event, cost: int, now: int, limit: int) -> None:
    """LeakBudgetError unless there is room for `wanted.points` more on its book and `cost` more on all books of its account."""
    state = balance(records, wanted, now=now, limit=limit)
    if state.spent_on_book + wanted.points <= limit and state.spent_in_window + cost <= limit:
        return
    if cost > limit:
        expected = f"a limit of {cost} or more, if the audience may know that much"
    elif state.spent_on_book + wanted.points > limit:
        expected = "a book that has changed: one that stays the same has one budget for good"
    else:
        first = _when(records, replace(wanted, points=cost), now, limit)
        expected = f"to ask again from {units.format_time(first)} on"
    raise LeakBudgetError(
        f"the answer costs {cost} of {limit} points and {state.left} are left for this account and audience",
        where="leak budget",
        expected=expected,
    )


def _when(records: Sequence[Record], wanted: Event, now: int, limit: int) -> int:
    """The first second at which the window has room again."""
    ours = sorted(
        (r.at + WINDOW_SECONDS, r.event.points)
        for r in records
        if (r.event.account, r.event.audience) == (wanted.account, wanted.audience) and r.at > now - WINDOW_SECONDS
    )
    spent = sum(points for _, points in ours)
    for at, points in ours:
        spent -= points
        if spent + wanted.points <= limit:
            return min(at, units.TIME_MAX)
    raise AssertionError("an empty window has room")


def _check_limit(limit: int) -> None:
    if not 0 <= limit <= MAX_LIMIT:
        raise ProofError(f"{limit} points", where="leak limit", expected=f"0 to {MAX_LIMIT}")
