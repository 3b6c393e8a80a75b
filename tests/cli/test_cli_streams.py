"""The command line where files, streams and folders are not what one hopes for: real processes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cli_support import Run
from click.testing import CliRunner

from riskproof.cli import EXIT_NOT_WRITTEN, main
from riskproof.cli.compiled import VARIABLE, prepare_cache
from riskproof.cli.files import PRIVATE, PUBLIC, check_outputs, read_bytes, write_all, write_bytes
from riskproof.cli.output import amounts
from riskproof.errors import InputError, RemoteError

FULL = Path("/dev/full")


def shell(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **more}
    command = f'riskproof() {{ "{sys.executable}" -m riskproof.cli "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["keys public key", "--help", "keys public --help"])
def test_a_full_disk_behind_standard_output_is_one_message(run: Run, tmp_path: Path, command: str) -> None:
    run("keys", "new", "--out", "key")
    done = shell(f"riskproof {command} > /dev/full", tmp_path)
    assert done.returncode == EXIT_NOT_WRITTEN
    assert done.stderr == "riskproof: standard output: cannot be written: No space left on device\n"


def test_a_reader_that_leaves_early_is_no_verdict(run: Run, tmp_path: Path) -> None:
    run("keys", "new", "--out", "key")
    done = shell("(sleep 1; riskproof keys public key) | true; exit ${PIPESTATUS[0]}", tmp_path)
    assert (done.stderr, done.returncode) == ("", EXIT_NOT_WRITTEN)


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_bytes(pipe, b"abc")
    assert os.read(reader, 10) == b"abc"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_as_a_file(tmp_path: Path) -> None:
    done = shell("riskproof market sample --out /dev/stdout | head -c 13", tmp_path)
    assert done.stdout == '{"registry":{'


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to(FULL)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        write_bytes(tmp_path / "full", b"abc")
    assert stat.S_ISCHR(FULL.stat().st_mode)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(InputError, match="cannot be written: Too many levels of symbolic links"):
        write_bytes(loop, b"abc")
    with pytest.raises(InputError, match="cannot be read: Too many levels of symbolic links"):
        read_bytes(loop)
    check_outputs({"--out": loop}, [tmp_path / "other"])
    with pytest.raises(InputError, match=r"--out: .*loop is also an input or another output"):
        check_outputs({"--out": loop}, [loop])
    assert [p.name for p in tmp_path.iterdir()] == ["loop"]
    assert loop.is_symlink()


def test_files_that_belong_together_are_all_written_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"old")
    with pytest.raises(InputError, match=r"no/second: cannot be written: No such file or directory"):
        write_all((first, b"new", PRIVATE), (tmp_path / "no" / "second", b"new", PUBLIC))
    assert [p.name for p in tmp_path.iterdir()] == ["first"]
    assert first.read_bytes() == b"old"
    write_all((first, b"new", PRIVATE), (second, b"more", PUBLIC))
    assert (first.read_bytes(), second.read_bytes()) == (b"new", b"more")
    assert [stat.S_IMODE(p.stat().st_mode) for p in (first, second)] == [PRIVATE, PUBLIC]


def test_a_link_to_an_input_is_that_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(InputError, match=r"--out: .*link is also an input or another output, and would be replaced"):
        check_outputs({"--out": tmp_path / "link"}, [tmp_path / "file"])


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Is a directory"):
        write_bytes(tmp_path, b"abc")


def test_kernels_go_to_a_private_folder_where_no_other_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("riskproof.cli.compiled._writable", lambda folder: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("atexit.register", lambda *_, **__: None)
    prepare_cache()
    folder = Path(os.environ[VARIABLE])
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.delenv(VARIABLE)


def test_the_cache_that_the_user_names_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/somewhere")
    prepare_cache()
    assert os.environ[VARIABLE] == "/somewhere"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody who can write nowhere")
def test_without_a_home_and_with_a_read_only_checkout_it_computes_all_the_same(run: Run, tmp_path: Path) -> None:
    """Debian's nobody has no home and may not write to the checkout; only the kernel of `price` is compiled."""
    run("market", "sample", "--out", "market.json")
    become = "import os, sys; os.setgid(65534); os.setuid(65534); "
    environment = {"HOME": "/nonexistent", "PATH": os.environ["PATH"]}

    def nobody(code: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-c", become + code, *arguments],
            cwd="/",
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
        )

    if nobody("import typing, click, riskproof").returncode != 0:
        pytest.skip("others cannot read this checkout or its Python")
    with tempfile.TemporaryDirectory() as name:
        market = shutil.copy(tmp_path / "market.json", name)
        Path(name).chmod(0o755)
        code = "from riskproof.cli import main; main(sys.argv[1:])"
        done = nobody(code, "price", "--market", market)
        assert done.returncode == 0, done.stderr
        assert b"BTC-PERPETUAL" in done.stdout
        Path(market).chmod(0o600)
        done = nobody(code, "price", "--market", market, "--json")
        assert done.returncode == 2
        assert b'"what": "cannot be read: Permission denied"' in done.stdout


@pytest.mark.parametrize("value", ["", "1"])
def test_no_color(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    def stopped(*_: object) -> None:
        raise RemoteError("stopped")

    monkeypatch.setattr("riskproof.cli.demo._venues", stopped)
    monkeypatch.setenv("NO_COLOR", value)
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "d")], color=True)
    assert "the demo stopped" in result.output
    assert ("\x1b" in result.output) is (value == "")


def test_amounts_of_a_column_have_their_points_below_each_other() -> None:
    assert amounts([-1_500_000, 2_123_456, 0]) == ["-1.500000", "2.123456", "0.000000"]
    assert amounts([1_500_000, 10**12]) == ["1.50", "1,000,000.00"]
    assert amounts([]) == []
