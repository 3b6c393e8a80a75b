"""What the ledger's tests share: a small registry, records to store, and the worker processes that get killed."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import threading
from pathlib import Path

from riskproof.errors import ConflictError, StoreError
from riskproof.market.registry import Instrument, Kind, Payoff, Registry
from riskproof.store import AttestationRecord, Ledger

COINS = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT")
TIME = 1_768_382_553


def registry(count: int = 4) -> Registry:
    return Registry("USD", tuple(Instrument(coin, Kind.SPOT, coin, Payoff.LINEAR, 10**9) for coin in COINS[:count]))


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def builder(label: str, size: int = 600):
    """A build function whose record depends on the label, the sequence and the previous digest."""

    def build(sequence: int, previous: bytes) -> AttestationRecord:
        digest = hashlib.sha256(f"{label} {sequence} ".encode() + previous).digest()
        return AttestationRecord(digest, b"attestation " + digest * (size // 32), b"opening " + digest * 20, TIME)

    return build


def window(name: str) -> tuple[int, int]:
    """The window an exclusive attestation asks for: 1 to 40 of 20,000 seconds, by its request id."""
    drawn = hashlib.sha256(name.encode()).digest()
    start = TIME + int.from_bytes(drawn[:4], "big") % 20_000
    return start, start + 1 + drawn[4] % 40


def load(url: str, acks: str, accounts: int, run: int, pending: list[tuple[str, str]], stop_after: int = 0) -> None:
    """Worker process: trades and attestations from several threads for ever (or `stop_after` operations per thread).

    Before an operation it writes an intent line to the file `acks`, after the answer an acknowledgement. `pending` are the
    operations the last worker left unanswered: they are sent again first, under the same ids. Exclusive attestations ask for
    windows that often overlap; being refused is an answer, too.
    """
    log = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Ledger.open(url) as ledger:

        def send(account: str, name: str) -> None:
            os.write(log, f"intent {account} {name}\n".encode())
            if name.startswith("trade"):
                receipt = ledger.record_trades(account, name, [(0, 3), (len(name) % 3 + 1, -2)], TIME)
                os.write(log, f"trade {account} {name} {receipt.position_version}\n".encode())
                return
            exclusive = window(name) if name.startswith("pledge") else None
            try:
                stored = ledger.append_attestation(account, name, builder(f"{account} {name}"), exclusive=exclusive)
            except ConflictError:
                os.write(log, f"refused {account} {name}\n".encode())
            else:
                os.write(log, f"attestation {account} {name} {stored.digest.hex()} {stored.sequence}\n".encode())

        def client(number: int) -> None:
            rng = random.Random(run * 1000 + number)
            count = 0
            while not stop_after or count < stop_after:
                kind = rng.choice(("trade", "request", "pledge"))
                send(f"account-{rng.randrange(accounts)}", f"{kind}-{run}-{number}-{count}")
                count += 1

        for account, name in pending:
            send(account, name)
        threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Told:
    """What workers wrote to their acknowledgement files."""

    def __init__(self) -> None:
        self.trades: list[tuple[str, str, int]] = []
        self.attestations: list[tuple[str, str, bytes]] = []
        self.refused: list[tuple[str, str]] = []

    def read(self, acks: Path) -> list[tuple[str, str]]:
        """Take in one file; returns the operations that were sent and not answered."""
        intents: dict[tuple[str, str], None] = {}
        for line in acks.read_text().splitlines() if acks.exists() else []:
            kind, account, name, *answer = line.split()
            if kind == "intent":
                intents[account, name] = None
                continue
            intents.pop((account, name))
            if kind == "trade":
                self.trades.append((account, name, int(answer[0])))
            elif kind == "refused":
                self.refused.append((account, name))
            else:
                self.attestations.append((account, name, bytes.fromhex(answer[0])))
        return list(intents)

    def __len__(self) -> int:
        return len(self.trades) + len(self.attestations) + len(self.refused)


def fill_disk(url: str, limit: int, answer) -> None:
    """Worker process: append until no file may grow beyond `limit` bytes, then give room again and go on."""
    with Ledger.open(url) as ledger:
        ledger.open_account("a")
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        told, failure = [], None
        for number in range(10_000):
            try:
                told.append(ledger.append_attestation("a", f"r{number}", builder(str(number), 20_000)).digest)
            except StoreError as error:
                failure = error
                break
        again = []
        for _ in range(3):
            try:
                ledger.append_attestation("a", f"r{len(told)}", builder(str(len(told)), 20_000))
            except StoreError as error:
                again.append(type(error).__name__)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        after = ledger.append_attestation("a", f"r{len(told)}", builder(str(len(told)), 20_000))
        answer.send((type(failure).__name__, str(failure), again, told, after.sequence, ledger.verify_integrity()))
