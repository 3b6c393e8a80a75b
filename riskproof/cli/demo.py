"""`riskproof demo`: the main job from end to end, with every command shown.

Every step is a `riskproof` command in a process of its own, run in the output folder and printed before it runs, so that it can be
repeated by hand. Only forgeries are made here.
"""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from riskproof.cli.files import read_bytes, write_bytes
from riskproof.cli.inputs import FILE
from riskproof.cli.output import money, reports_errors
from riskproof.encoding import canonical_json, from_base64, to_base64
from riskproof.errors import InputError, RemoteError, RiskproofError, ServiceError

MARKER = ".riskproof-demo"
VENUES = {"venue-a": "market-maker-a", "venue-b": "market-maker-b"}
ACCOUNT = "alice"
IDENTITY = "5493001KJTIIGC8Y1R12"  # a legal entity id, as both venues verified it
AUDIENCE = "lender"
BOUND = "1000000"  # the net worst loss is well below it, whatever the day; each venue's alone is far above
TTL = "86400"
START_SECONDS = 60.0

CONFIG = """[server]
address = "127.0.0.1:{port}"

[tls]
certificate = "tls/server.pem"
private_key = "tls/server-key.pem"
client_ca = "tls/ca.pem"

[venue]
key = "key"

[ledger]
url = "sqlite:///ledger.db"

[attestation]
max_snapshot_age_seconds = 86400
"""

# Keys, certificates and the market are made once: what follows refers to them.
SCRIPT = """#!/bin/sh
# Every command of the demo. `sh commands.sh` repeats them all, with the same keys and ledgers, for a day after the demo;
# to repeat one by hand, in this folder, set PATH as here. Commands on a server need the two servers running. What the forgers
# made stays as it was: their proofs are of the attestations of the first time, and are refused for that already.
set -eu
cd "$(dirname "$0")"
PATH={path}:$PATH
servers=""
trap 'test -z "$servers" || kill $servers' EXIT
set -x
"""


class Stage:
    """Runs commands in the output folder, shows them, and keeps them in commands.sh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log: list[str] = [SCRIPT.format(path=shlex.quote(str(Path(sys.executable).parent)))]

    def title(self, text: str) -> None:
        self._log += ["", f"# {text}"]
        click.secho(f"\n{text}", bold=True)

    def say(self, text: str) -> None:
        click.echo(f"  {text}")

    def run(
        self,
        *arguments: str,
        into: str | None = None,
        expect: int = 0,
        show: bool = True,
        within: str = "",
        makes: str = "",
    ) -> None:
        """Run `riskproof ...`; RemoteError if it does not exit with `expect`.

        Args:
            into: file for standard output.
            show: print what the command prints.
            within: folder to run it in.
            makes: what it makes once, and is kept when the commands are repeated.
        """
        words = "riskproof " + shlex.join(arguments) + (f" > {into}" if into else "")
        line = f"(cd {within} && {words})" if within else words
        self._log.append(
            (f"test -e {makes} || " if makes else "") + line + (f" || test $? = {expect}" if expect else "")
        )
        click.secho(f"  $ {line}", fg="cyan")
        done = subprocess.run(
            [sys.executable, "-m", "riskproof.cli", *arguments],
            cwd=self.folder / within,
            capture_output=True,
            check=False,
        )
        if into:
            write_bytes(self.folder / within / into, done.stdout)
        output = done.stderr.decode() + ("" if into else done.stdout.decode())
        if show or done.returncode != expect:
            for row in output.splitlines():
                click.echo(f"    {row}")
        if done.returncode != expect:
            raise RemoteError(f"exit status {done.returncode}", where=line, expected=str(expect))

    def give(self, name: str, to: str) -> None:
        """Copy a file into a party's folder, here and in commands.sh."""
        self._log.append(f"cp {name} {to}/")
        write_bytes(self.folder / to / name, read_bytes(self.folder / name))

    @contextmanager
    def server(self, venue: str, port: int) -> Iterator[None]:
        """`riskproof serve` in the background, stopped at the end."""
        line = f"riskproof serve --config {venue}/riskproof.toml"
        client = f"--server 127.0.0.1:{port} --identity {venue}/tls/operator-ops"
        self._log += [
            f"{line} 2> {venue}/server.log &",
            'servers="$servers $!"',
            f"until riskproof remote keys {client} > /dev/null 2>&1; do kill -0 $!; sleep 1; done",
        ]
        click.secho(f"  $ {line} &", fg="cyan")
        arguments = [sys.executable, "-m", "riskproof.cli", *shlex.split(line)[1:]]
        with (self.folder / venue / "server.log").open("wb") as log:
            process = subprocess.Popen(arguments, cwd=self.folder, stderr=log, stdout=log)
        try:
            self._wait(venue, port, process)
            self.say(f"{venue} serves on 127.0.0.1:{port} (process {process.pid})")
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def _wait(self, venue: str, port: int, process: subprocess.Popen[bytes]) -> None:
        from riskproof.client import Client

        tls = self.folder / venue / "tls"
        until = time.monotonic() + START_SECONDS
        with Client(
            f"127.0.0.1:{port}",
            authority=tls / "ca.pem",
            certificate=tls / "operator-ops.pem",
            private_key=tls / "operator-ops-key.pem",
            timeout=5.0,
        ) as client:
            while process.poll() is None and time.monotonic() < until:
                try:
                    if client.is_serving():
                        return
                except ServiceError:
                    time.sleep(0.1)
        raise RemoteError("the server did not start", where=venue, expected=f"see {venue}/server.log")

    def close(self) -> None:
        write_bytes(self.folder / "commands.sh", ("\n".join(self._log) + "\n").encode())


