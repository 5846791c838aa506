"""PlantUML's sequence diagrams (https://plantuml.com/sequence-diagram), statement by statement."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pytest_orchestra.problem import Place
from pytest_orchestra.readers.problem_list import ProblemList
from pytest_orchestra.readers.sequence.plantuml_arrow import NAME, read_arrow, read_name
from pytest_orchestra.readers.sequence.statements import (
    OUTSIDE,
    Activation,
    Block,
    BlockEnd,
    BlockPart,
    BlockStart,
    Declaration,
    Diagram,
    Message,
    Note,
    Reference,
    Return,
    Statement,
)

__all__ = ["read_plantuml"]

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_START: Final = re.compile(r"\s*@start(?P<kind>\w+)\s*(?:\(\s*id\s*=\s*(?P<id>[^)\s]+)\s*\))?\s*(?P<name>.*)")
_END: Final = re.compile(r"\s*@end\w+.*")
_BLOCKS: Final = {
    "alt": Block.ALT,
    "opt": Block.OPT,
    "loop": Block.LOOP,
    "par": Block.PAR,
    "par2": Block.PAR,
    "break": Block.BREAK,
    "critical": Block.CRITICAL,
    "group": Block.FRAME,
    "box": Block.FRAME,
}
_PARTS: Final = {Block.ALT: frozenset({"else"}), Block.PAR: frozenset({"else", "also"})}
_BLOCK: Final = re.compile(rf"&?\s*({'|'.join(_BLOCKS)}|else|also)(?:\s*#\w+)*(?:\s+(.*))?", re.IGNORECASE)
_BLOCK_END: Final = re.compile(r"&?\s*end(?:\s.*|box)?", re.IGNORECASE)
_KINDS: Final = "participant|actor|boundary|control|entity|database|collections|queue"
_DECLARATION: Final = re.compile(
    rf"(?:create\s+(?:(?:{_KINDS})\s+)?|(?:{_KINDS})\s+)(?P<name>{NAME})"
    r"(?:\s+order\s+-?\d+|\s*<<[^>]*>>|\s*#\S+|\s*\[\[[^\]]*\]\])*(?P<open>\s*\[)?",
    re.IGNORECASE,
)
_ACTIVATION: Final = re.compile(rf"activate\s+({NAME})(?:\s+#\S+)*", re.IGNORECASE)
_RETURN: Final = re.compile(r"&?\s*return(?:\s+(.*))?", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"ref(?:\s*#\w+)*\s+over\s+[^:]*?(?::(.*))?", re.IGNORECASE)
_NOTE: Final = re.compile(r"[&/]?\s*[hr]?note\s+(?:left|right|over|across|as|\")[^:]*?(?::(.*))?", re.IGNORECASE)
_TITLE: Final = re.compile(r"(?:title|mainframe)(?:\s*:\s*|\s+|$)(.*)", re.IGNORECASE)
_SKIPPED: Final = re.compile(
    r"(?:deactivate|destroy|autonumber|autoactivate|newpage|hide|show|skin|skinparam|scale|caption|header|footer|legend"
    r"|left\s+header|center\s+header|right\s+header|left\s+footer|center\s+footer|right\s+footer|ignore|rotate|url"
    r"|allow_?mixing|sprite)\b.*|==.*==|\.\.\..*|\|\|\|?|\|\|\d+\|\||!.*|</?style>"
    r"|\{\w+\}\s*<?-*>\s*\{\w+\}.*",
    re.IGNORECASE,
)
_PREPROCESSED: Final = re.compile(r"!(?!theme\b|pragma\b|assume\b|log\b|option\b|\s*$)\w+", re.IGNORECASE)
_SEQUENCE_ONLY: Final = re.compile(
    r"(?:participant|activate|deactivate|autonumber|alt|opt|loop|par|critical|return)(?:\s.*)?|ref\s+over\s.*",
    re.IGNORECASE,
)
_FOREIGN: Final = re.compile(
    r"(?:abstract\s+)?(?:class|interface|enum|annotation|struct|object|map|state|usecase|component|package|node|folder"
    r"|frame|cloud|rectangle|storage|artifact|agent|card|file|hexagon|stack|namespace|partition|swimlane|start|stop"
    r"|fork|split|repeat|while|if|switch|robust|concise|clock|binary)(?:[\s({\"].*)?"
    r"|\[[^\]>]+\].*|:.*[;|<>/\]}]|\(.*\).*|.*(?:<\|--|--\|>|<\|\.\.|\.\.\|>|\*--|--\*|o--|--o|\.\.>|<\.\.).*"
    r"|\|[^|]+\||[^:]*-->?\s*[(\[].*",
    re.IGNORECASE,
)
_LINE_BREAK: Final = re.compile(r"\\[nrl]|%n\(\)|%newline\(\)")
_TAG: Final = re.compile(
    r"</?(?:b|i|u|s|w|color|size|font|back|plain|img|del|strike|sub|sup|code)\b[^<>]*>|<[&:$][^<>]*>"
)
_BOLD: Final = re.compile(r"\*\*([^*]+)\*\*")
_CODE_POINT: Final = re.compile(r"<U\+([0-9a-fA-F]{1,5})>|&#(\d{1,7});")
_ANCHOR: Final = re.compile(r"(?:&\s*)?(?:\{\w+\}\s*)?")
_HINT: Final = "write a message as 'A -> B: text', with names of several words in quotes; this is left out"
_PREPROCESSOR_HINT: Final = "give the text as PlantUML's option '-preproc' writes it; this line is left out"


@dataclass(frozen=True, slots=True)
class _Enclosure:
    """A text of several lines: what begins it, what ends it, and how errors call it."""

    begin: re.Pattern[str]
    end: re.Pattern[str]
    name: str
    closing: str


def _enclosure(begin: str, end: str, name: str, closing: str) -> _Enclosure:
    return _Enclosure(re.compile(begin, re.IGNORECASE), re.compile(end, re.IGNORECASE), name, closing)


_NOTE_LINES: Final = _enclosure(
    r"[&/]?\s*([hr]?)note\s+(?:left|right|over|across|as)\b[^:]*", r"end\s?[hr]?note", "note", "end note"
)
_REFERENCE_LINES: Final = _enclosure(r"ref(?:\s*#\w+)*\s+over\s[^:]*", r"end\s?ref", "ref", "end ref")
_TITLE_LINES: Final = _enclosure("title", r"end\s?title", "title", "end title")
_ENCLOSURES: Final = (
    _NOTE_LINES,
    _REFERENCE_LINES,
    _TITLE_LINES,
    _enclosure(r"legend(?:\s+\w+)*", r"end\s?legend", "legend", "end legend"),
    _enclosure(r"(?:(?:left|center|right)\s+)?header", r"end\s?header", "header", "end header"),
    _enclosure(r"(?:(?:left|center|right)\s+)?footer", r"end\s?footer", "footer", "end footer"),
    _enclosure(r"skinparam\b.*\{", r".*\}", "skinparam", "}"),
    _enclosure(r"sprite\b.*\{", r".*\}", "sprite", "}"),
    _enclosure(r"<style>", r".*</style>", "style", "</style>"),
    _enclosure(r"!(?:unquoted\s+|final\s+)*procedure\b.*", r"!\s?endprocedure", "procedure", "!endprocedure"),
    _enclosure(r"!(?:unquoted\s+|final\s+)*function\b[^=]*", r"!\s?endfunction", "function", "!endfunction"),
)
_DECLARATION_LINES: Final = _enclosure(r".*\[", r".*\]", "participant", "]")


def read_plantuml(text: str, problems: ProblemList) -> list[Diagram]:
    """Read all sequence diagrams of a text; none, and an error, if it holds none."""
    found: list[Diagram] = []
    others: list[tuple[str, Place]] = []
    for block in _blocks(text, problems.file):
        if block.kind != "uml":
            others.append((f"@start{block.kind}", block.place))
            continue
        reading = _Reading(block, problems.file)
        reading.read()
        if reading.is_foreign:
            others.append((f"@startuml {block.name}".strip(), block.place))
            continue
        found.append(reading.diagram)
        for place, message, hint, is_error in reading.problems:
            (problems.add_error if is_error else problems.add_warning)(place, message, hint)
    if not found and not others:
        hint = "write '@startuml' before the diagram and '@enduml' behind it"
        problems.add_error(Place(problems.file), "the file holds no '@startuml'", hint)
    for name, place in others:
        add = problems.add_warning if found else problems.add_error
        add(place, f"'{name}' is no sequence diagram", "give sequence diagrams; this one is left out")
    return found


@dataclass(slots=True)
class _Text:
    """What stands between ``@start…`` and ``@end…``: lines with their numbers; without ``end`` if not closed."""

    kind: str
    name: str
    place: Place
    lines: list[tuple[int, str]]
    end: Place | None = None


def _blocks(text: str, file: str) -> Iterator[_Text]:
    block: _Text | None = None
    for number, line in _without_comments(_LINE_END.split(text)):
        start = _START.fullmatch(line)
        if start:
            if block is not None:
                yield block
            name = start["id"] or start["name"].strip().strip('"')
            column = len(line) - len(line.lstrip()) + 1
            block = _Text(start["kind"].lower(), name, Place(file, number, column), [])
        elif block is not None and _END.fullmatch(line):
            block.end = Place(file, number, len(line) - len(line.lstrip()) + 1)
            yield block
            block = None
        elif block is not None:
            block.lines.append((number, line))
    if block is not None:
        yield block


def _without_comments(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Give the lines with their numbers, comments blanked out, and lines that end in a backslash with the next."""
    in_comment = False
    whole, first = "", 0
    for number, written in enumerate(lines, start=1):
        line, in_comment = _blank_comments(written, in_comment=in_comment)
        if line.lstrip().startswith("'"):
            continue
        first = first or number
        if line.endswith("\\") and not line.endswith("\\\\"):
            whole += line[:-1]
            continue
        yield first, whole + line
        whole, first = "", 0
    if first:
        yield first, whole


