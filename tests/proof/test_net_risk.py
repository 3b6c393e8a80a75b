"""Proofs over attestations, end to end: what is true is proved, one micro less is refused, and the prover is told why."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from proof_support import (
    AUDIENCE,
    HOLDER,
    ISSUED,
    MODEL,
    NOW,
    Account,
    Venue,
    answer,
    book,
    challenge,
    judge,
    make_market,
    worst_loss_micros,
)

from riskproof import units
from riskproof.attest.envelope import Envelope
from riskproof.attest.keys import SigningKey
from riskproof.attest.net_risk import ProverInput, challenge_model, prove_net_risk
from riskproof.attest.payload import Attestation
from riskproof.errors import FalseStatementError, InputError, ModelError, ProofError
from riskproof.proof.challenge import Challenge, Margin, StatementKind
from riskproof.proof.document import ProofDocument
from riskproof.proof.rows import AttestedMarket, check_size, compile_rows
from riskproof.proof.statement import Coefficients, Rows
from riskproof.risk.collateral import stressed_equity
from riskproof.risk.margining import load
from riskproof.verify import Outcome
from riskproof.verify.net_risk import MarketCache, ProofCase, verify_proof, verify_proofs


def solvent(venue: Venue, usd: int) -> Account:
    return venue.attest(book(venue.market, BTC_100000_C=-50_000, BTC=10_000, USD=usd))


def statement_of(account: Account) -> Attestation:
    return Attestation.from_bytes(Envelope.from_bytes(account.attestation).payload)


def margin_challenge(model: str) -> Challenge:
    return Challenge.new(
        audience=AUDIENCE,
        bound_micros=0,
        model=load(model),
        now=ISSUED,
        statement=StatementKind.MARGIN,
        margin=Margin.INITIAL,
    )


def shortfall_micros(account: Account) -> int:
    """The least bound that is true of `solvency`: the worst stressed equity below zero, by the exact twin."""
    equity = stressed_equity(account.venue.market, MODEL, account.venue.array, account.portfolio)
    worst = min(equity.scenarios)
    return max(0, -(worst // 10 ** (account.venue.array.pnl_exponent - 6)))


def test_the_net_loss_is_proved_to_the_micro(short: Account, hedge: Account) -> None:
    for accounts in ([short], [hedge], [short, hedge]):
        bound = worst_loss_micros(accounts)
        asked = challenge(bound)
        verdict = judge(answer(asked, accounts), asked, accounts)
        assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "")
        with pytest.raises(FalseStatementError, match=r"^scenario .*: the statement is false: short by 0.0000\d+$"):
            answer(challenge(bound - 1), accounts)


def test_netting_is_worth_it(short: Account, hedge: Account) -> None:
    assert worst_loss_micros([short, hedge]) * 3 < min(worst_loss_micros([short]), worst_loss_micros([hedge]))


def test_the_order_of_the_attestations_does_not_matter(short: Account, hedge: Account) -> None:
    asked = challenge(10**13)
    proof = answer(asked, [hedge, short])
    for accounts in ([short, hedge], [hedge, short]):
        assert judge(proof, asked, accounts).outcome is Outcome.VALID


def test_the_verdict_says_what_was_proved(short: Account, hedge: Account) -> None:
    asked = challenge(125_000_000_000 * 100)
    verdict = judge(answer(asked, [short, hedge]), asked, [short, hedge])
    assert [c.number for c in verdict.checks] == list(range(40, 58))
    assert "the net loss of 2 accounts at venue-a, venue-b is at most 12500000 USD" in verdict.proved[0]
    assert MODEL.digest.hex() in verdict.proved[0]
    assert "did not ask for exclusivity" in verdict.not_proved[0]
    document = verdict.to_document()
    assert document["outcome"] == "valid"
    assert document["challenge_digest"] == asked.digest.hex()
    with pytest.raises(TypeError, match="three outcomes"):
        bool(verdict)


def test_solvency_agrees_with_the_exact_twin(venue_a: Venue) -> None:
    poor, rich = solvent(venue_a, 10**6), solvent(venue_a, 5 * 10**9)
    least = shortfall_micros(poor)
    assert least > 0
    asked = challenge(least, statement=StatementKind.SOLVENCY)
    assert judge(answer(asked, [poor]), asked, [poor]).outcome is Outcome.VALID
    with pytest.raises(FalseStatementError, match=r"short by 0\.0000"):
        answer(challenge(least - 1, statement=StatementKind.SOLVENCY), [poor])
    assert shortfall_micros(rich) == 0
    asked = challenge(0, statement=StatementKind.SOLVENCY)
    verdict = judge(answer(asked, [rich]), asked, [rich])
    assert verdict.outcome is Outcome.VALID
    assert "after haircuts and net loss, is not negative" in verdict.proved[0]


def test_solvency_over_two_venues_with_different_exponents(venue_a: Venue, venue_b: Venue) -> None:
    one = solvent(venue_a, 10**9)
    other = venue_b.attest(book(venue_b.market, BTC_100000_C=490_000, BTC=20_000, USD=-(10**7)))
    exact = []
    for account in (one, other):
        equity = stressed_equity(account.venue.market, MODEL, account.venue.array, account.portfolio)
        exact.append([v * 10 ** (10 - account.venue.array.pnl_exponent) for v in equity.scenarios])
    worst = min(sum(pair) for pair in zip(*exact, strict=True))
    least = max(0, -(worst // 10**4))
    asked = challenge(least, statement=StatementKind.SOLVENCY)
    assert judge(answer(asked, [one, other]), asked, [one, other]).outcome is Outcome.VALID
    if least:
        with pytest.raises(FalseStatementError):
            answer(challenge(least - 1, statement=StatementKind.SOLVENCY), [one, other])


def test_a_haircut_counts_for_holdings_and_not_for_debts(venue_a: Venue) -> None:
    compiled = compile_rows(StatementKind.SOLVENCY, MODEL, [AttestedMarket(venue_a.market, venue_a.array, (0,))])
    ((place, charge),) = compiled.charges
    price, rate = 95_000 * 10**6, MODEL.haircut("BTC")
    assert charge == -(-price * rate // units.RATIO_ONE)
    lots = np.zeros(256, dtype=np.int64)
    for q, expected in ((7, 7 * charge), (0, 0), (-7, 0)):
        lots[place] = q
        assert compiled.auxiliary(lots) == (expected,)


def test_solvency_needs_a_model_that_knows_collateral(venue_a: Venue) -> None:
    bare = replace(MODEL, collateral=None)
    account = solvent(venue_a, 10**9)
    asked = challenge(0, model=bare, statement=StatementKind.SOLVENCY, model_digest=bare.digest)
    with pytest.raises(ModelError, match="collateral"):
        prove_net_risk(asked.to_bytes(), [account.prover_input], HOLDER, model=bare, allow_tight_bound=True)


def test_the_verifiers_own_scenarios(short: Account, hedge: Account) -> None:
    own = replace(MODEL, name="mild", scenarios=MODEL.scenarios[20:24])
    asked = Challenge.new(audience=AUDIENCE, bound_micros=10**13, model=own, now=NOW - 5)
    proof = answer(asked, [short, hedge])
    verdict = judge(proof, asked, [short, hedge])
    assert verdict.outcome is Outcome.VALID
    assert "4 scenarios of model mild" in verdict.proved[0]
    by_digest = replace(asked, model=None)
    with pytest.raises(ProofError, match="no model mild of the challenge's digest"):
        challenge_model(by_digest)
    assert challenge_model(by_digest, own) is own


def test_rows_of_venues_with_different_exponents_are_scaled(venue_a: Venue, venue_b: Venue) -> None:
    a, b = (AttestedMarket(v.market, v.array, live) for v, live in ((venue_a, (0,)), (venue_b, (1,))))
    compiled = compile_rows(StatementKind.LOSS, MODEL, [a, b])
    assert (compiled.exponent, compiled.coefficients.scales) == (10, (10, 1))
    positions = compiled.coefficients.positions
    assert np.array_equal(positions[:7], venue_a.array.rows)
    assert np.array_equal(positions[256 : 256 + 307 - 256], venue_b.array.rows[256:])
    assert not positions[7:256].any()
    assert compiled.rows(3).constants == (3 * 10**4,) * 48


@pytest.mark.parametrize(("exponent", "bits"), [(6, 64), (9, 64), (10, 72), (11, 72), (12, 80), (20, 104), (28, 128)])
def test_slack_bits_follow_the_exponent(venue_a: Venue, exponent: int, bits: int) -> None:
    compiled = compile_rows(StatementKind.LOSS, MODEL, [AttestedMarket(venue_a.market, venue_a.array, (0,))])
    assert replace(compiled, exponent=exponent).bits(None) == bits
    assert 2**bits >= 2**64 * 10 ** max(0, exponent - 9) > 2 ** (bits - 8)
    assert replace(compiled, exponent=exponent).bits(96) == 96


def test_an_exponent_that_no_slack_can_hold(venue_a: Venue) -> None:
    compiled = compile_rows(StatementKind.LOSS, MODEL, [AttestedMarket(venue_a.market, venue_a.array, (0,))])
    with pytest.raises(ProofError, match="slack_bits: amounts with 29 decimals need slacks of 136 bits"):
        replace(compiled, exponent=29).bits(None)


def test_a_gain_that_does_not_fit(short: Account) -> None:
    asked = challenge(10**13, slack_bits=40)
    with pytest.raises(
        ProofError, match=r"the gain does not fit slacks of 40 bits \(expected a challenge with more slack_bits\)"
    ):
        answer(asked, [short])


def test_more_slack_bits(short: Account, hedge: Account) -> None:
    asked = challenge(10**13, slack_bits=128)
    assert judge(answer(asked, [short, hedge]), asked, [short, hedge]).outcome is Outcome.VALID


class TestProverRefuses:
    def test_an_opening_of_another_attestation(self, short: Account, hedge: Account) -> None:
        wrong = ProverInput(short.attestation, hedge.opening, short.venue.market)
        with pytest.raises(ProofError, match=r"attestations\[0\].opening: opening of another attestation"):
            prove_net_risk(challenge(10**13).to_bytes(), [wrong], HOLDER, allow_tight_bound=True)

    def test_an_opening_whose_lots_were_changed(self, short: Account) -> None:
        text = short.opening.replace(b'"lots":"1000"', b'"lots":"1001"')
        assert text != short.opening
        wrong = ProverInput(short.attestation, text, short.venue.market)
        with pytest.raises(ProofError, match="the opening is not that of the attestation") as caught:
            prove_net_risk(challenge(10**13).to_bytes(), [wrong], HOLDER, allow_tight_bound=True)
        assert "1001" not in str(caught.value)

    def test_another_market(self, short: Account, venue_b: Venue) -> None:
        wrong = ProverInput(short.attestation, short.opening, venue_b.market)
        with pytest.raises(ProofError, match=r"attestations\[0\].market: another registry than the attested one"):
            prove_net_risk(challenge(10**13).to_bytes(), [wrong], HOLDER, allow_tight_bound=True)

    def test_another_risk_array(self, short: Account, venue_b: Venue) -> None:
        wrong = ProverInput(short.attestation, short.opening, short.venue.market, venue_b.array)
        with pytest.raises(ProofError, match="not the risk array of the market and the challenge's model"):
            prove_net_risk(challenge(10**13).to_bytes(), [wrong], HOLDER, allow_tight_bound=True)

    def test_another_holder_key(self, short: Account) -> None:
        with pytest.raises(ProofError, match="holder key: not the key that the attestations bind"):
            answer(challenge(10**13), [short], SigningKey.generate("mallory"))

    def test_two_persons(self, short: Account, venue_b: Venue) -> None:
        other = venue_b.attest(book(venue_b.market, BTC_100000_C=490_000), identity="somebody else")
        with pytest.raises(ProofError, match="books of two persons are not netted") as caught:
            answer(challenge(10**13), [short, other])
        assert "somebody" not in str(caught.value)

    def test_no_attestation(self) -> None:
        with pytest.raises(ProofError, match="attestations: 0 attestations"):
            prove_net_risk(challenge(10**13).to_bytes(), [], HOLDER, allow_tight_bound=True)

    def test_a_combination_that_the_challenge_does_not_allow(self, short: Account) -> None:
        with pytest.raises(
            ProofError, match="the attestation of 'venue-a' is for 'lender', the challenge is of 'bank'"
        ):
            answer(replace(challenge(10**13), audience="bank"), [short])

    def test_a_challenge_that_is_none(self, short: Account) -> None:
        with pytest.raises(ProofError, match="challenge"):
            prove_net_risk(b"{}", [short.prover_input], HOLDER)


def test_progress_is_told(short: Account) -> None:
    told: list[tuple[str, float]] = []
    prove_net_risk(
        challenge(10**13).to_bytes(),
        [short.prover_input],
        HOLDER,
        progress=lambda stage, done: told.append((stage, done)),
    )
    assert [stage for stage, _ in told] == [
        "pricing",
        "statement",
        "bit columns",
        "accumulator",
        "quotient",
        "opening",
        "done",
    ]
    assert told[-1][1] == 1.0
    assert [done for _, done in told] == sorted(done for _, done in told)


class TestBatch:
    def cases(self, accounts: list[Account], count: int) -> list[ProofCase]:
        made = []
        for _ in range(count):
            asked = challenge(10**13)
            made.append(
                ProofCase(
                    answer(asked, accounts),
                    asked.to_bytes(),
                    [a.attestation for a in accounts],
                    [a.venue.keys for a in accounts],
                    [a.venue.market_bytes for a in accounts],
                )
            )
        return made

    def test_all_good(self, short: Account, hedge: Account) -> None:
        cases = [*self.cases([short], 2), *self.cases([short, hedge], 2)]
        verdicts = verify_proofs(cases, now=NOW)
        assert [v.outcome for v in verdicts] == [Outcome.VALID] * 4
        assert [len(v.attestations) for v in verdicts] == [1, 1, 2, 2]

    def test_the_bad_one_is_named(self, short: Account) -> None:
        cases = self.cases([short], 4)
        document = ProofDocument.from_bytes(cases[2].proof)
        other = ProofDocument.from_bytes(cases[1].proof)
        cases[2] = replace(cases[2], proof=replace(document, proof=other.proof).to_bytes())
        cases[3] = replace(cases[3], proof=b"no proof")
        verdicts = verify_proofs(cases, now=NOW)
        assert [v.outcome for v in verdicts] == [Outcome.VALID, Outcome.VALID, Outcome.INVALID, Outcome.MALFORMED]
        assert (verdicts[2].failed_check, verdicts[2].check) == (55, "proof holds")

    def test_large_batches_name_points_outside_the_subgroup(
        self, short: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether points are in G1 is asked of all together: the verdicts are those of one by one, and so are their reasons."""
        from riskproof.commit import subgroup
        from riskproof.commit.points import G1Point
        from riskproof.verify import net_risk

        monkeypatch.setattr(net_risk, "LARGE_BATCH", 3)
        monkeypatch.setattr(subgroup, "SMALLEST", 8)
        together, asked = subgroup.all_in_subgroup, list[int]()

        def counted(points: list[G1Point]) -> bool:
            asked.append(len(points))
            return together(points)

        monkeypatch.setattr(net_risk, "all_in_subgroup", counted)
        cases = self.cases([short], 5)
        assert [v.outcome for v in verify_proofs(cases, now=NOW)] == [Outcome.VALID] * 5
        assert asked.pop() >= 5 * 4  # a bit column or more, accumulator, quotient, opening

        outside = bytes([0x80]) + bytes(46) + bytes([4])

        def with_point(case: ProofCase, at: int, *, scalars: bool = False) -> ProofCase:
            document = ProofDocument.from_bytes(case.proof)
            body = document.proof[: 48 * at] + outside + document.proof[48 * (at + 1) :]
            if scalars:  # wrong after the point: what comes first is said
                body = body[:-80] + bytes([255] * 32) + body[-48:]
            return replace(case, proof=replace(document, proof=body).to_bytes())

        cases[1] = with_point(cases[1], 0)
        cases[3] = with_point(cases[3], 1, scalars=True)
        cases[4] = replace(cases[4], proof=b"no proof")
        verdicts = verify_proofs(cases, now=NOW)
        assert [v.outcome for v in verdicts] == [
            Outcome.VALID,
            Outcome.MALFORMED,
            Outcome.VALID,
            Outcome.MALFORMED,
            Outcome.MALFORMED,
        ]
        assert verdicts[1].reason.startswith("proof.bit-column[0]: not in the prime-order subgroup")
        assert verdicts[3].reason.startswith("proof.bit-column[1]: not in the prime-order subgroup")
        assert asked
        for case, verdict in zip(cases, verdicts, strict=True):
            (alone,) = verify_proofs([case], now=NOW)
            assert alone == verdict

        cases[1], cases[3] = cases[0], replace(cases[0], markets=[b"no market"])
        monkeypatch.setattr(net_risk, "prepare", prepare := Mock(wraps=net_risk.prepare))
        verdicts = verify_proofs(cases, now=NOW)
        assert [v.outcome.value for v in verdicts] == ["valid", "valid", "valid", "malformed", "malformed"]
        assert prepare.call_count == 5  # what fails before the points are read is not prepared twice
        cases[1] = with_point(cases[0], 0)
        prepare.reset_mock()
        verdicts = verify_proofs(cases, now=NOW)
        assert [v.outcome.value for v in verdicts] == ["valid", "malformed", "valid", "malformed", "malformed"]
        assert prepare.call_count == 6  # nor is what has good points beside one that has not

    def test_errors_that_would_cancel_in_a_plain_product(self, short: Account) -> None:
        """Two wrong proofs whose pairing products are inverse to each other pass a product without random factors."""
        from riskproof.commit.points import G1Point
        from riskproof.proof.setup import ceremony_setup
        from riskproof.proof.verifier import PairingInputs, PairingTerms, check_pairing, check_pairings

        setup = ceremony_setup(256)
        g, zero = setup.powers[0], G1Point.identity()
        one, minus, nothing = (PairingTerms(((b"g", g, f, 0),), zero, b"w", 3, 5, ()) for f in (1, -1, 0))
        total = PairingInputs(*(a + b for a, b in zip(one.inputs(), minus.inputs(), strict=True)))
        assert check_pairing(setup, total)
        assert not check_pairing(setup, one.inputs())
        assert not check_pairings(setup, [one, minus])
        assert check_pairings(setup, [nothing, nothing])

    def test_counts_that_do_not_pair(self, short: Account) -> None:
        asked = challenge(10**13)
        with pytest.raises(InputError, match="1 attestations, 1 key sets and 0 markets"):
            verify_proof(b"", asked.to_bytes(), [short.attestation], [short.venue.keys], [], now=NOW)

    def test_a_cache_keeps_markets_apart(self, short: Account, hedge: Account) -> None:
        cache, asked = MarketCache(), challenge(10**13)
        for accounts in ([short], [short, hedge], [hedge], [short]):
            assert judge(answer(asked, accounts), asked, accounts, cache=cache).outcome is Outcome.VALID