@click.command()
@click.option(
    "--out",
    "folder",
    type=FILE,
    default="demo-output",
    show_default=True,
    help="Folder for every file; an earlier demo's is replaced.",
)
@reports_errors
def demo(folder: Path) -> None:
    """Two venues, attestations, a verifier, a proof over both, and an auditor, on this machine, with every command shown."""
    stage = Stage(_fresh(folder))
    started = time.monotonic()
    try:
        with ExitStack() as servers:
            _venues(stage, servers)
            _attestations(stage)
        _verifier(stage)
        _forger(stage)
        _proof(stage)
        _proof_forger(stage)
        _auditor(stage)
    except RiskproofError:
        click.secho("\nthe demo stopped; what it made is in " + str(folder), fg="red", err=True)
        raise
    finally:
        stage.close()
    click.secho(
        f"\nDone in {time.monotonic() - started:.0f} s. Every file is in {folder}/; sh {folder}/commands.sh repeats every command.",
        bold=True,
    )


def _fresh(folder: Path) -> Path:
    """An empty folder; one that an earlier demo made is replaced, anything else is left alone (InputError)."""
    try:
        if folder.exists():
            if not (folder / MARKER).exists():
                raise InputError("exists, and no demo made it", where=str(folder), expected="--out with a new folder")
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(folder)) from None
    write_bytes(folder / MARKER, b"")
    return folder.resolve()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _address(stage: Stage, venue: str) -> str:
    config = (stage.folder / venue / "riskproof.toml").read_text()
    return config.split('address = "', 1)[1].split('"', 1)[0]


