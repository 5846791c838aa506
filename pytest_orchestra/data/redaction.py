"""Masking what must not be shown, and shortening what is too long to be read.

The values of secrets are found wherever they occur in strings, also URL-encoded, escaped for JSON or a shell, and in
base64, alone or inside of something longer. A secret of fewer than four characters is masked only where it is the whole
of a string: it would be found in every other word. Numbers, booleans and null are never masked.
"""

from __future__ import annotations

import base64
import json
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import unquote

from pytest_orchestra.model.json import JsonValue
from pytest_orchestra.model.secret import MASK, Secret

__all__ = ["Redactor", "is_sensitive_name", "mask_headers", "mask_url", "shorten"]

_SHORTEST_INSIDE: Final = 4
_SHORTEST_EMBEDDED: Final = 6  # fewer characters of base64 are met by chance

_SENSITIVE: Final = re.compile(
    r"authori[sz]ation|cookie|token|secret|passw|passphrase|pwd|credential|signature"
    r"|(api|access|private|signing|encryption)[-_.]?key|(^|[-_.])(key|auth|sig|jwt|otp|pat)$",
    re.IGNORECASE,
)
_KEYS_OF_DATA: Final = re.compile(
    r"(idempotency|partition|routing|message|cache|sort|primary|foreign|public)[-_.]?key$", re.IGNORECASE
)
_SCHEME: Final = re.compile(
    r"\s*(Basic|Bearer|Digest|DPoP|Negotiate|NTLM|Hawk|Token|ApiKey|AWS4-HMAC-SHA256)\s+(?=\S)", re.IGNORECASE
)
_CAN_HIDE: Final = re.compile(r"[@?#]")
_USERINFO: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/?#@:]*):[^/?#]*@")
_PARAMETER: Final = re.compile(r"([^=&;?#]+)=([^&;#]+)")


# ---- by name -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def is_sensitive_name(name: str) -> bool:
    """Tell whether the name of a header, parameter or variable says that its value is a credential."""
    return _SENSITIVE.search(name) is not None and _KEYS_OF_DATA.search(name) is None


