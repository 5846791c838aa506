"""Mermaid's sequence diagrams (https://mermaid.js.org/syntax/sequenceDiagram.html), statement by statement."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Final

from pytest_orchestra.problem import Place
from pytest_orchestra.readers.problem_list import ProblemList
from pytest_orchestra.readers.sequence.statements import (
    Activation,
    Block,
    BlockEnd,
    BlockPart,
    BlockStart,
    Declaration,
    Diagram,
    Message,
    MessageKind,
    Note,
)

__all__ = ["read_mermaid"]

_HEADER: Final = "sequencediagram"
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_FENCE: Final = re.compile(r"\s*---\s*")
_TITLE: Final = re.compile(r"title\s*:(.*)")
_ENTITY: Final = re.compile(r"[#&](\w{1,32});")
_OPENED, _CLOSED = "\ue000", "\ue001"
_KEPT_ENTITY: Final = re.compile(f"{_OPENED}(\\w+){_CLOSED}")
_STATEMENT: Final = re.compile(r"[^;]+")
_WORD: Final = re.compile(r"([A-Za-z_]+)(?=[\s:{]|$)[\s:]*")
_ARROW: Final = re.compile(
    r"<<--?>>|--?>>?|--?\)|--?\|[\\/]|[\\/]\|--?|--?(?:\\\\|//)|(?:\\\\|//)--?|(?P<cross>--?[xX])"
)
_TURNED: Final = ("\\|", "/|", "\\\\-", "//-")
_CONFIGURED_ALIAS: Final = re.compile(r"""["']?alias["']?\s*:\s*["']([^"']*)["']""")
_NOTE: Final = re.compile(r"(?:left of|right of|over)\s([^:]*):(.*)", re.IGNORECASE)
_WRAP: Final = re.compile(r"\s*(?:no)?wrap:", re.IGNORECASE)
_BLOCKS: Final = {
    "alt": Block.ALT,
    "opt": Block.OPT,
    "loop": Block.LOOP,
    "par": Block.PAR,
    "par_over": Block.PAR,
    "break": Block.BREAK,
    "critical": Block.CRITICAL,
    "rect": Block.FRAME,
    "box": Block.FRAME,
}
_PARTS: Final = {
    Block.ALT: frozenset({"else"}),
    Block.PAR: frozenset({"and"}),
    Block.CRITICAL: frozenset({"option"}),
}
_SKIPPED: Final = frozenset(
    {"autonumber", "deactivate", "destroy", "link", "links", "properties", "details", "acctitle", "accdescr"}
)
_HINT: Final = "write a message as 'A->>B: text'; this is left out"
_HINT_BEHIND: Final = "a ';' ends a statement; write '#59;' for one in a text; this is left out"


def read_mermaid(text: str, problems: ProblemList) -> Diagram | None:
    """Read a diagram; None, and an error, if the text holds none."""
    return _Reading(problems).read(text)


class _Reading:
    def __init__(self, problems: ProblemList) -> None:
        self._problems = problems
        self._title = ""
        self._diagram: Diagram | None = None
        self._last = Place(problems.file)
        self._in_description = False
        self._follows = False
        self._keywords: dict[str, Callable[[str, Place], None]] = {
            "participant": self._declare,
            "actor": self._declare,
            "create": self._create,
            "activate": self._activate,
            "note": self._note,
            "title": self._entitle,
            "end": lambda _text, place: self._say(BlockEnd(place)),
        }

    def read(self, text: str) -> Diagram | None:
        lines = self._without_front_matter(_LINE_END.split(_without_directives(text)))
        for number, line in lines:
            if line.lstrip().startswith("%%"):
                continue
            for column, statement in _split(line):
                place = Place(self._problems.file, number, column)
                self._follows = self._last.line == number
                self._last = place
                said = self._begin(statement, place) if self._diagram is None else statement
                if said is None:
                    return None
                if said:
                    self._read_statement(said, place)
        if self._diagram is None:
            hint = "begin with the line 'sequenceDiagram'"
            self._problems.add_error(Place(self._problems.file), "the file holds no diagram", hint)
            return None
        self._diagram.title = self._title
        self._diagram.end = self._last
        return self._diagram

    def _without_front_matter(self, lines: list[str]) -> Iterator[tuple[int, str]]:
        """Give the lines with their numbers; take the title out of the YAML that may stand before them."""
        begin = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
        body = begin
        if begin < len(lines) and _FENCE.fullmatch(lines[begin]):
            close = next((i for i in range(begin + 1, len(lines)) if _FENCE.fullmatch(lines[i])), None)
            if close is not None:
                body = close + 1
                titles = (_TITLE.fullmatch(line.strip()) for line in lines[begin + 1 : close])
                self._title = next((_unquoted(title[1].strip()) for title in titles if title), "")
        for index in range(body, len(lines)):
            yield index + 1, lines[index]

    def _begin(self, statement: str, place: Place) -> str | None:
        """Take the first statement, which says what kind of diagram it is; give what follows that word."""
        word, _, rest = statement.partition(" ")
        if word.lower() != _HEADER:
            fact = f"the file begins with '{word[:60]}', not with 'sequenceDiagram'"
            hint = "give a sequence diagram; other kinds of diagrams hold no process"
            self._problems.add_error(place, fact, hint)
            return None
        self._diagram = Diagram(place, _PARTS)
        return rest.strip()

    def _read_statement(self, statement: str, place: Place) -> None:
        if self._in_description:
            self._in_description = "}" not in statement
            return
        word = _WORD.match(statement)
        keyword = word[1].lower() if word else ""
        text = _decoded(statement[word.end() :]).strip() if word else ""
        if keyword not in _BLOCKS and _ARROW.match(text) and self._message(statement, place):
            return
        if keyword in _BLOCKS:
            self._say(BlockStart(_BLOCKS[keyword], keyword, _without_wrap(text), place))
        elif keyword in self._keywords:
            self._keywords[keyword](text, place)
        elif any(keyword in words for words in _PARTS.values()):
            self._say(BlockPart(keyword, _without_wrap(text), place))
        elif keyword in _SKIPPED:
            self._in_description = keyword == "accdescr" and text.startswith("{") and "}" not in text
        elif not self._message(statement, place):
            self._refuse(statement, place)

    def _say(self, statement: BlockStart | BlockPart | BlockEnd | Declaration | Message | Activation | Note) -> None:
        if self._diagram is not None:
            self._diagram.statements.append(statement)

    def _refuse(self, statement: str, place: Place) -> None:
        hint = _HINT_BEHIND if self._follows else _HINT
        self._problems.add_warning(place, f"'{_decoded(statement)}' is not understood", hint)

    def _message(self, statement: str, place: Place) -> bool:
        head, colon, text = statement.partition(":")
        arrow = _find_arrow(head)
        if arrow is None:
            return False
        sender = head[: arrow.start()].strip().removesuffix("()").strip()
        receiver = head[arrow.end() :].strip()
        activates = receiver.startswith("+")
        receiver = receiver[receiver.startswith(("+", "-")) :].strip().removeprefix("()").strip()
        if not sender or not receiver or any(mark in sender + receiver for mark in "<>"):
            return False
        if arrow[0].startswith(_TURNED):
            sender, receiver = receiver, sender
        said = _without_wrap(_decoded(text)) if colon else ""
        self._say(Message(_named(sender), _named(receiver), said, _kind(arrow[0]), place, activates))
        return True

    def _declare(self, text: str, place: Place) -> None:
        said, _, rest = text.partition("@{")
        configuration, _, behind = rest.partition("}")
        alias = _CONFIGURED_ALIAS.search(configuration)
        name, _, label = f"{said}{behind}".partition(" as ")
        shown = label or (alias[1] if alias else name)
        if not name.strip():
            self._refuse("participant", place)
            return
        self._say(Declaration(_named(name), _unquoted(shown.strip()), place))

    def _create(self, text: str, place: Place) -> None:
        word = _WORD.match(text)
        if word and word[1].lower() in ("participant", "actor"):
            self._declare(text[word.end() :], place)
        else:
            self._refuse(f"create {text}", place)

    def _activate(self, text: str, place: Place) -> None:
        del place
        self._say(Activation(_named(text)))

    def _entitle(self, text: str, place: Place) -> None:
        del place
        self._title = text

    def _note(self, text: str, place: Place) -> None:
        note = _NOTE.match(text)
        if note is None:
            self._refuse(f"note {text}", place)
        else:
            self._say(Note(_without_wrap(note[2]), place))


def _without_directives(text: str) -> str:
    """Blank out what stands between ``%%{`` and ``}%%``, line ends excepted."""
    parts: list[str] = []
    position = 0
    while (start := text.find("%%{", position)) >= 0 and (end := text.find("}%%", start)) >= 0:
        parts.append(text[position:start])
        parts.append(re.sub(r"[^\r\n]", " ", text[start : end + 3]))
        position = end + 3
    parts.append(text[position:])
    return "".join(parts)


def _split(line: str) -> Iterator[tuple[int, str]]:
    """Give the statements of a line with their columns: ``;`` separates them, and a comment begins with ``#``.

    Entities such as ``#59;`` keep their length, so that columns stay right. White space is folded, as runs of it could
    make the matching slow.
    """
    kept = _ENTITY.sub(lambda entity: f"{_OPENED}{entity[1]}{_CLOSED}", line)
    for part in _STATEMENT.finditer(kept.partition("#")[0]):
        statement = part[0].strip()
        if statement:
            column = part.start() + len(part[0]) - len(part[0].lstrip()) + 1
            yield column, " ".join(statement.split())


def _decoded(text: str) -> str:
    return _KEPT_ENTITY.sub(lambda entity: _character(entity[1]), text) if _OPENED in text else text


def _character(name: str) -> str:
    entity = f"&#{name};" if name.isdecimal() else f"&{name};"
    return html.unescape(entity)


def _find_arrow(head: str) -> re.Match[str] | None:
    """Find the arrow: a name may hold hyphens, so ``-x`` is one only where there is no other."""
    cross = None
    for arrow in _ARROW.finditer(head):
        if not arrow["cross"]:
            return arrow
        cross = cross or arrow
    return cross


def _kind(arrow: str) -> MessageKind:
    is_dotted = "--" in arrow and not arrow.startswith("<<")
    if arrow[-1] in ")xX":
        return MessageKind.DOTTED_SEND if is_dotted else MessageKind.SEND
    return MessageKind.DOTTED_CALL if is_dotted else MessageKind.CALL


def _named(name: str) -> str:
    return _unquoted(_decoded(" ".join(name.split())))


def _unquoted(text: str) -> str:
    quotes = "\"'"
    return text[1:-1] if len(text) > 1 and text[0] in quotes and text[-1] == text[0] else text


def _without_wrap(text: str) -> str:
    return text[wrap.end() :] if (wrap := _WRAP.match(text)) else text
