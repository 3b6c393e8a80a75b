"""Check the documentation against the project: links and anchors resolve, commands and make targets exist.

    python -m tools.check_docs

* every relative link in README.md, CHANGELOG.md, SECURITY.md and docs/ names a file that is there, and its #anchor a heading in it;
* every `riskproof ...` line in a code block names a command that exists, with options that it has;
* every `make ...` line names a target of the Makefile;
* every page of docs/ can be reached from README.md by links.

Exit status 1 and one line per finding if something is wrong.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click

from riskproof.cli import main as cli

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?$(.*?)^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """The Markdown files that are checked."""
    tops = sorted(ROOT.glob("*.md"))
    rooms = ("docs", "benchmarks", "circuits", "proto", "tests")
    return tops + [p for room in rooms for p in sorted((ROOT / room).rglob("*.md")) if "node_modules" not in p.parts]


def anchor(heading: str) -> str:
    """The anchor that forges give a heading: lower case, punctuation dropped, spaces to hyphens."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def prose(text: str) -> str:
    """The page without its code blocks."""
    return FENCE.sub("", text)


def check_links(page: Path, linked: dict[Path, set[Path]]) -> list[str]:
    found = []
    for target in LINK.findall(prose(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        where = f"{page.relative_to(ROOT)}: link {target}"
        if not file.exists():
            found.append(f"{where}: no such file")
            continue
        linked.setdefault(page, set()).add(file)
        if fragment and file.suffix == ".md" and fragment not in map(anchor, HEADING.findall(prose(file.read_text()))):
            found.append(f"{where}: no such heading")
    return found


def commands(page: Path) -> list[str]:
    """Command lines in the page's code blocks, continuation lines joined, prompts dropped."""
    lines = []
    for block in FENCE.findall(page.read_text()):
        joined = re.sub(r"\\\n\s*", " ", block)
        lines += [re.sub(r"^\s*\$ ", "", line).strip() for line in joined.splitlines()]
    return lines


def check_riskproof(line: str) -> str | None:
    """What is wrong with a `riskproof ...` command line, or None."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        return str(error)
    words = words[
        : next((i for i, w in enumerate(words) if w in (";", "|", ">", "&&", "&") or w.startswith(">")), len(words))
    ]
    command: click.Command = cli
    context = click.Context(cli, info_name="riskproof")
    rest = [w.rstrip(";") for w in words[1:]]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            return f"no command {rest[0]}"
        command, rest = found, rest[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    for word in rest:
        name = word.strip("[]").split("=")[0]
        if name.startswith("--") and name not in known:
            return f"no option {name}"
    return None


def check_commands(page: Path, targets: set[str]) -> list[str]:
    found = []
    for line in commands(page):
        problem = None
        if line.startswith("riskproof "):
            problem = check_riskproof(line)
        elif line.startswith("make "):
            missing = [w for w in shlex.split(line, comments=True)[1:] if "=" not in w and w not in targets]
            problem = f"no target {missing[0]}" if missing else None
        if problem:
            found.append(f"{page.relative_to(ROOT)}: {line[:80]}: {problem}")
    return found


def unreachable(linked: dict[Path, set[Path]]) -> list[str]:
    seen, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page not in seen:
            seen.add(page)
            queue += [p for p in linked.get(page, ()) if p.suffix == ".md"]
            queue += [p for d in linked.get(page, ()) if d.is_dir() for p in d.glob("*.md")]
    return [
        f"{p.relative_to(ROOT)}: no way here from README.md" for p in pages() if "docs" in p.parts and p not in seen
    ]


def main() -> int:
    """Check every page; print findings; exit status."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    linked: dict[Path, set[Path]] = {}
    found = []
    for page in pages():
        found += check_links(page, linked) + check_commands(page, targets)
    found += unreachable(linked)
    for line in found:
        print(line)
    print(f"{len(pages())} pages, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
