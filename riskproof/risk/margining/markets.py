"""From a market file and a book to the engine's inputs, and models of either version behind one call.

    margin(model, market, portfolio) -> MarginReport        model: a shipped name's `load`, or `read` of a file; version 1 or 2

A model of version 1 is evaluated as ever, by the risk array (`riskproof.risk.portfolio_risk`); its report has one netting set, the
charge `buffer`, and the same margins to the micro.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from riskproof import encoding
from riskproof.errors import ModelError, PortfolioError
from riskproof.market.marketfile import Market
from riskproof.market.portfolio import Portfolio
from riskproof.market.registry import Instrument, Kind
from riskproof.market.snapshot import Quote
from riskproof.risk import model as version1
from riskproof.risk.margining import document
from riskproof.risk.margining.account import Account
from riskproof.risk.margining.charges.context import INITIAL, MAINTENANCE
from riskproof.risk.margining.document import MarginModel, Rounding
from riskproof.risk.margining.evaluate import evaluate_model
from riskproof.risk.margining.market import Forward, Index, Listing, MarginMarket
from riskproof.risk.margining.report import Choice, MarginReport, SetReport
from riskproof.risk.margining.values import UnitValues
from riskproof.risk.model import RiskModel
from riskproof.units import MICROS_EXPONENT, PRICE_ONE, RATIO_ONE

if TYPE_CHECKING:
    from riskproof.risk.arrays import RiskArray
    from riskproof.risk.tail.history import History

AnyModel = RiskModel | MarginModel


def names() -> list[str]:
    """Names of all models that ship, of either version, sorted."""
    return sorted({*version1.shipped_models(), *document.shipped_models()})


def load(name: str) -> AnyModel:
    """A shipped model by name; ModelError if there is none."""
    if name not in names():
        raise ModelError(f"no model {name[:64]!r} ships", where="model", expected=", ".join(names()))
    return document.load_model(name) if name in document.shipped_models() else version1.load_model(name)


def read(data: bytes, where: str = "model") -> AnyModel:
    """A model file of either version (EncodingError, ModelError). Version 1 must be canonical JSON."""
    node = encoding.parse_json(data, where, limit=document.MAX_MODEL_BYTES)
    schema = (
        node.get("schema") if isinstance(node, dict) else document.SCHEMA
    )  # what is no object, says the other reader
    if schema == version1.SCHEMA:
        return RiskModel.from_bytes(data, where)
    if schema != document.SCHEMA:
        raise ModelError(
            "not a risk model of a known version",
            where=f"{where}.schema",
            expected=f"{version1.SCHEMA} or {document.SCHEMA}",
        )
    return MarginModel.from_document(node, where)


def margin(
    model: AnyModel,
    market: Market,
    portfolio: Portfolio,
    receivables: Mapping[int, Fraction] | None = None,
    underlying: str | None = None,
    histories: Sequence[History] = (),
) -> MarginReport:
    """Margin of a book on a market under a model.

    Args:
        receivables: unsettled P&L and funding by registry index, in the numeraire; models of version 1 know none.
        underlying: the account's market, where its positions do not tell (collateral only).
        histories: what the joint moves of a tail block come from; like the market, an input that a model may not need.

    Raises:
        PortfolioError: a holding that the snapshot does not price, or more of something than the model allows.
        SnapshotError: a feed that the model needs is missing.
        HistoryError: a history that the model needs is not among those given.
        OverflowMoneyError: version 1: an amount does not fit 64 bits.
    """
    if isinstance(model, RiskModel):
        if receivables:
            raise PortfolioError("a model of version 1 has no receivables", where="receivables", expected="none")
        from riskproof.risk.arrays import compute_array  # compiled code, which a model of version 2 may do without

        return report_version1(model, market, compute_array(market, model), portfolio)
    exact = from_market(market, histories)
    return evaluate_model(
        model, exact, from_portfolio(market, portfolio, receivables, underlying), UnitValues(model, exact)
    )


def from_market(market: Market, histories: Sequence[History] = ()) -> MarginMarket:
    """A market file as the engine reads it; what is not quoted has no mark and no volatility."""
    registry, snapshot = market.registry, market.snapshot
    feeds = snapshot.feeds
    sure = dict(feeds.indices) if feeds else {}
    curve_feeds = {(c.underlying, c.expiry): c for c in feeds.curves} if feeds else {}
    quote_feeds = dict(feeds.quotes) if feeds else {}
    forwards = {}
    for c in snapshot.curves:
        feed = curve_feeds.get((c.underlying, c.expiry))
        forwards[c.underlying, c.expiry] = Forward(
            c.expiry - snapshot.time,
            Fraction(c.forward, PRICE_ONE),
            Fraction((feed.settled or 0) if feed else 0, PRICE_ONE),
            Fraction(c.rate, RATIO_ONE),
            _share(feed.confidence if feed else None),
            _share(feed.rate_confidence if feed else None),
        )
    price = feeds.settlement_price if feeds else None
    return MarginMarket(
        registry.numeraire,
        {u: Index(Fraction(p, PRICE_ONE), _share(sure.get(u))) for u, p in snapshot.indices},
        forwards,
        tuple(
            _listing(instrument, quote, _share(quote_feeds.get(i)))
            for i, (instrument, quote) in enumerate(zip(registry.instruments, snapshot.quotes, strict=True))
        ),
        Fraction(PRICE_ONE if price is None else price, PRICE_ONE),
        registry.money_exponent,
        tuple(histories),
    )


def from_portfolio(
    market: Market,
    portfolio: Portfolio,
    receivables: Mapping[int, Fraction] | None = None,
    underlying: str | None = None,
) -> Account:
    """A book as the engine reads it; what has expired is worth nothing and left out.

    Raises:
        UnknownInstrumentError: an index that the registry does not have.
        PortfolioError: the snapshot does not price a holding that has not expired.
    """
    registry, snapshot = market.registry, market.snapshot
    portfolio.check(registry)
    positions = []
    for index, lots in portfolio.positions:
        instrument = registry.instrument(index, "positions")
        if snapshot.is_expired(instrument):
            continue
        if snapshot.quotes[index] is None:
            raise PortfolioError(
                "the snapshot does not price it", where=instrument.name, expected="a snapshot that quotes it"
            )
        positions.append((index, Fraction(lots, 10**registry.quantity_exponent)))
    for index in receivables or {}:
        if registry.instrument(index, "receivables").kind not in (Kind.PERPETUAL, Kind.FUTURE):
            raise PortfolioError(
                "not a perpetual or future", where="receivables", expected="perpetuals and futures only"
            )
    return Account(tuple(positions), tuple(sorted((i, x) for i, x in (receivables or {}).items() if x)), underlying)


def _listing(instrument: Instrument, quote: Quote | None, confidence: Fraction | None) -> Listing:
    mark = quote.mark if quote is not None and instrument.kind is not Kind.OPTION else None
    volatility = quote.volatility if quote is not None else None
    return Listing(
        instrument.name,
        instrument.kind,
        instrument.underlying,
        instrument.payoff,
        Fraction(instrument.unit, PRICE_ONE),
        instrument.expiry,
        None if instrument.strike is None else Fraction(instrument.strike, PRICE_ONE),
        instrument.option_type,
        None if mark is None else Fraction(mark, PRICE_ONE),
        None if volatility is None else Fraction(volatility, RATIO_ONE),
        confidence,
        instrument.settlement,
    )


def _share(confidence: int | None) -> Fraction | None:
    return None if confidence is None else Fraction(confidence, RATIO_ONE)


def report_version1(model: RiskModel, market: Market, array: RiskArray, portfolio: Portfolio) -> MarginReport:
    """Margin of a book under a model of version 1, from the market's risk array; raises as `portfolio_risk.evaluate`."""
    from riskproof.risk.portfolio_risk import evaluate

    risk = evaluate(market, model, array, portfolio, with_greeks=False)
    one = 10**risk.pnl_exponent
    loss, buffer = Fraction(risk.worst_loss, one), Fraction(risk.buffer, one)
    pnl = tuple(Fraction(x, one) for x in risk.pnl)
    initial, maintenance = Fraction(model.initial_factor, RATIO_ONE), Fraction(model.maintenance_factor, RATIO_ONE)
    candidates = (("loss.all", -pnl[risk.worst_index]), ("0", Fraction(0)))
    binding = candidates[0 if loss == candidates[0][1] else 1][0]
    cash = sum(
        (
            Fraction(lots * market.registry.instruments[i].unit, 10**market.registry.quantity_exponent * PRICE_ONE)
            for i, lots in portfolio.positions
            if market.registry.instruments[i].kind is Kind.SPOT
            and market.registry.instruments[i].underlying == market.registry.numeraire
        ),
        Fraction(0),
    )
    value = Fraction(risk.value, one)
    spot = sum(
        (
            Fraction(int(array.base_value[i]) * lots, one)
            for i, lots in portfolio.positions
            if market.registry.instruments[i].kind is Kind.SPOT
        ),
        Fraction(0),
    )
    return MarginReport(
        model=model.name,
        model_digest=model.digest,
        settlement=market.registry.numeraire,
        scenario_ids=risk.scenario_ids,
        equity=value,
        initial=initial * (loss + buffer),
        maintenance=maintenance * (loss + buffer),
        cash=cash,
        sets=(
            SetReport(
                "account",
                pnl,
                (("all", risk.worst_index),),
                (("buffer", initial * buffer, maintenance * buffer),),
                (("options", value - spot), ("spot", spot - cash), ("receivables", Fraction(0))),
            ),
        ),
        choices=tuple(Choice("account", m, "worst", candidates, binding) for m in (INITIAL, MAINTENANCE)),
        rounding=Rounding((MICROS_EXPONENT, "up"), (MICROS_EXPONENT, "down")),
    )
