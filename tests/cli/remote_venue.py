"""`riskproof serve` in a folder, as people start it, and `riskproof remote` against it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result

from riskproof.cli import main

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
[proving]
workers = {workers}
"""


def riskproof(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def remote(command: str, who: str, *arguments: str, code: int = 0) -> Result:
    server = Path("address").read_text()
    return riskproof("remote", command, "--server", server, "--identity", f"tls/{who}", *arguments, code=code)


@contextmanager
def served(folder: Path, *, workers: int = 0) -> Iterator[Path]:
    """A folder, the current one inside, in which a venue serves a sample market of now, and alice has a book."""
    old = Path.cwd()
    os.chdir(folder)
    clients = ("--client", "operator:ops", "--client", "account-holder:alice", "--client", "verifier:lender")
    riskproof("certificates", "--out", "tls", *clients)
    riskproof("keys", "new", "--out", "key")
    riskproof("market", "sample", "--time", "now", "--out", "market.json", "--book", "market-maker-a=book.csv")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    Path("address").write_text(f"127.0.0.1:{port}")
    Path("riskproof.toml").write_text(CONFIG.format(port=port, workers=workers))
    command = [sys.executable, "-m", "riskproof.cli", "serve", "--config", "riskproof.toml"]
    with Path("server.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            until = time.monotonic() + 60
            while (
                CliRunner()
                .invoke(main, ["remote", "keys", "--server", f"127.0.0.1:{port}", "--identity", "tls/operator-ops"])
                .exit_code
            ):
                assert process.poll() is None, Path("server.log").read_text()
                assert time.monotonic() < until
                time.sleep(0.1)
            remote("publish", "operator-ops", "--market", "market.json")
            book = ("--account", "alice", "--trade-id", "t1", "--book", "book.csv")
            assert "27 legs" in remote("trade", "operator-ops", *book).stdout
            yield folder
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(20)
    os.chdir(old)
    assert status == 0  # Ctrl-C is how a server ends
    assert "Traceback" not in (folder / "server.log").read_text()
