"""PositionService: accounts and who holds them, trades, books."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from riskproof.market.registry import Registry
from riskproof.service.calls import Call
from riskproof.service.venue import Venue
from riskproof.v1 import position_pb2 as pb


def changes(positions: Iterable[pb.Position], registry: Registry, where: str) -> list[tuple[int, int]]:
    """Named positions as (index, lots) pairs; UnknownInstrumentError for a name that is not in the registry."""
    return [(registry.index_of(p.instrument, f"{where}[{i}].instrument"), p.lots) for i, p in enumerate(positions)]


class PositionMethods:
    """Implements riskproof.v1.PositionService."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def OpenAccount(self, request: pb.OpenAccountRequest, _: Call) -> pb.OpenAccountResponse:
        record = await self._venue.on_reader(self._venue.ledger.open_account, request.account_id)
        return pb.OpenAccountResponse(account_id=record.account_id, created_at_seconds=record.created_at)

    async def SetHolder(self, request: pb.SetHolderRequest, call: Call) -> pb.SetHolderResponse:
        record = partial(self._venue.ledger.set_holder, recorded_by=call.identity.name, recorded_at=self._venue.now())
        holder = await self._venue.on_reader(record, request.account_id, request.identity)
        return pb.SetHolderResponse(
            holder_number=holder.number, recorded_at_seconds=holder.recorded_at, replayed=holder.replayed
        )

    async def RecordTrade(self, request: pb.RecordTradeRequest, _: Call) -> pb.RecordTradeResponse:
        legs = changes(request.legs, self._venue.registry(), "legs")
        receipt = await self._venue.books.record_trade(request.account_id, request.trade_id, legs)
        return pb.RecordTradeResponse(position_version=receipt.position_version, replayed=receipt.replayed)

    async def GetPositions(self, request: pb.GetPositionsRequest, _: Call) -> pb.GetPositionsResponse:
        version, portfolio = await self._venue.on_reader(self._venue.ledger.positions, request.account_id)
        instruments = self._venue.registry().instruments if portfolio.positions else ()
        return pb.GetPositionsResponse(
            position_version=version,
            positions=[pb.Position(instrument=instruments[i].name, lots=lots) for i, lots in portfolio.positions],
        )