def _venues(stage: Stage, servers: ExitStack) -> None:
    stage.title("1. A market, two venues, and a client with a book at each")
    books = [f"--book={name}={venue}-book.csv" for venue, name in VENUES.items()]
    stage.run("market", "sample", "--time", "now", "--out", "market.json", *books, makes="market.json")
    for venue in VENUES:
        (stage.folder / venue).mkdir()
        stage.run("keys", "new", "--out", f"{venue}/key", "--venue", venue, show=False, makes=f"{venue}/key")
        stage.run("keys", "public", f"{venue}/key", into=f"{venue}-keys.json", show=False)
        clients = ("operator:ops", f"account-holder:{ACCOUNT}", f"verifier:{AUDIENCE}")
        wanted = [f"--client={c}" for c in clients]
        stage.run("certificates", "--out", f"{venue}/tls", *wanted, show=False, makes=f"{venue}/tls")
        port = _free_port()
        write_bytes(stage.folder / venue / "riskproof.toml", CONFIG.format(port=port).encode())
        servers.enter_context(stage.server(venue, port))
    for venue in VENUES:
        where = ("--server", _address(stage, venue), "--identity", f"{venue}/tls/operator-ops")
        stage.run("remote", "publish", *where, "--market", "market.json", show=False)
        stage.run(
            "remote", "trade", *where, "--account", ACCOUNT, "--trade-id", "opening", "--book", f"{venue}-book.csv"
        )
        stage.run("remote", "holder", *where, "--account", ACCOUNT, "--holder", IDENTITY)


def _attestations(stage: Stage) -> None:
    stage.title(f"2. {ACCOUNT} asks both venues for an attestation for {AUDIENCE}, and keeps the openings")
    stage.run("keys", "new", "--out", f"{ACCOUNT}-key", "--venue", ACCOUNT, show=False, makes=f"{ACCOUNT}-key")
    stage.run("keys", "public", f"{ACCOUNT}-key", into=f"{ACCOUNT}-public.json", show=False)
    for venue in VENUES:
        where = ("--server", _address(stage, venue), "--identity", f"{venue}/tls/account-holder-{ACCOUNT}")
        stage.run("remote", "margin", *where, "--account", ACCOUNT, "--json", into=f"{venue}-margin.json")
        _say_margin(stage, venue)
        files = ("--out", f"{venue}-attestation.json", "--opening", f"{venue}-opening.json")
        asked = ("--account", ACCOUNT, "--audience", AUDIENCE, "--nonce", "2718", "--ttl", TTL)
        stage.run("remote", "attest", *where, *asked, "--holder-key", f"{ACCOUNT}-public.json", *files)


def _say_margin(stage: Stage, venue: str) -> None:
    margin = json.loads(read_bytes(stage.folder / f"{venue}-margin.json"))
    value, needed = margin["value_micros"], margin["maintenance_margin_micros"]
    short = f", {money(needed - value)} short" if value < needed else ""
    stage.say(f"{venue}: the book is worth {money(value)} USD, its maintenance margin is {money(needed)}{short}")


def _verifier(stage: Stage) -> None:
    stage.title(f"3. {AUDIENCE} has the attestations and the public keys, and has never seen the book")
    (stage.folder / AUDIENCE).mkdir()
    for venue in VENUES:
        stage.give(f"{venue}-attestation.json", AUDIENCE)
        stage.give(f"{venue}-keys.json", AUDIENCE)
    for venue in VENUES:
        stage.run(*_verify(venue), within=AUDIENCE)


def _verify(venue: str, attestation: str = "") -> tuple[str, ...]:
    file = attestation or f"{venue}-attestation.json"
    return ("verify", file, "--keys", f"{venue}-keys.json", "--audience", AUDIENCE, "--nonce", "2718")


def _forger(stage: Stage) -> None:
    stage.title("4. Somebody makes the margin smaller, or shows the attestation to somebody else")
    envelope = json.loads(read_bytes(stage.folder / AUDIENCE / "venue-a-attestation.json"))
    payload = json.loads(from_base64(envelope["payload"], "payload"))
    disclosure = payload["disclosure"]
    before, after = disclosure["initial_margin_micros"], disclosure["maintenance_margin_micros"]
    disclosure["initial_margin_micros"] = after
    envelope["payload"] = to_base64(canonical_json(payload))
    write_bytes(stage.folder / AUDIENCE / "forged.json", canonical_json(envelope))
    stage.say(f"forged.json says an initial margin of {money(int(after))} in place of {money(int(before))}")
    stage.run(*_verify("venue-a", "forged.json"), within=AUDIENCE, expect=1)
    other = (
        "verify",
        "venue-a-attestation.json",
        "--keys",
        "venue-a-keys.json",
        "--audience",
        "somebody-else",
        "--nonce",
        "2718",
    )
    stage.run(*other, within=AUDIENCE, expect=1)


