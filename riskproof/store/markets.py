"""Registry versions, snapshots and risk models in the ledger: public documents, named by their digests.

Every function takes the connection of a transaction; those that append are run by the writer. Documents are kept as zlib streams of
their canonical bytes; what is read back is hashed again, so that a damaged one is refused rather than used.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Table

from riskproof import encoding
from riskproof.errors import InputError, ModelError, NotFoundError, SnapshotError, StoreCorruptError
from riskproof.market.registry import Registry
from riskproof.market.snapshot import Snapshot
from riskproof.store.records import ModelEntry, SnapshotEntry
from riskproof.store.schema import models, registries, snapshots

TAGS: Final = {
    registries.name: encoding.TAG_REGISTRY,
    snapshots.name: encoding.TAG_SNAPSHOT,
    models.name: encoding.TAG_MODEL,
}


def put_registry(connection: Connection, registry: Registry, document: bytes) -> bytes:
    """Append a registry version, whose canonical bytes are `document`; a known one is left alone.

    Raises:
        RegistryError: it does not extend the latest version.
    """
    if _holds(connection, registries, registry.digest):
        return registry.digest
    latest = latest_registry(connection)
    if latest is not None:
        registry.check_extends(latest)
    connection.execute(
        registries.insert().values(
            number=_next(connection, registries),
            digest=registry.digest,
            instruments=len(registry),
            size=len(document),
            document=zlib.compress(document),
        )
    )
    return registry.digest


def latest_registry(connection: Connection) -> Registry | None:
    """The last version, None if there is none yet."""
    digest = connection.scalar(sa.select(registries.c.digest).order_by(registries.c.number.desc()).limit(1))
    return None if digest is None else registry_by_digest(connection, digest)


def registry_by_digest(connection: Connection, digest: bytes) -> Registry:
    """A registry version; NotFoundError if the ledger has none of that digest."""
    return _parsed_registry(digest, lambda: _document(connection, registries, digest, "registry"))


def put_snapshot(connection: Connection, snapshot: Snapshot, document: bytes) -> bytes:
    """Append a snapshot, whose canonical bytes are `document`; a known one is left alone.

    Raises:
        SnapshotError: its registry version is not in the ledger, or it does not fit it.
    """
    if _holds(connection, snapshots, snapshot.digest):
        return snapshot.digest
    try:
        snapshot.check(registry_by_digest(connection, snapshot.registry_digest))
    except NotFoundError:
        raise SnapshotError(
            "snapshot of a registry version that is not in the ledger",
            where="registry_digest",
            expected="a registry that was put before",
        ) from None
    connection.execute(
        snapshots.insert().values(
            number=_next(connection, snapshots),
            digest=snapshot.digest,
            registry_digest=snapshot.registry_digest,
            time=snapshot.time,
            size=len(document),
            document=zlib.compress(document, 1),
        )
    )
    return snapshot.digest


def snapshot_by_digest(connection: Connection, digest: bytes) -> Snapshot:
    """A snapshot; NotFoundError if the ledger has none of that digest."""
    data = _document(connection, snapshots, digest, "snapshot")
    try:
        node = encoding.parse_canonical(data, "snapshot")
        registry_digest = encoding.hex_bytes(node["registry_digest"], "registry_digest", 32)
        return Snapshot.from_document(node, registry_by_digest(connection, registry_digest))
    except (InputError, NotFoundError) as error:
        raise StoreCorruptError(
            f"the stored document is refused: {error.what}", where=_where("snapshots", digest)
        ) from None


def latest_snapshot_digest(connection: Connection) -> bytes | None:
    """Digest of the snapshot that was published last, None if there is none yet."""
    found: bytes | None = connection.scalar(sa.select(snapshots.c.digest).order_by(snapshots.c.number.desc()).limit(1))
    return found


def list_snapshots(connection: Connection, limit: int, before: int | None) -> list[SnapshotEntry]:
    """Up to `limit` snapshots, last published first; `before` is the number after which to go on."""
    query = sa.select(snapshots.c.number, snapshots.c.digest, snapshots.c.registry_digest, snapshots.c.time)
    if before is not None:
        query = query.where(snapshots.c.number < before)
    rows = connection.execute(query.order_by(snapshots.c.number.desc()).limit(limit))
    return [SnapshotEntry(*row) for row in rows]


def put_model(connection: Connection, document: bytes, name: str, digest: bytes) -> bytes:
    """Append a model document; a known one is left alone.

    Raises:
        ModelError: the digest does not name the bytes, or the document is known under another name.
    """
    if encoding.digest(encoding.TAG_MODEL, document) != digest:
        raise ModelError("the digest does not name this document", where=name)
    known = connection.scalar(sa.select(models.c.name).where(models.c.digest == digest))
    if known is not None:
        if known != name:
            raise ModelError("this document is known under another name", where=name, expected=known)
        return digest
    connection.execute(
        models.insert().values(
            number=_next(connection, models),
            digest=digest,
            name=name,
            size=len(document),
            document=zlib.compress(document),
        )
    )
    return digest


def model_by_digest(connection: Connection, digest: bytes) -> ModelEntry:
    """A model document; NotFoundError if the ledger has none of that digest."""
    document = _document(connection, models, digest, "model")
    row = connection.execute(sa.select(models.c.number, models.c.name).where(models.c.digest == digest)).one()
    return ModelEntry(row.number, row.name, digest, document)


def list_models(connection: Connection) -> list[tuple[str, bytes]]:
    """(name, digest) of every model, in the order of publication."""
    rows = connection.execute(sa.select(models.c.name, models.c.digest).order_by(models.c.number))
    return [(row.name, row.digest) for row in rows]


def checked_document(table: str, row: Row[*tuple[Any, ...]]) -> bytes:
    """The bytes of a row (digest, size, document); StoreCorruptError unless they are what the digest names."""
    digest, size, packed = row.digest, row.size, row.document
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, size + 1)  # bounded: a damaged stream may claim to be huge
    except zlib.error:
        data = b""
    if len(data) != size or not stream.eof or encoding.digest(TAGS[table], data) != digest:
        raise StoreCorruptError("the stored document is not what its digest names", where=_where(table, digest))
    return data


def _document(connection: Connection, table: Table, digest: bytes, what: str) -> bytes:
    query = sa.select(table.c.digest, table.c.size, table.c.document).where(table.c.digest == digest)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(
            f"no {what} of digest {digest.hex()[:64]}", where="ledger", expected=f"a {what} that was put"
        )
    return checked_document(table.name, row)


def _parsed_registry(digest: bytes, load: Callable[[], bytes]) -> Registry:
    known = _registry_cache(digest)
    if not known:
        try:
            known.append(Registry.from_document(encoding.parse_canonical(load(), "registry")))
        except InputError as error:
            raise StoreCorruptError(
                f"the stored document is refused: {error.what}", where=_where("registries", digest)
            ) from None
    return known[0]


@lru_cache(maxsize=8)
def _registry_cache(_digest: bytes) -> list[Registry]:
    """A place for the parsed registry of a digest: parsing one takes longer than everything else about it."""
    return []


def _holds(connection: Connection, table: Table, digest: bytes) -> bool:
    return connection.scalar(sa.select(table.c.number).where(table.c.digest == digest)) is not None


def _next(connection: Connection, table: Table) -> int:
    return (connection.scalar(sa.select(sa.func.max(table.c.number))) or 0) + 1


def _where(table: str, digest: bytes) -> str:
    return f"{table} {digest.hex()[:16]}"
