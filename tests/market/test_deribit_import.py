from __future__ import annotations

import dataclasses
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_inputs import (
    CHAIN_NAME,
    INSTANT,
    chain,
    future_fields,
    futures,
    good_chain,
    good_entries,
    good_rows,
    option_fields,
    perpetual_entry,
    summary,
    summary_entry,
)

from riskproof import units
from riskproof.errors import ImportFormatError, InputError, MarketError, RegistryError, SnapshotError
from riskproof.market.importers.deribit import import_files
from riskproof.market.importers.forwards import median, parity_forward, to_price
from riskproof.market.marketfile import Market
from riskproof.market.registry import Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot

EXPIRY = 1_774_598_400
CASH = ("USD", units.PRICE_ONE)
FUTURES = (
    "futures.csv",
    futures(
        future_fields("BTC-PERPETUAL", "perpetual"),
        future_fields(),
        future_fields("SYN.BTC-17JAN26", "synthetic", expiry="2026-01-17T08:00:00Z"),
        future_fields("BTC-PERPETUAL", "perpetual", snapshot="20260204T213308Z", index_price="73000"),
    ),
)


def imported(*rows: dict[str, str], **options: object) -> Market:
    return import_files([(CHAIN_NAME, chain(*rows))], **options)  # type: ignore[arg-type]


def test_a_chain_and_its_futures() -> None:
    market = import_files([(CHAIN_NAME, good_chain()), FUTURES])
    assert [i.name for i in market.registry.instruments] == [
        "BTC",
        "USD",
        "BTC-PERPETUAL",
        "BTC-27MAR26",
        "BTC-27MAR26-80000-C",
        "BTC-27MAR26-80000-P",
        "BTC-27MAR26-100000-C",
        "BTC-27MAR26-100000-P",
        "BTC-27MAR26-125000-C",
        "BTC-27MAR26-125000-P",
    ]
    snapshot = market.snapshot
    assert (market.registry.numeraire, market.registry.column_size) == ("USD", 256)
    assert (snapshot.time, snapshot.source) == (INSTANT, "deribit")
    assert snapshot.indices == (("BTC", 99_000_000_000_000), CASH)
    assert snapshot.curves == (Curve("BTC", EXPIRY, 100_000_000_000_000, 0),)
    assert snapshot.quotes[:5] == (
        Quote(99_000_000_000_000),
        Quote(units.PRICE_ONE),
        Quote(99_100_500_000_000),
        Quote(100_000_000_000_000),
        Quote(210_000_000, 455_000_000_000),
    )


def test_json_and_csv_say_the_same() -> None:
    from_csv = import_files([(CHAIN_NAME, good_chain())])
    from_json = import_files([("s.json", summary(*good_entries()))])
    assert from_json.to_bytes() == from_csv.to_bytes()


def test_the_order_of_rows_and_files_does_not_matter() -> None:
    rows = good_rows()
    random.Random(5).shuffle(rows)
    one = import_files([(CHAIN_NAME, good_chain()), FUTURES])
    assert import_files([FUTURES, (CHAIN_NAME, chain(*rows))]).to_bytes() == one.to_bytes()


def test_importing_twice_changes_nothing() -> None:
    one = import_files([(CHAIN_NAME, good_chain()), FUTURES])
    two = import_files([(CHAIN_NAME, good_chain()), FUTURES], previous=one)
    assert two.registry.digest == one.registry.digest
    assert two.to_bytes() == one.to_bytes()


def test_a_later_chain_extends_the_registry() -> None:
    one = imported(*good_rows())
    later = [option_fields("BTC-6MAR26-90000-C", expiry="2026-03-06T08:00:00Z"), *good_rows()[2:]]
    two = import_files([("c_20260115T092233Z.csv", chain(*later))], previous=one)
    two.registry.check_extends(one.registry)
    assert [i.name for i in two.registry.instruments[len(one.registry) :]] == ["BTC-6MAR26-90000-C"]
    assert two.snapshot.quotes[two.registry.index_of("BTC-27MAR26-80000-C")] is None
    assert two.snapshot.quotes[two.registry.index_of("BTC-6MAR26-90000-C")] is not None


def test_expired_instruments_stay_and_are_not_priced() -> None:
    one = imported(option_fields("BTC-15JAN26-100000-C", expiry="2026-01-15T08:00:00Z"))
    two = import_files([("c_20260116T092233Z.csv", good_chain())], previous=one)
    assert two.registry.instruments[2].name == "BTC-15JAN26-100000-C"
    assert two.snapshot.quotes[2] is None
    assert two.snapshot.is_expired(two.registry.instruments[2])