class TestRows:
    def test_norms_are_exact_at_the_edges(self) -> None:
        rows = self.rows([[-(2**63), 2**63 - 1], [-(2**63), 1], [2**63 - 1, 0]], [], (), 7)
        assert rows.coefficients.norms == (7 * (3 * 2**63 - 1), 7 * 2**63)

    def rows(
        self, positions: list[list[int]], auxiliary: list[list[int]], pins: tuple[int, ...], scale: int = 1
    ) -> Rows:
        """One column of each kind with these coefficients, place by place."""
        count = len(positions[0])
        a, d = np.zeros((256, count), dtype=np.int64), np.zeros((256, count), dtype=np.int64)
        a[: len(positions)] = positions
        if auxiliary:
            d[: len(auxiliary)] = auxiliary
        names = tuple(f"row {r}" for r in range(count))
        return Rows(Coefficients(256, a, (scale,), d), (0,) * count, 9, pins, names)

    def test_pinned_by_one(self) -> None:
        self.rows([[1, 0]], [[-1, 1]], (1,)).check(64)
        self.rows([[1, 0]], [[-1, -1]], (1,)).check(64)

    @pytest.mark.parametrize("pin", [0, 2, -2, 3])
    def test_pinned_by_something_else(self, pin: int) -> None:
        with pytest.raises(ProofError, match="row 1: auxiliary value 0 is not pinned"):
            self.rows([[1, 0]], [[-1, pin]], (1,)).check(64)

    def test_a_pin_that_depends_on_a_later_one(self) -> None:
        with pytest.raises(ProofError, match="row 0: auxiliary value 0 is not pinned"):
            self.rows([[0, 0]], [[1, 0], [1, 1]], (0, 1)).check(64)

    def test_no_pin(self) -> None:
        with pytest.raises(ProofError, match="an auxiliary value has a coefficient and no pin"):
            self.rows([[1, 0]], [[-1, 1], [1, 0]], (1,)).check(64)

    def test_a_row_that_could_wrap(self) -> None:
        big = 10**40  # 2^63 * 2^62 * 10^40 is above 2^255
        with pytest.raises(ProofError, match="row 0: a row could wrap around the group order"):
            self.rows([[2**62]], [], (), big).check(64)
        self.rows([[1]], [], (), big).check(64)  # small coefficients of the same scale are fine

    def test_auxiliaries_that_grow_until_a_row_could_wrap(self) -> None:
        """x_i <= 2^62 x_{i-1}: each is pinned, and the fourth is beyond the group order."""
        count = 5
        chain = [[0] * count for _ in range(count)]
        for i in range(count):
            chain[i][i] = 1
            if i:
                chain[i - 1][i] = -(2**62)
        with pytest.raises(ProofError, match="could wrap"):
            self.rows([[0] * count], chain, tuple(range(count))).check(64)
        self.rows([[0] * 3], [row[:3] for row in chain[:3]], (0, 1, 2)).check(64)

    @pytest.mark.parametrize("bits", [0, 7, 129, 256])
    def test_slack_widths(self, bits: int) -> None:
        with pytest.raises(ProofError, match=f"slacks of {bits} bits"):
            self.rows([[1]], [], ()).check(bits)


