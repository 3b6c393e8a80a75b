"""A streamed risk array put together again, and checked against its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from riskproof.errors import RemoteError
from riskproof.v1 import risk_pb2 as pb

if TYPE_CHECKING:
    from riskproof.risk.arrays import RiskArray


class ArrayAssembler:
    """Takes the parts of one response stream in order."""

    def __init__(self) -> None:
        self._header: pb.ArrayHeader | None = None
        self._blocks: list[pb.ArrayBlock] = []

    def add(self, part: pb.ComputeArrayResponse) -> None:
        """The next part: first the header, then blocks (RemoteError otherwise)."""
        kind = part.WhichOneof("part")
        if kind == "header" and self._header is None:
            self._header = part.header
        elif kind == "block" and self._header is not None:
            self._blocks.append(part.block)
        else:
            raise RemoteError(
                "parts of the array are out of order", where="ComputeArray", expected="header, then blocks"
            )

    def finish(self) -> RiskArray:
        """The whole array.

        Raises:
            RemoteError: parts are missing, or it is not what its digest names.
        """
        import numpy as np

        from riskproof.risk.arrays import EXPIRED, PRICED, UNPRICED, RiskArray

        statuses = {
            pb.PRICING_STATUS_UNPRICED: UNPRICED,
            pb.PRICING_STATUS_PRICED: PRICED,
            pb.PRICING_STATUS_EXPIRED: EXPIRED,
        }
        h = self._header
        if h is None:
            raise RemoteError("the stream is empty", where="ComputeArray", expected="a header")
        entries = [value for block in self._blocks for value in block.entries]
        status = [statuses.get(value, -1) for block in self._blocks for value in block.statuses]
        base = [value for block in self._blocks for value in block.base_values]
        buffer = [value for block in self._blocks for value in block.buffers]
        size, scenarios = h.registry_size, len(h.scenario_ids)
        if len(entries) != size * scenarios or not len(status) == len(base) == len(buffer) == size:
            raise RemoteError("parts of the array are missing", where="ComputeArray", expected=f"{size} instruments")
        array = RiskArray(
            h.registry_digest,
            h.snapshot_digest,
            h.model_digest,
            h.kernel,
            h.money_exponent,
            h.quantity_exponent,
            np.array(entries, dtype=np.int64).reshape(size, scenarios),
            np.array(base, dtype=np.int64),
            np.array(buffer, dtype=np.int64),
            np.array(status, dtype=np.int8),
        )
        if array.digest != h.array_digest:
            raise RemoteError(
                "the array is not what its digest names", where="ComputeArray", expected=h.array_digest.hex()
            )
        return array