def mask_headers(headers: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Give the headers with the values of those masked that carry credentials; of authorization the scheme stays."""
    return {name: _mask_all(value) if is_sensitive_name(name) else value for name, value in headers.items()}


def _mask_all(value: JsonValue) -> JsonValue:
    if isinstance(value, (list, tuple)):
        return [_mask_all(entry) for entry in value]
    if value is None or value == "":
        return value
    scheme = _SCHEME.match(value) if isinstance(value, str) else None
    return f"{scheme.group(1)} {MASK}" if scheme else MASK


def mask_url(url: str) -> str:
    """Give a URL without the password of its user and without the values of parameters that are credentials.

    All else stays as it is written, character by character.
    """
    if _CAN_HIDE.search(url) is None:
        return url
    masked = _USERINFO.sub(rf"\1:{MASK}@", url, count=1)
    address, mark, rest = re.split(r"([?#]|$)", masked, maxsplit=1)
    return address + mark + _PARAMETER.sub(_mask_parameter, rest)


def _mask_parameter(found: re.Match[str]) -> str:
    return f"{found[1]}={MASK}" if is_sensitive_name(unquote(found[1])) else found[0]


# ---- by value ----------------------------------------------------------------------------------------------------


class Redactor:
    """Replaces the values of secrets by ``***``."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        texts = sorted({form for secret in secrets for form in _readings(secret.reveal())}, key=lambda t: (-len(t), t))
        inside = [text for text in texts if len(text) >= _SHORTEST_INSIDE]
        short = [text for text in texts if len(text) < _SHORTEST_INSIDE]
        encoded = sorted({form for text in inside for form in _base64_forms(text)}, key=lambda f: (-len(f), f))
        self._shortest = len(inside[-1]) if inside else 0
        self._inside = _any_of([*map(_pattern, inside), *map(re.escape, encoded)])
        self._whole = _any_of([*map(_pattern, short), *(re.escape(form) for text in short for form in _base64(text))])

    def mask(self, value: JsonValue) -> JsonValue:
        """Give the value with every secret in its strings and keys masked; the value itself if there is none."""
        if self._inside is None and self._whole is None:
            return value
        return self._mask(value)

    def mask_text(self, text: str) -> str:
        """Give the text with every secret in it masked."""
        if self._whole is not None and self._whole.fullmatch(text):
            return MASK
        if self._inside is None or len(text) < self._shortest:
            return text
        return self._inside.sub(MASK, text)

    def _mask(self, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, Mapping):
            entries = [(self.mask_text(key), self._mask(entry)) for key, entry in value.items()]
            is_same = all(
                key is old_key and entry is old_entry
                for (key, entry), (old_key, old_entry) in zip(entries, value.items(), strict=True)
            )
            return value if is_same else _with_distinct_keys(entries)
        if isinstance(value, (list, tuple)):
            items = [self._mask(entry) for entry in value]
            return value if all(map(operator.is_, items, value)) else items
        return value


def _any_of(patterns: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(patterns)) if patterns else None


def _readings(text: str) -> Iterator[str]:
    """Give a secret as it is, and as whoever receives it may read it."""
    for reading in (text, text.strip(), unquote(text) if "%" in text else text):
        if reading:
            yield reading


def _pattern(text: str) -> str:
    """Give what matches a text whichever of its characters are escaped for a URL, for JSON or for a shell.

    Letters and digits are never escaped. Repetitions are bounded, so that no text makes the search slow.
    """
    runs = re.findall(r"[A-Za-z0-9]+|\\+|.", text, re.DOTALL)
    return "".join(run if run.isascii() and run.isalnum() else _escaped(run) for run in runs)


_NAMED_ESCAPES: Final = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_BACKSLASH: Final = r"(?:\\|%(?:25)?5[Cc])"


def _escaped(run: str) -> str:
    if run[0] == "\\":
        return rf"(?:{_BACKSLASH}{{1,3}}u005[Cc]|{_BACKSLASH}){{{len(run)},{len(run) * 4}}}"
    itself = f"(?:{_percent(run)}|{re.escape(run)})"
    ways = [rf"{_BACKSLASH}{{1,3}}u{_units(run)}"]
    if run in _NAMED_ESCAPES:
        ways.append(rf"{_BACKSLASH}{{1,3}}{_NAMED_ESCAPES[run]}")
    if run == " ":
        ways.append(r"\+")
    if run == "'":
        ways += [re.escape("'\"'\"'"), re.escape("'\\''")]
    ways.append(f"{_BACKSLASH}{{0,3}}{itself}" if run in "\"'/" else itself)
    return f"(?:{'|'.join(ways)})"


def _percent(character: str) -> str:
    """Match a character's bytes in percent encoding, encoded once or twice, with digits of either case."""
    return "".join(f"%(?:25)?{_digits(f'{byte:02x}')}" for byte in character.encode(errors="surrogatepass"))


def _units(character: str) -> str:
    """Match a character's UTF-16 units in hexadecimal, as JSON escapes them."""
    units = character.encode("utf-16-be", errors="surrogatepass")
    numbers = [units[index : index + 2].hex() for index in range(0, len(units), 2)]
    return f"{_BACKSLASH}{{1,3}}u".join(map(_digits, numbers))


def _digits(hexadecimal: str) -> str:
    return "".join(digit if digit.isdigit() else f"[{digit}{digit.upper()}]" for digit in hexadecimal)


def _base64_forms(text: str) -> Iterator[str]:
    """Give a text in base64: by itself, and what is left of it inside of something longer, whatever goes before."""
    yield from _base64(text)
    content = text.encode(errors="surrogatepass")
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content).decode("ascii")
        first, end = -(-before * 8 // 6), (before + len(content)) * 8 // 6
        kept = encoded[first:end]
        if len(kept) >= _SHORTEST_EMBEDDED:
            yield from (kept, kept.translate(_URL_SAFE))


_URL_SAFE: Final = str.maketrans("+/", "-_")


def _base64(text: str) -> Iterator[str]:
    encoded = base64.b64encode(text.encode(errors="surrogatepass")).decode("ascii")
    for form in (encoded, encoded.translate(_URL_SAFE)):
        yield from (form, form.rstrip("="))


def _with_distinct_keys(entries: Iterable[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """Build an object; keys that became the same are numbered, so that no entry is lost."""
    built: dict[str, JsonValue] = {}
    for key, entry in entries:
        name, number = key, 2
        while name in built:
            name, number = f"{key} ({number})", number + 1
        built[name] = entry
    return built


# ---- by length ---------------------------------------------------------------------------------------------------

_SMALLEST: Final = 32  # with less room, a value is left out
_LONGEST_KEY: Final = 64


def shorten(value: JsonValue, limit: int) -> JsonValue:
    """Give a value whose compact JSON has at most ``limit`` characters (32 at least), its structure kept.

    Long strings end in ``… (+1234 characters)``, long lists in ``… (+12 items)``; of long objects a last key ``…`` says
    how many keys are left out. What is short beside something long stays whole. A value that fits is returned itself.
    """
    return _shorten(value, max(limit, _SMALLEST))


def _shorten(value: JsonValue, room: int) -> JsonValue:
    if _size(value, room) <= room:
        return value
    if isinstance(value, str):
        return _shorten_text(value, room)
    if isinstance(value, Mapping):
        return _shorten_object(value, room)
    if isinstance(value, (list, tuple)):
        return _shorten_list(value, room)
    return _shorten_text(str(value), room)  # a number of thousands of digits


def _size(value: JsonValue, enough: int) -> int:
    """Count the characters of a value's compact JSON; stops counting beyond ``enough``."""
    if isinstance(value, str):
        is_plain = len(value) > enough or (value.isprintable() and '"' not in value and "\\" not in value)
        return len(value) + 2 if is_plain else len(json.dumps(value, ensure_ascii=False))
    if not isinstance(value, (Mapping, list, tuple)):
        return len(str(value)) if type(value) in (int, float, bool) else len(json.dumps(value, default=str))
    total = max(2, len(value) + 1)  # brackets, and commas between
    for entry in value:
        total += _size(entry, enough)
        if isinstance(value, Mapping):
            total += 1 + _size(value[entry], enough)
        if total > enough:
            break
    return total


def _shorten_text(text: str, room: int) -> str:
    kept = room
    while True:
        shown = f"{text[:kept]}… (+{len(text) - kept} characters)"
        excess = _size(shown, 8 * room) - room
        if excess <= 0 or not kept:
            return shown
        kept = max(0, kept - max(1, excess // 6))  # a character takes up to six, as an escape


def _shorten_list(values: Sequence[JsonValue], room: int) -> list[JsonValue]:
    taken, level = _share_out(
        ((None, value) for value in values), len(values), room - 2, _left_out(len(values), "item")
    )
    shown = [_shorten(value, level) for value in values[:taken]]
    return shown if taken == len(values) else [*shown, f"… ({_left_out(len(values) - taken, 'item')})"]


def _shorten_object(value: Mapping[str, JsonValue], room: int) -> dict[str, JsonValue]:
    keys = {key: key if _size(key, room) <= _LONGEST_KEY else _shorten_text(key, _LONGEST_KEY) for key in value}
    entries = {key: value[original] for original, key in keys.items()}
    taken, level = _share_out(entries.items(), len(value), room - 2, _left_out(len(value), "key"))
    shown = {key: _shorten(entry, level) for key, entry in islice(entries.items(), taken)}
    return shown if taken == len(value) else {**shown, "…": f"({_left_out(len(value) - taken, 'key')})"}


def _left_out(number: int, noun: str) -> str:
    return f"+{number} {noun}{'' if number == 1 else 's'}"


def _share_out(entries: Iterable[tuple[str | None, JsonValue]], total: int, room: int, marker: str) -> tuple[int, int]:
    """Tell how many of the entries are shown, and the room that the value of each may take.

    Each takes its key, if it has one, the marks around it and something of its value; where not all are shown, so
    does the marker.
    """
    reserve = len(marker) + len('"… ()":"",')
    fixed, sizes, used, taken = [0], list[int](), 0, 0
    for key, value in entries:
        around = 1 + (0 if key is None else _size(key, room) + 1)
        sizes.append(_size(value, room))
        used += around + min(sizes[-1], _SMALLEST)
        if used > room:
            break
        fixed.append(fixed[-1] + around)
        taken += used <= room - reserve
    if len(sizes) == total and used <= room:
        return total, _level(sizes, room - fixed[-1])
    return taken, _level(sizes[:taken], room - reserve - fixed[taken])


def _level(sizes: Sequence[int], room: int) -> int:
    """Share the room out: give the most that every value may take, so that small ones leave theirs to the large."""
    left = room
    for number, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - number)
        if size > share:
            return share
        left -= size
    return max(sizes, default=0)