def test_markets_that_do_not_go_together(venue_a: Venue) -> None:
    market = make_market(column_size=512)
    with pytest.raises(ProofError, match=r"attestations\[1\]: column size 512 \(expected 256, as in the first one\)"):
        compile_rows(
            StatementKind.LOSS,
            MODEL,
            [AttestedMarket(venue_a.market, venue_a.array, (0,)), AttestedMarket(market, venue_a.array, (0,))],
        )


class TestMarketCache:
    def test_the_oldest_goes_first(self) -> None:
        cache = MarketCache(entries=2)
        data = [make_market(spot=spot).to_bytes() for spot in (90_000, 91_000, 92_000)]
        first = cache.market(data[0])
        assert cache.market(data[0]) is first
        cache.market(data[1])
        cache.market(data[2])
        assert cache.market(data[0]) is not first

    def test_the_heavy_do_not_pile_up(self) -> None:
        cache = MarketCache(limit=1)
        data = [make_market(spot=spot).to_bytes() for spot in (90_000, 91_000)]
        first = cache.market(data[0])
        assert cache.market(data[0]) is first  # the last one always stays
        cache.market(data[1])
        assert cache.market(data[0]) is not first

    def test_whoever_serves_others_prices_so_much_and_no_more(self, short: Account) -> None:
        """Market and model are the caller's: pricing them must not keep a server busy."""
        small = MarketCache(cells=48 * 256 - 1)
        with pytest.raises(ProofError, match=f"48 rows over 1 columns of 256 .* and {48 * 256 - 1} coefficients"):
            small.array(short.venue.market, MODEL)
        asked = challenge(10**13)
        verdict = judge(answer(asked, [short]), asked, [short], cache=small)
        assert (verdict.failed_check, verdict.outcome) == (54, Outcome.INVALID)
        assert "rows cannot be computed" in verdict.reason

    def test_the_work_that_rows_of_a_margin_may_take(self, short: Account) -> None:
        market, model, stated = short.venue.market, load("derive-pm2"), [statement_of(short)]
        asked = margin_challenge("derive-pm2")
        with pytest.raises(
            ProofError, match=r"challenge\.model: the rows of derive-pm2 over 7 instruments take about 1 s"
        ):
            MarketCache(work=1_000).compiled(asked, model, stated, [market])
        cache = MarketCache(work=10_000_000)
        rows = cache.compiled(asked, model, stated, [market])
        assert cache.compiled(replace(asked, bound_micros=5), model, stated, [market]) is rows
        for other in (replace(asked, margin=Margin.MAINTENANCE), replace(asked, statement=StatementKind.EXCESS)):
            assert cache.compiled(other, model, stated, [market]) is not rows

    @pytest.mark.parametrize(("limit", "kept"), [(1 << 28, True), (1 << 18, False)])
    def test_rows_count_for_the_memory_they_take(self, short: Account, limit: int, kept: bool) -> None:
        cache, market, stated = MarketCache(limit=limit), short.venue.market, [statement_of(short)]
        first, _, again = (
            cache.compiled(margin_challenge(name), load(name), stated, [market])
            for name in ("derive-pm2", "derive-pm1", "derive-pm2")
        )
        assert 1 << 18 < first.coefficients.nbytes < first.nbytes < 1 << 21
        assert (again is first) is kept


