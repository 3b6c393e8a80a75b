"""`riskproof remote`: the client of a venue's service, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.connection import connected
from riskproof.cli.files import PRIVATE, check_outputs, read_bytes, write_bytes
from riskproof.cli.inputs import FILE, load_market
from riskproof.cli.output import amounts, emit_json, json_option, reports_errors, table
from riskproof.cli.remote_proofs import challenge, prove, verify_proof
from riskproof.errors import InputError

if TYPE_CHECKING:
    from riskproof.attest.holder import ExclusiveWindow
    from riskproof.client import Client

SERVED_MODEL = click.option("--model", default="", help="Name of a model that the venue serves [default: the venue's].")


@click.group()
def remote() -> None:
    """Call a venue's service.

    Who you are is in your client certificate: --identity tls/operator-ops stands for tls/operator-ops.pem and
    tls/operator-ops-key.pem, with the authority tls/ca.pem (see riskproof certificates).

    \b
    riskproof remote publish --server HOST:PORT --identity tls/operator-ops --market market.json
    riskproof remote trade   --server HOST:PORT --identity tls/operator-ops --account alice --trade-id t1 --book book.csv
    riskproof remote holder  --server HOST:PORT --identity tls/operator-ops --account alice --holder 5493001KJTIIGC8Y1R12
    riskproof remote attest  --server HOST:PORT --identity tls/account-holder-alice --account alice \\
                             --audience lender --out att.json --opening opening.json
    riskproof remote prove   --server HOST:PORT --identity tls/account-holder-alice --account alice --challenge c.json \\
                             --holder-key alice-key --attestation att.json --out proof.json
    """


for _command in (challenge, prove, verify_proof):
    remote.add_command(_command)


@remote.command()
@click.option("--market", "market_file", required=True, type=FILE, help="Market file to publish.")
@reports_errors
@connected
def publish(client: Client, market_file: Path) -> None:
    """Publish a market: its registry version and its snapshot. Operators."""
    published = client.publish_market(load_market(market_file))
    click.echo(f"registry {published.registry_digest.hex()}\nsnapshot {published.snapshot_digest.hex()}")


@remote.command()
@click.option("--out", required=True, type=FILE, help="Market file to write.")
@reports_errors
@connected
def market(client: Client, out: Path) -> None:
    """Fetch the market that was published last; digests are checked. Everyone."""
    fetched = client.get_market()
    write_bytes(out, fetched.to_bytes())
    click.echo(f"{out}: snapshot {fetched.snapshot.digest.hex()}", err=True)


@remote.command()
@reports_errors
@connected
def keys(client: Client) -> None:
    """Print the venue's public keys, a JWK set; compare it with a copy from elsewhere. Everyone."""
    click.echo(client.get_key_set().decode("ascii"))


@remote.command()
@click.option("--account", required=True, help="Account id; it is opened if need be.")
@click.option("--trade-id", required=True, help="Your id of the trade: sending it twice records it once.")
@click.option("--book", "book_file", required=True, type=FILE, help="Legs: CSV with the header instrument,quantity.")
@reports_errors
@connected
def trade(client: Client, account: str, trade_id: str, book_file: Path) -> None:
    """Record a trade of one or more legs, all or none. Operators."""
    from riskproof.client import Holding
    from riskproof.encoding import parse_canonical
    from riskproof.market.portfolio import parse_book
    from riskproof.market.registry import Registry

    registry = Registry.from_document(parse_canonical(client.get_registry(), "registry"))
    legs = parse_book(read_bytes(book_file), registry, str(book_file))
    client.open_account(account)
    recorded = client.record_trade(
        account, trade_id, [Holding(registry.instruments[i].name, lots) for i, lots in legs.positions]
    )
    seen = ", recorded before" if recorded.replayed else ""
    click.echo(f"trade {trade_id} of {account}: {len(legs)} legs, position version {recorded.position_version}{seen}")


@remote.command()
@click.option("--account", required=True, help="Account id; the account is open.")
@click.option(
    "--holder",
    "holder_identity",
    required=True,
    help="The holder as you verified it: a legal entity id, or the name by which every venue knows it.",
)
@reports_errors
@connected
def holder(client: Client, account: str, holder_identity: str) -> None:
    """Record who holds an account: attestations with a holder bind the one recorded last. Operators."""
    recorded = client.set_holder(account, holder_identity)
    seen = ", recorded before" if recorded.replayed else ""
    click.echo(f"account {account}: holder {recorded.number}{seen}")


