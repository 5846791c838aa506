"""Pages of the documentation as tests see them: fenced blocks, and what a reader types."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|:{3,})(?P<info>[^`]*)$")
_OPTION = re.compile(r"^:(?P<name>[\w-]+):\s*(?P<value>.*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block. ``file`` is the name of the file that a reader is to write, taken from the caption."""

    page: Path
    line: int
    language: str
    text: str
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """What a reader types, and what is shown below it."""

    words: str
    shown: str


def pages() -> list[Path]:
    """Give the README and every page of the documentation."""
    found = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
    return [README, *found]


def blocks(page: Path) -> list[Block]:
    """Give the fenced blocks of a page, in order; directives other than ``code-block`` are none."""
    return list(_blocks(page))


def _blocks(page: Path) -> Iterator[Block]:
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        opening = _FENCE.match(line)
        if opening is None:
            continue
        body: list[str] = []
        for _, inner in lines:
            if inner.strip() == opening["ticks"]:
                break
            body.append(inner[len(opening["indent"]) :])
        else:
            raise AssertionError(f"{page}:{number}: the fence is not closed")
        info = opening["info"].strip()
        directive, _, argument = info.partition("}") if info.startswith("{") else ("", "", info)
        if directive in ("", "{code-block"):
            file, text = _without_options(body) if directive else (None, body)
            yield Block(page, number, argument.strip(), "\n".join(text).strip("\n") + "\n", file)


def _without_options(body: list[str]) -> tuple[str | None, list[str]]:
    caption = None
    for number, line in enumerate(body):
        option = _OPTION.match(line)
        if option is None:
            return caption, body[number:]
        if option["name"] == "caption":
            caption = option["value"]
    return caption, []


def commands(block: Block) -> list[Command]:
    """Give what a ``console`` block shows: each line after ``$`` with the output below it."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return [Command(words, "\n".join(shown)) for words, shown in found]


def typed_lines(page: Path) -> list[tuple[Block, list[str]]]:
    """Give every command that a page tells its reader to type, as words without assignments and comments."""
    found = []
    for block in blocks(page):
        if block.language == "console":
            texts = [command.words for command in commands(block)]
        elif block.language == "sh":
            texts = block.text.replace("\\\n", " ").splitlines()
        else:
            continue
        for text in texts:
            for part in re.split(r"&&|\|\||;| \| ", text):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    del words[0]
                if words:
                    found.append((block, words))
    return found


def mend(old: str, change: str) -> str:
    """Apply a change that a ``diff`` block shows: lines with ``-`` become those with ``+``; each must occur once."""
    before = "\n".join(line[1:] for line in change.splitlines() if line[:1] in ("-", " "))
    after = "\n".join(line[1:] for line in change.splitlines() if line[:1] in ("+", " "))
    assert old.count(before) == 1, f"{before!r} occurs {old.count(before)} times"
    return old.replace(before, after)


def matches(shown: str, output: str) -> bool:
    """Tell whether an output is what a page shows, in which ``...`` stands for anything, alone in a line for lines."""
    lines = ("..." if line.strip() == "..." else line.rstrip() for line in shown.strip("\n").splitlines())
    wanted = ".*?".join(re.escape(part) for part in "\n".join(lines).split("..."))
    text = "\n".join(line.rstrip() for line in output.strip("\n").splitlines())
    return re.fullmatch(wanted, text, re.DOTALL) is not None