def test_a_challenge_read_without_the_model_that_it_carries() -> None:
    asked = margin_challenge("derive-pm2")
    read = Challenge.from_bytes(asked.to_bytes(), read_model=False)
    assert (read.model, read.digest) == (None, asked.digest)
    assert replace(read, model=asked.model) == asked
    broken = asked.to_bytes().replace(b'"schema":"riskproof/model/v2"', b'"schema":"riskproof/model/v3"')
    assert Challenge.from_bytes(broken, read_model=False).model_digest == asked.model_digest
    with pytest.raises(ProofError):
        Challenge.from_bytes(broken)


def test_too_many_coefficients() -> None:
    with pytest.raises(ProofError, match="model: 4097 rows over 1 columns of 256"):
        check_size(4_097, 1, 256)
    with pytest.raises(ProofError, match=f"at most 4096 rows and {2**25} coefficients"):
        check_size(4_096, 64, 256)
    check_size(4_096, 32, 256)


class TestOneVenueWithTwoKeys:
    """A venue without a ledger derives tags from its keys: after a change of key, one account has two tags."""

    def attested(self, venue: Venue, seed: int) -> Account:
        other = Venue(venue.name, venue.market)
        other.__dict__["key"] = SigningKey.from_seed(bytes([seed]) * 32, venue.name)
        return other.attest(book(venue.market, BTC=1000))

    def test_one_account_is_not_netted_with_itself(self, venue_a: Venue) -> None:
        one, two = self.attested(venue_a, 1), self.attested(venue_a, 2)
        with pytest.raises(ProofError, match="attestations of 'venue-a' are signed by different keys"):
            answer(challenge(10**13), [one, two])

    def test_two_accounts_under_one_key_are(self, venue_a: Venue) -> None:
        one = self.attested(venue_a, 1)
        two = replace(one, built=one.venue.attest(one.portfolio, account="bob").built)
        asked = challenge(10**13)
        assert judge(answer(asked, [one, two]), asked, [one, two]).outcome is Outcome.VALID