@remote.command()
@click.option("--account", required=True, help="Account id.")
@SERVED_MODEL
@json_option
@reports_errors
@connected
def margin(client: Client, account: str, model: str, as_json: bool) -> None:
    """Risk and margin of an account at the snapshot published last. Operators, and the account's holder."""
    got = client.compute_margin(account, model=model)
    worst = next((s for s in got.scenarios if s.id == got.worst_scenario_id), None)
    if as_json:
        emit_json(
            {
                "snapshot_digest": got.snapshot_digest.hex(),
                "model_digest": got.model_digest.hex(),
                "array_digest": got.array_digest.hex() or None,
                "value_micros": got.value_micros,
                "scenarios": [{"id": s.id, "pnl_micros": s.pnl_micros} for s in got.scenarios],
                "worst": None if worst is None else {"id": worst.id, "pnl_micros": worst.pnl_micros},
                "initial_margin_micros": got.initial_margin_micros,
                "maintenance_margin_micros": got.maintenance_margin_micros,
            }
        )
        return
    figures = {"value of the book": got.value_micros}
    if worst is not None:
        figures[f"worst scenario {worst.id}"] = worst.pnl_micros
    figures |= {"initial margin": got.initial_margin_micros, "maintenance margin": got.maintenance_margin_micros}
    rows = [list(row) for row in zip(figures, amounts(list(figures.values())), strict=True)]
    click.echo(table([f"account {account}", f"model {got.model_digest.hex()[:8]}"], rows))


@remote.command()
@click.option("--account", required=True, help="Account id.")
@SERVED_MODEL
@click.option("--audience", default="", help="Whom the attestation is for.")
@click.option("--nonce", default="", help="What the audience asked to see in it.")
@click.option("--ttl", type=int, default=0, help="Seconds until it expires [default: the venue's].")
@click.option(
    "--disclose",
    "policy",
    type=click.Choice(["default", "none", "margin", "array"]),
    default="default",
    show_default=True,
    help="What it reveals; the default is the venue's.",
)
@click.option(
    "--holder-key",
    type=FILE,
    help="The holder's public key (riskproof keys public): bind the account's holder as the venue has recorded it.",
)
@click.option("--exclusive-from", type=int, help="Begin of an exclusive window, seconds since the epoch.")
@click.option("--exclusive-until", type=int, help="End of the exclusive window, the first second after it.")
@click.option("--request-id", default="", help="Your id of the request: sending it twice attests once.")
@click.option("--out", required=True, type=FILE, help="Attestation to write.")
@click.option("--opening", "opening_file", type=FILE, help="Opening to write: SECRET (account holders only).")
@reports_errors
@connected
def attest(
    client: Client,
    account: str,
    model: str,
    audience: str,
    nonce: str,
    ttl: int,
    policy: str,
    holder_key: Path | None,
    exclusive_from: int | None,
    exclusive_until: int | None,
    request_id: str,
    out: Path,
    opening_file: Path | None,
) -> None:
    """Have an account's net risk exposure attested. Operators, and the account's holder.

    With --holder-key the attestation can be netted with others of the same holder in a proof. With --exclusive-from and
    --exclusive-until the venue promises, for good, that no other exclusive attestation of the account overlaps that time.

    \b
    riskproof remote attest --server HOST:PORT --identity tls/account-holder-alice --account alice --audience lender \\
        --holder-key holder_public.json --exclusive-from T --exclusive-until T --out att.json --opening opening.json
    """
    from riskproof.attest.holder import parse_holder_key
    from riskproof.client import Disclosure

    check_outputs({"--out": out, "--opening": opening_file}, [holder_key])
    window = _window(exclusive_from, exclusive_until, holder_key)
    key = b"" if holder_key is None else parse_holder_key(read_bytes(holder_key), str(holder_key))
    if key and not audience:
        raise InputError("a holder is bound towards an audience", where="--holder-key", expected="--audience with it")
    made = client.create_attestation(
        account,
        request_id=request_id,
        model=model,
        disclosure=Disclosure(policy),
        audience=audience,
        nonce=nonce,
        ttl_seconds=ttl,
        holder_key=key,
        exclusive=window,
    )
    # The venue keeps the opening: if it cannot be fetched now, `remote opening` fetches it later.
    write_bytes(out, made.attestation)
    click.echo(f"{out}: attestation {made.sequence} of {account}, {made.digest.hex()}", err=True)
    if opening_file is not None:
        _fetch_opening(client, account, made.sequence, opening_file)


@remote.command()
@click.option("--account", required=True, help="Account id.")
@click.option("--sequence", required=True, type=int, help="Number of the attestation in the account's sequence.")
@click.option("--out", required=True, type=FILE, help="Opening to write: SECRET.")
@reports_errors
@connected
def opening(client: Client, account: str, sequence: int, out: Path) -> None:
    """Fetch the opening of an attestation, mode 0600. The account's holder."""
    _fetch_opening(client, account, sequence, out)


def _window(start: int | None, until: int | None, key: Path | None) -> ExclusiveWindow | None:
    from riskproof.attest.holder import ExclusiveWindow

    if start is None and until is None:
        return None
    given = "--exclusive-until" if start is None else "--exclusive-from"
    if start is None or until is None:
        raise InputError("half a window", where=given, expected="--exclusive-from and --exclusive-until")
    if key is None:
        raise InputError("only an attestation with a holder is exclusive", where=given, expected="--holder-key too")
    return ExclusiveWindow(start, until)


def _fetch_opening(client: Client, account: str, sequence: int, out: Path) -> None:
    write_bytes(out, client.get_opening(account, sequence), mode=PRIVATE)
    click.echo(f"{out}: opening of attestation {sequence} of {account}, SECRET, mode 0600", err=True)
