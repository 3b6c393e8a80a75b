"""MarketService: registry versions, snapshots, models; public data."""

from __future__ import annotations

from riskproof import encoding
from riskproof.errors import InputError, NotFoundError, SnapshotError
from riskproof.market.registry import Registry
from riskproof.market.snapshot import Snapshot
from riskproof.service.calls import Call
from riskproof.service.pages import page_size, page_start, page_token
from riskproof.service.venue import Venue, check_digest
from riskproof.v1 import market_pb2 as pb


class MarketMethods:
    """Implements riskproof.v1.MarketService."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    async def PublishSnapshot(self, request: pb.PublishSnapshotRequest, _: Call) -> pb.PublishSnapshotResponse:
        registry, snapshot = await self._venue.on_kernel(self._parse, request.registry_json, request.snapshot_json)
        await self._venue.publish(registry, snapshot)
        return pb.PublishSnapshotResponse(registry_digest=registry.digest, snapshot_digest=snapshot.digest)

    def _parse(self, registry_json: bytes, snapshot_json: bytes) -> tuple[Registry, Snapshot]:
        node = encoding.parse_canonical(snapshot_json, "snapshot_json")
        if registry_json:
            registry = Registry.from_document(encoding.parse_canonical(registry_json, "registry_json"), "registry_json")
        else:
            stated = node.get("registry_digest") if isinstance(node, dict) else None
            where = "snapshot_json.registry_digest"
            registry = self._venue.ledger.registry(encoding.hex_bytes(stated, where, 32))
        try:
            return registry, Snapshot.from_document(node, registry, "snapshot_json")
        except SnapshotError as error:
            # The document is wrong, not the server's state: INVALID_ARGUMENT.
            raise InputError(error.what, where=f"snapshot_json: {error.where}", expected=error.expected) from None

    async def GetRegistry(self, request: pb.GetRegistryRequest, _: Call) -> pb.GetRegistryResponse:
        def read() -> pb.GetRegistryResponse:
            ledger = self._venue.ledger
            if request.registry_digest:
                registry = ledger.registry(check_digest(request.registry_digest, "registry_digest"))
            else:
                latest = ledger.latest_registry()
                if latest is None:
                    raise NotFoundError("no registry has been published yet", where="ledger")
                registry = latest
            document = encoding.canonical_json(registry.to_document())
            return pb.GetRegistryResponse(registry_json=document, registry_digest=registry.digest)

        return await self._venue.on_reader(read)

    async def GetSnapshot(self, request: pb.GetSnapshotRequest, _: Call) -> pb.GetSnapshotResponse:
        digest = self._venue.snapshot_digest(request.snapshot_digest)

        def read() -> pb.GetSnapshotResponse:
            snapshot = self._venue.ledger.snapshot(digest)
            return pb.GetSnapshotResponse(
                snapshot_json=encoding.canonical_json(snapshot.to_document()),
                snapshot_digest=snapshot.digest,
                registry_digest=snapshot.registry_digest,
            )

        return await self._venue.on_reader(read)

    async def ListSnapshots(self, request: pb.ListSnapshotsRequest, _: Call) -> pb.ListSnapshotsResponse:
        size = page_size(request.page_size)
        before = page_start(request.page_token) if request.page_token else None
        found = await self._venue.on_reader(self._venue.ledger.list_snapshots, size, before)
        return pb.ListSnapshotsResponse(
            snapshots=[
                pb.SnapshotSummary(
                    snapshot_digest=entry.digest,
                    registry_digest=entry.registry_digest,
                    snapshot_time_seconds=entry.time,
                )
                for entry in found
            ],
            next_page_token=page_token(found[-1].number) if len(found) == size else "",
        )

    async def GetModel(self, request: pb.GetModelRequest, _: Call) -> pb.GetModelResponse:
        model = self._venue.model(request.name)
        return pb.GetModelResponse(model_json=model.to_bytes(), model_digest=model.digest)
