"""The real server as a process: started by the command line, killed or stopped by signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from service_support import Files

from riskproof.client import Client
from riskproof.market.marketfile import Market
from riskproof.market.sample import sample_market

CONFIG = """
[server]
address = "127.0.0.1:0"
anonymous_address = "127.0.0.1:0"
{server}
[tls]
certificate = "server.pem"
private_key = "server-key.pem"
client_ca = "ca.pem"
[venue]
key = "key"
[ledger]
url = "sqlite:///ledger.db"
[proving]
workers = {workers}
{proving}
{more}
"""


def current_market() -> Market:
    """The sample market as of now: the process uses the real clock."""
    return sample_market(time=int(time.time()) - 5)


class VenueProcess:
    """`riskproof serve` in a folder made by `make_files`; ready when constructed."""

    def __init__(self, files: Files, server: str = "", more: str = "", *, workers: int = 0, proving: str = "") -> None:
        self.files = files
        config = files.folder / "riskproof.toml"
        config.write_text(CONFIG.format(server=server, more=more, workers=workers, proving=proving))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "riskproof.cli", "serve", "--config", str(config)],
            stderr=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line.startswith(b"{"), line + self.process.stderr.read()
        self.serving: dict[str, Any] = json.loads(line)
        assert self.serving["event"] == "serving"

    def client(self, name: str, **options: Any) -> Client:
        c = self.files.clients[name]
        return Client(
            self.serving["address"],
            authority=self.files.authority.certificate,
            certificate=c.certificate,
            private_key=c.private_key,
            **options,
        )

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def terminate(self) -> tuple[int, list[dict[str, Any]]]:
        """SIGTERM, and what it still logged."""
        self.process.send_signal(signal.SIGTERM)
        _, text = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in text.splitlines()]