class TestAge:
    def test_an_attestation_from_long_before_the_challenge(self, short: Account) -> None:
        age = NOW - 5 - ISSUED
        asked = challenge(10**13, max_age_seconds=age)
        assert judge(answer(asked, [short]), asked, [short]).outcome is Outcome.VALID
        with pytest.raises(ProofError, match=f"attested {age} s before the challenge, which allows {age - 1} s"):
            answer(challenge(10**13, max_age_seconds=age - 1), [short])

    @pytest.mark.parametrize("age", [-1, 366 * 86_400 + 1])
    def test_an_age_out_of_range(self, age: int) -> None:
        with pytest.raises(ProofError, match=f"max_age_seconds: out of range .expected 0 to {366 * 86_400} seconds"):
            challenge(10**13, max_age_seconds=age)

    def test_a_challenge_ends_when_it_says(self, short: Account) -> None:
        """The verifier's own clock set the end; a tolerance would reach beyond the exclusive windows."""
        asked = challenge(10**13, expires_at=NOW + 10)
        proof = answer(asked, [short])
        assert judge(proof, asked, [short], now=NOW + 9).outcome is Outcome.VALID
        verdict = judge(proof, asked, [short], now=NOW + 10)
        assert (verdict.failed_check, verdict.outcome) == (41, Outcome.INVALID)
