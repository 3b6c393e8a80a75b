"""Registries and snapshots for the tests of their documents."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from riskproof.market.registry import Instrument, Kind, OptionType, Payoff, Registry
from riskproof.market.snapshot import Curve, Quote, Snapshot

TIME = 1_767_603_600
EXPIRY = TIME + 86_400
ONE = 10**9

SPOT = Instrument("BTC", Kind.SPOT, "BTC", Payoff.LINEAR, ONE)
PERPETUAL = Instrument("BTC-PERPETUAL", Kind.PERPETUAL, "BTC", Payoff.INVERSE, 10 * ONE)
FUTURE = Instrument("BTC-6JAN26", Kind.FUTURE, "BTC", Payoff.INVERSE, 10 * ONE, EXPIRY)
CALL = Instrument("BTC-6JAN26-90000-C", Kind.OPTION, "BTC", Payoff.INVERSE, ONE, EXPIRY, 90_000 * ONE, OptionType.CALL)
PUT = Instrument("BTC-6JAN26-90000-P", Kind.OPTION, "BTC", Payoff.INVERSE, ONE, EXPIRY, 90_000 * ONE, OptionType.PUT)
LISTED = (SPOT, PERPETUAL, FUTURE, CALL, PUT)


def registry(*instruments: Instrument, **constants: Any) -> Registry:
    return Registry("USD", instruments or LISTED, **constants)


QUOTES = {
    "BTC": Quote(90_000 * ONE),
    "BTC-PERPETUAL": Quote(90_010 * ONE),
    "BTC-6JAN26": Quote(90_020 * ONE),
    "BTC-6JAN26-90000-C": Quote(12_000_000, 5 * 10**11),
    "BTC-6JAN26-90000-P": Quote(None, 5 * 10**11),
}


def snapshot(
    registry_: Registry | None = None,
    *,
    time: int = TIME,
    indices: dict[str, int] | None = None,
    curves: list[Curve] | None = None,
    quotes: dict[str, Quote] | None = None,
) -> Snapshot:
    return Snapshot.build(
        registry_ or registry(),
        time,
        "test",
        {"BTC": 90_000 * ONE} if indices is None else indices,
        [Curve("BTC", EXPIRY, 90_020 * ONE)] if curves is None else curves,
        QUOTES if quotes is None else quotes,
    )


names = st.text("ABCXYZabcxyz0189-._/+", min_size=1, max_size=16)


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    kind = draw(st.sampled_from(Kind))
    payoff = Payoff.LINEAR if kind is Kind.SPOT else draw(st.sampled_from(Payoff))
    dated, option = kind in (Kind.FUTURE, Kind.OPTION), kind is Kind.OPTION
    return Instrument(
        draw(names),
        kind,
        draw(names),
        payoff,
        draw(st.integers(1, 2**63 - 1)),
        draw(st.integers(1, 253_402_300_799)) if dated else None,
        draw(st.integers(10**5, 10**16)) if option else None,
        draw(st.sampled_from(OptionType)) if option else None,
        draw(st.sampled_from([None, "USDC", "USDT"])) if kind is not Kind.SPOT and payoff is Payoff.LINEAR else None,
    )


registries = st.builds(
    Registry,
    st.sampled_from(["USD", "EUR"]),
    st.lists(instruments(), max_size=8, unique_by=lambda i: i.name).map(tuple),
    st.integers(0, 15),
    st.integers(0, 12),
    st.sampled_from([256, 512, 1024, 2048]),
)