def _proof(stage: Stage) -> None:
    stage.title(
        f"5. {ACCOUNT} is under-margined at each venue; both together lose little, and one proof shows it to {AUDIENCE}"
    )
    stage.give("market.json", AUDIENCE)
    asked = ("--audience", AUDIENCE, "--bound", BOUND, "--numeraire", "USD", "--ttl", TTL, "--out", "challenge.json")
    stage.run("challenge", *asked, within=AUDIENCE)
    prove = ("prove", "--challenge", f"{AUDIENCE}/challenge.json", "--holder-key", f"{ACCOUNT}-key")
    accounts = [_account(venue, "opening") for venue in VENUES]
    stage.say("venue-a alone: no proof, and only the prover is told why")
    stage.run(*prove, *accounts[0], "--out", f"{AUDIENCE}/proof.json", expect=1)
    stage.say("both together:")
    stage.run(*prove, *accounts[0], *accounts[1], "--out", f"{AUDIENCE}/proof.json")
    stage.say(
        "most of the points went for the margins shown above: attest with --disclose none what is meant for proofs"
    )
    stage.say(f"{AUDIENCE} has seen neither book:")
    stage.run(*_verify_proof("proof.json", "challenge.json"), within=AUDIENCE)


def _proof_forger(stage: Stage) -> None:
    from riskproof.proof.challenge import Challenge

    stage.title("6. The same proof for a bound one micro lower, for somebody else, and relabelled for both")
    folder = stage.folder / AUDIENCE
    asked = json.loads(read_bytes(folder / "challenge.json"))
    proof = json.loads(read_bytes(folder / "proof.json"))
    lower = {"bound_micros": str(int(asked["bound_micros"]) - 1)}
    forgeries = (
        ("lower-bound", lower, f"a bound of {money(int(lower['bound_micros']))}"),
        ("other-audience", {"audience": "somebody-else"}, "the audience somebody-else"),
    )
    for name, change, what in forgeries:
        challenge = Challenge.from_bytes(canonical_json({**asked, **change}))
        write_bytes(folder / f"{name}.json", challenge.to_bytes())
        relabelled = {**proof, "challenge_digest": challenge.digest.hex()}
        write_bytes(folder / f"{name}-proof.json", canonical_json(relabelled))
        stage.say(
            f"{name}.json is the challenge with {what}; {name}-proof.json is the proof, made to name that challenge"
        )
        stage.run(*_verify_proof("proof.json", f"{name}.json"), within=AUDIENCE, expect=1)
        stage.run(*_verify_proof(f"{name}-proof.json", f"{name}.json"), within=AUDIENCE, expect=1)


def _account(venue: str, second: str) -> tuple[str, ...]:
    """An attestation, its opening or its venue's keys, and its market."""
    other = (f"--{second}", f"{venue}-{second}.json")
    return ("--attestation", f"{venue}-attestation.json", *other, "--market", "market.json")


def _verify_proof(proof: str, challenge: str) -> tuple[str, ...]:
    accounts = [word for venue in VENUES for word in _account(venue, "keys")]
    return ("verify-proof", proof, "--challenge", challenge, *accounts)


def _auditor(stage: Stage) -> None:
    stage.title("7. An auditor is shown one position, and then the whole book")
    stage.run(
        "disclose", "--opening", "venue-a-opening.json", "--instrument", "BTC-PERPETUAL", "--out", "position.json"
    )
    proof = ("verify", "position.json", "--attestation", "venue-a-attestation.json", "--keys", "venue-a-keys.json")
    stage.run(*proof, "--audience", AUDIENCE, "--nonce", "2718")
    stage.run(*_verify("venue-a"), "--market", "market.json", "--opening", "venue-a-opening.json")
    stage.say("the auditor's own table of the risk array; the arrow marks the worst scenario:")
    stage.run("array", "--market", "market.json", "--portfolio", "venue-a-book.csv")
