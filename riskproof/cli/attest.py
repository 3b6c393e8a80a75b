"""`riskproof attest` and `riskproof disclose`: what a venue signs, and what a holder opens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from riskproof.cli.files import PRIVATE, PUBLIC, check_outputs, read_bytes, write_all, write_bytes
from riskproof.cli.inputs import (
    FILE,
    HISTORY,
    MARKET,
    MODEL,
    PORTFOLIO,
    any_model,
    errors_in,
    load_histories,
    load_market,
)
from riskproof.cli.output import compiling, reports_errors
from riskproof.errors import AttestationError

if TYPE_CHECKING:
    from riskproof.attest.book import AccountSecret
    from riskproof.attest.holder import ExclusiveWindow, HolderRequest
    from riskproof.attest.keys import SigningKey
    from riskproof.attest.opening import Opening
    from riskproof.proof.grid import Grid

STALE_SECONDS = 3600


@click.command()
@MARKET
@PORTFOLIO
@MODEL
@HISTORY
@click.option("--account", required=True, help="The venue's name of the account; only its salted digest is signed.")
@click.option(
    "--key", "keys", required=True, multiple=True, type=FILE, help="Key folder (riskproof keys new); may be repeated."
)
@click.option("--out", required=True, type=FILE, help="Attestation to write: for anyone.")
@click.option(
    "--opening", "opening_file", required=True, type=FILE, help="Opening to write: SECRET, for the account holder."
)
@click.option(
    "--disclose",
    "policy",
    type=click.Choice(["none", "margin", "array"]),
    default="margin",
    show_default=True,
    help="What the attestation reveals.",
)
@click.option(
    "--digits",
    type=int,
    help="Disclose amounts with this many significant digits, rounded against the account [default: 2].",
)
@click.option(
    "--step",
    help="Disclose multiples of this amount instead, such as 1000 or 0.000001 (exact: reveals equations in the lots).",
)
@click.option("--audience", help="Whom it is for; nobody else should accept it.")
@click.option("--nonce", help="What the audience asked to see in it.")
@click.option("--ttl", type=int, default=3600, show_default=True, help="Seconds until it expires.")
@click.option("--issued-at", type=int, help="Time of issue, seconds since the epoch [default: the clock].")
@click.option("--max-snapshot-age", type=int, help="State, and enforce, the largest age of the snapshot in seconds.")
@click.option(
    "--previous", type=FILE, help="Opening of the account's attestation before this one: continues its chain."
)
@click.option(
    "--holder",
    help="Identity of the account's holder as you verified it, such as a legal entity id: committed to, and hidden.",
)
@click.option("--holder-key", type=FILE, help="The holder's public key (riskproof keys public); goes with --holder.")
@click.option("--exclusive-from", type=int, help="Begin of an exclusive window, seconds since the epoch.")
@click.option("--exclusive-until", type=int, help="End of the exclusive window, the first second after it.")
@reports_errors
def attest(
    market_file: Path,
    book_file: Path,
    model_name: str,
    history_files: tuple[Path, ...],
    account: str,
    keys: tuple[Path, ...],
    out: Path,
    opening_file: Path,
    policy: str,
    digits: int | None,
    step: str | None,
    audience: str | None,
    nonce: str | None,
    ttl: int,
    issued_at: int | None,
    max_snapshot_age: int | None,
    previous: Path | None,
    holder: str | None,
    holder_key: Path | None,
    exclusive_from: int | None,
    exclusive_until: int | None,
) -> None:
    """Commit to a book, compute its risk, and sign an attestation of it.

    A served venue keeps books, account secrets and the chain of attestations in its ledger (riskproof serve). This command has no
    ledger: it makes a new account secret each time, and continues a chain only if you give it the previous opening.

    Models of both versions are attested, with their digest. A model whose tail block reads histories needs them (--history), and so
    does whoever recomputes its margin.

    With --holder the attestation can be netted with others of the same holder in a proof. It then names the account by a tag, so
    that no account is netted with itself: one tag for each audience and epoch of 30 days, made from the --key whose id comes
    first. Sign with the same keys for as long as the epoch lasts.

    With --exclusive-from and --exclusive-until it says that no other exclusive attestation of the account overlaps that time. A
    served venue refuses a second one; this command cannot know of another, so see to it yourself.

    \b
    riskproof attest --market market.json --portfolio book.csv --account alice --key venue-key \\
        --disclose margin --audience lender --out att.json --opening opening.json
    riskproof attest --market market.json --portfolio book.csv --account alice --key venue-key \\
        --audience lender --holder 5493001KJTIIGC8Y1R12 --holder-key holder_public.json --out att.json --opening opening.json
    """
    from riskproof.attest.book import CommittedBook, epoch_of
    from riskproof.attest.build import AttestationRequest, build_attestation, retirable_columns
    from riskproof.attest.keys import load_signing_key
    from riskproof.attest.payload import GENESIS, Policy
    from riskproof.market.portfolio import parse_book
    from riskproof.risk.figures import RiskBasis

    check_outputs(
        {"--out": out, "--opening": opening_file}, [market_file, book_file, previous, holder_key, *history_files], keys
    )
    signing = [load_signing_key(path) for path in keys]
    market = load_market(market_file)
    model = any_model(model_name)
    histories = load_histories(history_files, model)
    portfolio = parse_book(read_bytes(book_file), market.registry, str(book_file))
    before = _previous(previous, account)
    at = int(time.time()) if issued_at is None else issued_at
    window = _window(exclusive_from, exclusive_until, holder)
    secret, bound = _secret_and_holder(signing, account, holder, holder_key, audience, at)
    with compiling(), errors_in(model_name, model, history_files, histories):
        basis = RiskBasis.build(market, model, histories)
        book = CommittedBook(market.registry, portfolio, secret, epoch_of(at))
        built = build_attestation(
            AttestationRequest(
                venue=signing[0].venue,
                account_id=account,
                book=book,
                market=market,
                model=model,
                array=basis.array,
                risk=basis.figures(portfolio),
                policy=Policy(policy),
                grid=_grid(digits, step),
                sequence=before.sequence + 1 if before else 1,
                previous_digest=before.attestation_digest if before else GENESIS,
                issued_at=at,
                ttl=ttl,
                audience=audience,
                nonce=nonce,
                max_snapshot_age=max_snapshot_age,
                retired=retirable_columns(market, book),
                holder=bound,
                exclusive=window,
            ),
            *signing,
        )
    # The secret file first: an attestation whose opening is lost cannot be used.
    write_all((opening_file, built.opening, PRIVATE), (out, built.attestation, PUBLIC))
    click.echo(f"{out}: attestation {built.digest.hex()}\n{opening_file}: its opening, SECRET, mode 0600", err=True)
    if at - market.snapshot.time > STALE_SECONDS:
        click.echo(
            f"note: the snapshot is {at - market.snapshot.time} s older than the attestation; verifiers see that",
            err=True,
        )
    if window is not None:
        click.echo(
            "note: this command has no ledger: that no other exclusive attestation of the account overlaps is for you to make sure",
            err=True,
        )


def _secret_and_holder(
    keys: list[SigningKey],
    account: str,
    identity: str | None,
    key_file: Path | None,
    audience: str | None,
    issued_at: int,
) -> tuple[AccountSecret, HolderRequest | None]:
    """Without a holder a new account secret; with one the account's own, from the first of the keys by id, for its tag."""
    from riskproof.attest.book import AccountSecret, epoch_of
    from riskproof.attest.holder import HolderRequest, account_tag, parse_holder_key

    if identity is None and key_file is None:
        return AccountSecret.random(), None
    if identity is None:
        raise AttestationError("a holder's key without a holder", where="--holder-key", expected="--holder with it")
    if key_file is None:
        raise AttestationError("a holder without a key", where="--holder", expected="--holder-key with it")
    if audience is None:
        raise AttestationError("a holder is bound towards an audience", where="--holder", expected="--audience with it")
    secret, epoch = min(keys, key=lambda key: key.key_id).account_secret(account), epoch_of(issued_at)
    public = parse_holder_key(read_bytes(key_file), str(key_file))
    return secret, HolderRequest(identity, public, account_tag(secret, audience, epoch), epoch)


