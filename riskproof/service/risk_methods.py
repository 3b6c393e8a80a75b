"""RiskService: risk arrays and margin; nothing is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from riskproof import encoding
from riskproof.errors import InputError
from riskproof.market.portfolio import Portfolio
from riskproof.risk.arrays import EXPIRED, PRICED, UNPRICED, RiskArray
from riskproof.risk.figures import MarginFigures
from riskproof.risk.greeks import PortfolioGreeks, portfolio_greeks
from riskproof.risk.model import RiskModel
from riskproof.risk.portfolio_risk import PortfolioRisk
from riskproof.service.arrays import PricedMarket
from riskproof.service.calls import Call
from riskproof.service.position_methods import changes
from riskproof.service.venue import Venue
from riskproof.v1 import risk_pb2 as pb

BLOCK_ENTRIES: Final = 1 << 16  # entries per streamed block: a few hundred kilobytes
_STATUS: Final = {
    UNPRICED: pb.PRICING_STATUS_UNPRICED,
    PRICED: pb.PRICING_STATUS_PRICED,
    EXPIRED: pb.PRICING_STATUS_EXPIRED,
}


class RiskMethods:
    """Implements riskproof.v1.RiskService."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def ComputeArray(self, request: pb.ComputeArrayRequest, call: Call) -> AsyncIterator[pb.ComputeArrayResponse]:
        model, digest = self._venue.model(request.model), self._venue.snapshot_digest(request.snapshot_digest)
        if not isinstance(model, RiskModel):  # before a market is kept for it, in the place of one that is of use
            raise InputError(
                "a model of version 2 has no risk array",
                where="model",
                expected="a model of version 1, or ComputeMargin",
            )
        with call.at_work():
            priced = await self._venue.arrays.get(digest, model)
        array = priced.array
        assert array is not None
        instruments, scenarios = array.rows.shape
        first, end = request.first_index, request.first_index + (request.instrument_count or instruments)
        if request.first_index < 0 or request.instrument_count < 0 or first > instruments:
            raise InputError(
                "instruments are out of range",
                where="first_index, instrument_count",
                expected=f"within 0 to {instruments}",
            )
        yield pb.ComputeArrayResponse(header=_header(array, [s.id for s in priced.model.scenarios]))
        step = max(1, BLOCK_ENTRIES // scenarios)
        for begin in range(first, min(end, instruments), step):
            yield pb.ComputeArrayResponse(block=_block(array, begin, min(begin + step, end, instruments)))

    async def ComputeMargin(self, request: pb.ComputeMarginRequest, _: Call) -> pb.ComputeMarginResponse:
        model, digest = self._venue.model(request.model), self._venue.snapshot_digest(request.snapshot_digest)
        subject = request.WhichOneof("subject")
        if subject is None:
            raise InputError("neither an account nor a book", where="subject", expected="account_id or book")
        priced = await self._venue.arrays.get(digest, model)
        version = 0
        if subject == "account_id":
            version, portfolio = await self._venue.on_reader(self._venue.ledger.positions, request.account_id)
        else:
            registry = priced.market.registry
            portfolio = Portfolio.build(changes(request.book.positions, registry, "book.positions"))

        def work() -> pb.ComputeMarginResponse:
            risk = priced.figures(portfolio)
            greeks = portfolio_greeks(priced.market, portfolio) if request.with_greeks else None
            return margin_response(priced, risk, greeks)

        response = await self._venue.on_kernel(work)
        response.position_version = version
        return response


def margin_response(
    priced: PricedMarket, risk: PortfolioRisk | MarginFigures, greeks: PortfolioGreeks | None
) -> pb.ComputeMarginResponse:
    """Risk of a book on the wire."""
    ids = [s.id for s in priced.model.scenarios]
    return pb.ComputeMarginResponse(
        registry_digest=priced.market.registry.digest,
        snapshot_digest=priced.market.snapshot.digest,
        model_digest=priced.model.digest,
        array_digest=priced.array_digest or b"",
        kernel=priced.kernel,
        value_micros=risk.value_micros,
        scenarios=[pb.ScenarioResult(id=i, pnl_micros=pnl) for i, pnl in zip(ids, risk.pnl_micros, strict=True)],
        worst_scenario_id=risk.worst_id or "",
        initial_margin_micros=risk.initial_margin_micros,
        maintenance_margin_micros=risk.maintenance_margin_micros,
        greeks_json=b"" if greeks is None else encoding.canonical_json(greeks.to_document()),
    )


def _header(array: RiskArray, scenario_ids: list[str]) -> pb.ArrayHeader:
    return pb.ArrayHeader(
        registry_digest=array.registry_digest,
        snapshot_digest=array.snapshot_digest,
        model_digest=array.model_digest,
        array_digest=array.digest,
        kernel=array.kernel,
        money_exponent=array.money_exponent,
        quantity_exponent=array.quantity_exponent,
        scenario_ids=scenario_ids,
        registry_size=len(array.status),
    )


def _block(array: RiskArray, begin: int, end: int) -> pb.ArrayBlock:
    return pb.ArrayBlock(
        first_index=begin,
        statuses=[_STATUS[status] for status in array.status[begin:end].tolist()],
        base_values=array.base_value[begin:end].tolist(),
        buffers=array.buffer[begin:end].tolist(),
        entries=array.rows[begin:end].ravel().tolist(),
    )