def test_a_previous_registry_with_another_numeraire() -> None:
    registry = Registry("EUR", imported(option_fields()).registry.instruments)
    previous = Market(registry, Snapshot.build(registry, INSTANT, "test", {}, [], {}))
    with pytest.raises(RegistryError, match="previous registry has another numeraire"):
        imported(option_fields(), previous=previous)


def test_a_previous_registry_with_other_terms() -> None:
    call = imported(option_fields()).registry.instruments[2]
    registry = Registry("USD", (dataclasses.replace(call, unit=call.unit // 10),))
    previous = Market(registry, Snapshot.build(registry, INSTANT, "test", {}, [], {}))
    with pytest.raises(RegistryError, match="BTC-27MAR26-100000-C is listed with other terms"):
        imported(option_fields(), previous=previous)


def test_forward_by_parity_is_the_exact_median() -> None:
    rows = [
        option_fields("BTC-27MAR26-90000-C", mark_price="0.13"),
        option_fields("BTC-27MAR26-90000-P", mark_price="0.03"),
        option_fields("BTC-27MAR26-100000-C", mark_price="0.070000001"),
        option_fields("BTC-27MAR26-100000-P", mark_price="0.07"),
    ]
    one, two = Fraction(90_000, 1) / Fraction(9, 10), Fraction(100_000) / (1 - Fraction(1, 10**9))
    expected = round((one + two) / 2 * 10**9)
    for row in rows:
        row.update(bid="", ask="")
    assert imported(*rows).snapshot.curves[0].forward == expected


def test_forward_rules_and_fallbacks() -> None:
    rows = good_rows()
    assert imported(*rows).snapshot.curves[0].forward == 100_000 * 10**9
    assert imported(*rows, forward="quoted").snapshot.curves[0].forward == 100_010_500_000_000
    call = rows[0]
    assert imported(call | {"fwd_mark": "100000.01"}).snapshot.curves[0].forward == 100_000_010_000_000
    assert imported(call | {"fwd_mark": ""}).snapshot.curves[0].forward == 100_010_500_000_000
    assert imported(call | {"underlying_price": ""}, forward="quoted").snapshot.curves[0].forward == 100_000 * 10**9
    with pytest.raises(SnapshotError, match=f"{CHAIN_NAME}:2: no forward for the expiry of BTC-27MAR26-80000-C"):
        imported(call | {"fwd_mark": "", "underlying_price": ""})
    with pytest.raises(MarketError, match="no rule 'spot' for forwards"):
        imported(call, forward="spot")


def test_a_missing_mark_takes_its_strike_out_of_the_median() -> None:
    rows = good_rows()
    rows[0]["mark_price"] = ""
    market = imported(*rows)
    assert market.snapshot.curves[0].forward == 100_000 * 10**9
    assert market.snapshot.quotes[2] == Quote(None, 455_000_000_000)


def test_marks_without_a_forward_are_refused() -> None:
    rows = good_rows()
    rows[0]["mark_price"] = "1.02"
    with pytest.raises(
        SnapshotError, match=f"{CHAIN_NAME}:2: marks of BTC-27MAR26-80000-C and its put allow no forward"
    ):
        imported(*rows)
    rows = [
        option_fields("BTC-27MAR26-100000-C", mark_price="0.999", bid="", ask=""),
        option_fields("BTC-27MAR26-100000-P", mark_price="0", bid="", ask=""),
    ]
    with pytest.raises(SnapshotError, match="forward 100000000 is out of the kernel's domain"):
        imported(*rows)


def test_a_mark_of_zero_and_a_missing_volatility() -> None:
    market = imported(
        option_fields("BTC-27MAR26-900000-C", mark_price="0", bid="", ask=""),
        option_fields("BTC-27MAR26-950000-C", mark_iv=""),
    )
    assert market.snapshot.quotes[2] == Quote(0, 455_000_000_000)
    assert market.registry.instruments[3].name == "BTC-27MAR26-950000-C"
    assert market.snapshot.quotes[3] is None


def test_linear_contracts_have_their_own_index_and_forward() -> None:
    strike_rows = [
        summary_entry("XRP_USDC-27MAR26-2d5-C", mark_price=0.30, estimated_delivery_price=2.7, underlying_price=2.71),
        summary_entry("XRP_USDC-27MAR26-2d5-P", mark_price=0.10, estimated_delivery_price=2.7, underlying_price=2.71),
    ]
    for entry in strike_rows:
        entry.update(bid_price=None, ask_price=None)
    perpetual = perpetual_entry(
        "XRP_USDC-PERPETUAL", mark_price=2.69, bid_price=2.68, ask_price=2.7, estimated_delivery_price=2.695
    )
    market = import_files([("usdc.json", summary(*strike_rows, perpetual))])
    assert [i.name for i in market.registry.instruments[:2]] == ["USD", "XRP_USDC-PERPETUAL"]
    assert market.snapshot.indices == (CASH, ("XRP_USDC", 2_695_000_000))
    assert market.snapshot.curves[0].forward == 2_700_000_000
    assert {i.payoff for i in market.registry.instruments} == {Payoff.LINEAR}


def test_index_price_of_the_futures_file_then_the_perpetual_then_the_first_row() -> None:
    chain_file = (CHAIN_NAME, chain(option_fields(), option_fields("BTC-27MAR26-100000-P", index_price="99999")))
    assert import_files([chain_file]).snapshot.indices == (("BTC", 99_000_250_000_000), CASH)
    perpetual = ("s.json", summary(perpetual_entry()))
    assert import_files([chain_file, perpetual]).snapshot.indices == (("BTC", 99_001_500_000_000), CASH)
    future = ("f.csv", futures(future_fields(index_price="99002")))
    assert import_files([chain_file, perpetual, future]).snapshot.indices == (("BTC", 99_002_000_000_000), CASH)


def test_a_price_of_the_numeraire_and_contracts_on_it_are_refused() -> None:
    stated = futures(future_fields("SYN.USD-17JAN26", "synthetic", ccy="USD", expiry="", index_price="1.0001"))
    with pytest.raises(ImportFormatError, match=r"f\.csv:2: an index price of USD, which prices are in"):
        import_files([(CHAIN_NAME, good_chain()), ("f.csv", stated)])
    for name in ("USD-27MAR26-100000-C", "USD_USDC-27MAR26-1-C"):
        with pytest.raises(ImportFormatError, match=f"{CHAIN_NAME}:2: {name} is on USD, which prices are in"):
            imported(option_fields(name, ccy="USD"))


def test_no_index_price() -> None:
    with pytest.raises(SnapshotError, match="no index price of the underlying"):
        imported(option_fields(index_price=""))


def test_instants() -> None:
    unnamed = ("chain.csv", good_chain())
    with pytest.raises(ImportFormatError, match=r"chain\.csv: no file tells the instant of the snapshot"):
        import_files([unnamed])
    assert import_files([unnamed], time=INSTANT).snapshot.time == INSTANT
    assert import_files([unnamed, ("s.json", summary(perpetual_entry()))]).snapshot.time == INSTANT
    only = ("f.csv", futures(future_fields()))
    assert import_files([only]).snapshot.time == INSTANT
    with pytest.raises(ImportFormatError, match=r"futures\.csv: no file tells the instant"):
        import_files([FUTURES])
    assert import_files([FUTURES], time=1_770_240_788).snapshot.indices == (("BTC", 73_000 * 10**9), CASH)


def test_files_of_different_instants_are_refused() -> None:
    other = ("eth_20260114T092334Z.csv", chain(option_fields("ETH-27MAR26-4000-C", ccy="ETH", index_price="3000")))
    with pytest.raises(ImportFormatError, match=f"{CHAIN_NAME}: the file's instant is 2026-01-14T09:22:33Z"):
        import_files([(CHAIN_NAME, good_chain()), other])
    near = ("eth_20260114T092333Z.csv", other[1])
    assert import_files([(CHAIN_NAME, good_chain()), near]).snapshot.time == INSTANT + 60
    with pytest.raises(ImportFormatError, match=r"the file's instant is .* \(expected within 60 s of"):
        import_files([(CHAIN_NAME, good_chain())], time=INSTANT + 61)
    late = ("f.csv", futures(future_fields(snapshot="20260114T092434Z")))
    with pytest.raises(ImportFormatError, match=r"f\.csv: no rows of the snapshot's instant"):
        import_files([(CHAIN_NAME, good_chain()), late])


def test_futures_of_two_near_instants_are_ambiguous() -> None:
    data = futures(future_fields(), future_fields(snapshot="20260114T092300Z"))
    with pytest.raises(ImportFormatError, match=r"f\.csv: rows of several instants are near"):
        import_files([(CHAIN_NAME, good_chain()), ("f.csv", data)])


BAD_ROWS: list[tuple[list[dict[str, str]], type[InputError], str]] = [
    (
        [option_fields(), option_fields("BTC-27MAR26-90000-C"), option_fields()],
        ImportFormatError,
        rf"{CHAIN_NAME}:4: BTC-27MAR26-100000-C is listed twice, first in {CHAIN_NAME}:2",
    ),
    (
        [option_fields("BTC-14JAN26-90000-C", expiry="2026-01-14T08:00:00Z")],
        SnapshotError,
        f"{CHAIN_NAME}:2: BTC-14JAN26-90000-C has expired at 2026-01-14T08:00:00Z",
    ),
    ([option_fields("BTC-27MAR26-10000001-C")], RegistryError, "strike is out of the kernel's domain"),
    ([option_fields("BTC-27MAR36-100000-C", expiry="2036-03-27T08:00:00Z")], SnapshotError, "not within ten years"),
]


@pytest.mark.parametrize(("rows", "error", "message"), BAD_ROWS, ids=[b[2][-40:] for b in BAD_ROWS])
def test_bad_rows(rows: list[dict[str, str]], error: type[InputError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        imported(*rows)
    assert type(caught.value) is error


def test_an_option_that_expires_at_the_instant_has_expired() -> None:
    row = option_fields("BTC-15JAN26-100000-C", expiry="2026-01-15T08:00:00Z")
    assert import_files([("c_20260115T075959Z.csv", chain(row))]).snapshot.time == 1_768_463_999
    with pytest.raises(SnapshotError, match="has expired at"):
        import_files([("c_20260115T080000Z.csv", chain(row))])


def test_the_same_contract_in_two_files_is_refused() -> None:
    with pytest.raises(ImportFormatError, match=r"BTC-27MAR26-80000-C is listed twice, first in .*:2"):
        import_files([(CHAIN_NAME, good_chain()), ("s.json", summary(*good_entries()))])


def test_unknown_formats() -> None:
    for data in (b"", b"a,b,c\n1,2,3\n", b"\x89PNG\r\n", b"<html>"):
        with pytest.raises(ImportFormatError, match=r"x\.dat: not a file of a known format"):
            import_files([("x.dat", data)], time=INSTANT)
    with pytest.raises(ImportFormatError, match="files: no instrument"):
        import_files([], time=INSTANT)
    with pytest.raises(ImportFormatError, match="files: no instrument"):
        import_files([(CHAIN_NAME, chain())])


@given(
    payoff=st.sampled_from(Payoff),
    forward=st.integers(10**6, 10**15),
    strike=st.integers(10**6, 10**15),
    put=st.integers(0, 10**9),
)
def test_parity_forward_inverts_parity(payoff: Payoff, forward: int, strike: int, put: int) -> None:
    if payoff is Payoff.LINEAR:
        assert parity_forward(payoff, strike, put + forward - strike, put) == forward
    else:
        # C - P = 1 - K/F rounded to 1e-9 moves the forward by at most half a unit times F^2/K.
        call = put + 10**9 - units.round_half_even(strike * 10**9, forward)
        found = parity_forward(payoff, strike, call, put)
        if found is not None:
            ratio = Fraction(strike, forward)
            assert abs(Fraction(strike) / found - ratio) <= Fraction(1, 2 * 10**9)


@given(st.lists(st.fractions(min_value=1, max_value=10**9), min_size=1))
def test_median(values: list[Fraction]) -> None:
    middle = median(values)
    assert sum(v <= middle for v in values) * 2 >= len(values)
    assert sum(v >= middle for v in values) * 2 >= len(values)
    assert abs(to_price(middle) - middle) <= Fraction(1, 2)


def mutated(data: bytes, random_: random.Random) -> bytes:
    """A copy with a few bytes changed, removed or doubled."""
    out = bytearray(data)
    for _ in range(random_.randint(1, 3)):
        at = random_.randrange(len(out))
        choice = random_.randrange(4)
        if choice == 0:
            out[at] = random_.randrange(256)
        elif choice == 1:
            del out[at : at + random_.randint(1, 20)]
        elif choice == 2:
            out[at:at] = out[at : at + random_.randint(1, 20)]
        else:
            out[at] = random_.choice(b'0123456789.,-eENn\n"{}[]')
        if not out:
            return b""
    return bytes(out)


@pytest.mark.parametrize("rounds", [2_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_mutated_files_are_imported_or_refused_with_a_typed_error(rounds: int) -> None:
    random_ = random.Random(11)
    files = [
        (CHAIN_NAME, good_chain()),
        ("f.csv", FUTURES[1]),
        ("s.json", summary(*good_entries(), perpetual_entry())),
    ]
    refused = 0
    for _ in range(rounds):
        name, data = random_.choice(files)
        try:
            market = import_files([(name, mutated(data, random_))], time=INSTANT)
        except InputError:
            refused += 1
        else:
            assert Market.from_bytes(market.to_bytes()).to_bytes() == market.to_bytes()
    assert 0 < refused < rounds