def _window(start: int | None, until: int | None, identity: str | None) -> ExclusiveWindow | None:
    from riskproof.attest.holder import ExclusiveWindow

    if start is None and until is None:
        return None
    given = "--exclusive-until" if start is None else "--exclusive-from"
    if start is None or until is None:
        raise AttestationError("half a window", where=given, expected="--exclusive-from and --exclusive-until")
    if identity is None:
        raise AttestationError("only an attestation with a holder is exclusive", where=given, expected="--holder too")
    return ExclusiveWindow(start, until)


def _grid(digits: int | None, step: str | None) -> Grid:
    from riskproof.proof.grid import COARSE, Grid
    from riskproof.units import MICROS_EXPONENT, parse_decimal

    if digits is None and step is None:
        return COARSE
    return Grid(digits, None if step is None else parse_decimal(step, MICROS_EXPONENT, "--step"))


def _previous(path: Path | None, account: str) -> Opening | None:
    from riskproof.attest.opening import Opening

    if path is None:
        return None
    opening = Opening.from_bytes(read_bytes(path), str(path))
    if opening.account_id != account:
        raise AttestationError("the previous opening is another account's", where=str(path))
    return opening


@click.command()
@click.option(
    "--opening",
    "opening_file",
    required=True,
    type=FILE,
    help="Opening of the attestation (secret; it stays with you).",
)
@click.option("--instrument", "instruments", required=True, multiple=True, help="Instrument to open; may be repeated.")
@click.option(
    "--market", "market_file", type=FILE, help="Market file; needed only to show that an instrument is NOT held."
)
@click.option("--out", required=True, type=FILE, help="Disclosure to write.")
@reports_errors
def disclose(opening_file: Path, instruments: tuple[str, ...], market_file: Path | None, out: Path) -> None:
    """Open single positions of an attestation; the rest of the book stays hidden.

    \b
    riskproof disclose --opening opening.json --instrument BTC-PERPETUAL --out d.json
    riskproof verify d.json --attestation att.json --keys keys.json
    """
    from riskproof.attest.disclosure import disclose as open_positions
    from riskproof.attest.opening import Opening

    check_outputs({"--out": out}, [opening_file, market_file])
    opening = Opening.from_bytes(read_bytes(opening_file), str(opening_file))
    registry = load_market(market_file).registry if market_file else None
    with compiling():
        disclosure = open_positions(opening, instruments, registry)
    write_bytes(out, disclosure.to_bytes())
    count = len(disclosure.positions)
    opened = "1 position" if count == 1 else f"{count} positions"
    click.echo(f"{out}: {opened} opened, the rest of the book stays hidden", err=True)