def _blank_comments(line: str, *, in_comment: bool) -> tuple[str, bool]:
    """Blank out block comments; one may go on to the next line only if it begins its own."""
    if not in_comment and "/'" not in line:
        return line, False
    parts: list[str] = []
    position = 0
    while True:
        start = position if in_comment else line.find("/'", position)
        if start < 0:
            break
        end = line.find("'/", start if in_comment else start + 2)
        if end < 0:
            if not in_comment and line[:start].strip():
                break
            return "".join(parts) + line[position:start], True
        parts.append(line[position:start] + " " * (end + 2 - start))
        position, in_comment = end + 2, False
    return "".join(parts) + line[position:], False


class _Reading:
    """Reads one diagram; ``is_foreign`` says afterwards that it is of another kind."""

    def __init__(self, block: _Text, file: str) -> None:
        self._block = block
        self._file = file
        self.problems: list[tuple[Place, str, str, bool]] = []
        self.diagram = Diagram(block.place, _PARTS, block.name)
        self._seems_foreign = False
        self._is_sequence = False
        self._enclosure: _Enclosure | None = None
        self._enclosed: list[str] = []
        self._enclosed_at = block.place
        self._activates_all = False
        self._readers: tuple[Callable[[str, Place], bool], ...] = (
            self._read_block,
            self._read_enclosure,
            self._read_message,
            self._read_declaration,
            self._read_word,
        )

    @property
    def is_foreign(self) -> bool:
        has_message = any(isinstance(statement, Message) for statement in self.diagram.statements)
        return not self._is_sequence and (self._seems_foreign or not has_message)

    def read(self) -> None:
        last = self._block.place
        for number, line in self._block.lines:
            statement = " ".join(line.split())  # runs of white space could make the matching slow
            if not statement:
                continue
            last = Place(self._file, number, len(line) - len(line.lstrip()) + 1)
            if self._enclosure is not None:
                self._enclose(statement)
            else:
                self._read_statement(statement, last)
        self.diagram.end = self._block.end or last
        if self._enclosure is not None:
            name, closing = self._enclosure.name, self._enclosure.closing
            self._tell(self._enclosed_at, f"'{name}' is not closed", f"close it with '{closing}'", is_error=True)
            self.diagram.is_broken = True
        if self._block.end is None:
            self._tell(self._block.place, "'@startuml' is not closed", "write '@enduml' behind the diagram")

    def _tell(self, place: Place, message: str, hint: str, *, is_error: bool = False) -> None:
        self.problems.append((place, message, hint, is_error))

    def _say(self, statement: Statement) -> None:
        self.diagram.statements.append(statement)

    def _read_statement(self, statement: str, place: Place) -> None:
        self._is_sequence = self._is_sequence or bool(_SEQUENCE_ONLY.fullmatch(statement))
        if any(read(statement, place) for read in self._readers):
            return
        if _FOREIGN.fullmatch(statement):
            self._seems_foreign = True
        self._tell(place, f"'{statement}' is not understood", _HINT)

    def _enclose(self, statement: str) -> None:
        enclosure = self._enclosure
        if enclosure is None or not enclosure.end.fullmatch(statement):
            self._enclosed.append(statement)
            return
        text = _plain(" ".join(self._enclosed))
        if enclosure is _NOTE_LINES:
            self._say(Note(text, self._enclosed_at))
        elif enclosure is _REFERENCE_LINES:
            self._say(Reference(text, self._enclosed_at))
        elif enclosure is _TITLE_LINES:
            self.diagram.title = text
        self._enclosure = None

    def _read_enclosure(self, statement: str, place: Place) -> bool:
        found = next((enclosure for enclosure in _ENCLOSURES if enclosure.begin.fullmatch(statement)), None)
        if found is not None:
            self._begin_enclosure(found, place)
            self._warn_of_preprocessing(statement, place)
        return found is not None

    def _begin_enclosure(self, enclosure: _Enclosure, place: Place) -> None:
        self._enclosure, self._enclosed, self._enclosed_at = enclosure, [], place

    def _read_block(self, statement: str, place: Place) -> bool:
        if _BLOCK_END.fullmatch(statement):
            self._say(BlockEnd(place))
            return True
        found = _BLOCK.fullmatch(statement)
        if found is None:
            return False
        keyword, text = found[1].lower(), _plain(found[2] or "")
        block = _BLOCKS.get(keyword)
        if block is None:
            self._say(BlockPart(keyword, text, place))
        else:
            self._say(BlockStart(block, keyword, text, place))
        return True

    def _read_message(self, statement: str, place: Place) -> bool:
        anchor = _ANCHOR.match(statement)
        arrow = read_arrow(statement[anchor.end() :] if anchor else statement)
        if arrow is None:
            return False
        for name, label in (arrow.sender, arrow.receiver):
            if name not in (label, OUTSIDE):
                self._say(Declaration(name, _plain(label), place))
        activates = arrow.activates or self._activates_all
        names = arrow.sender[0], arrow.receiver[0]
        self._say(Message(*names, _plain(arrow.text), arrow.kind, place, activates))
        return True

    def _read_declaration(self, statement: str, place: Place) -> bool:
        found = _DECLARATION.fullmatch(statement)
        if found is None:
            return False
        name, label = read_name(found["name"])
        self._say(Declaration(name, _plain(label), place))
        if found["open"]:
            self._begin_enclosure(_DECLARATION_LINES, place)
        return True

    def _read_word(self, statement: str, place: Place) -> bool:
        if found := _ACTIVATION.fullmatch(statement):
            self._say(Activation(read_name(found[1])[0]))
        elif found := _RETURN.fullmatch(statement):
            self._say(Return(_plain(found[1] or ""), place))
        elif found := _REFERENCE.fullmatch(statement):
            self._say(Reference(_plain(found[1] or ""), place))
        elif found := _NOTE.fullmatch(statement):
            self._say(Note(_plain(found[1] or statement), place))
        elif found := _TITLE.fullmatch(statement):
            self.diagram.title = _plain(found[1])
        elif _SKIPPED.fullmatch(statement):
            if statement.lower().startswith("autoactivate"):
                self._activates_all = not statement.lower().endswith("off")
            self._warn_of_preprocessing(statement, place)
        else:
            return False
        return True

    def _warn_of_preprocessing(self, statement: str, place: Place) -> None:
        if _PREPROCESSED.match(statement) or statement.startswith("!$"):
            self._tell(place, f"'{statement}' is for PlantUML's preprocessor, which is not run", _PREPROCESSOR_HINT)


def _plain(text: str) -> str:
    """Give a text without what only changes its looks."""
    if "<" in text or "&" in text:
        text = _CODE_POINT.sub(_character, _TAG.sub("", text))
    return _BOLD.sub(r"\1", _LINE_BREAK.sub(" ", text)).strip()


def _character(found: re.Match[str]) -> str:
    return html.unescape(f"&#x{found[1]};" if found[1] else f"&#{found[2]};")
