"""Where values stand in JSON texts, found one character at a time. Shares no code with dlmon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Stands:
    pointer: str
    line: int
    column: int
    text: str


class SlowReader:
    """Reads valid JSON texts that follow each other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._column = 1

    def texts(self) -> Iterator[list[Stands]]:
        """The values of each text."""
        self._space()
        while self._at < len(self._text):
            found: list[Stands] = []
            self._value("", found)
            yield found
            self._space()

    def elements(self) -> Iterator[list[Stands]]:
        """The values of each element of a text that is an array."""
        self._space()
        self._take("[")
        self._space()
        while self._text[self._at] != "]":
            found: list[Stands] = []
            self._value("", found)
            yield found
            self._space()
            if self._text[self._at] == ",":
                self._take(",")
                self._space()
        self._take("]")

    def _value(self, pointer: str, found: list[Stands]) -> None:
        line, column, start = self._line, self._column, self._at
        first = self._text[self._at]
        if first == "{":
            self._take("{")
            self._space()
            while self._text[self._at] != "}":
                key = self._string()
                self._space()
                self._take(":")
                self._space()
                self._value(f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", found)
                self._space()
                if self._text[self._at] == ",":
                    self._take(",")
                    self._space()
            self._take("}")
        elif first == "[":
            self._take("[")
            self._space()
            index = 0
            while self._text[self._at] != "]":
                self._value(f"{pointer}/{index}", found)
                index += 1
                self._space()
                if self._text[self._at] == ",":
                    self._take(",")
                    self._space()
            self._take("]")
        elif first == '"':
            self._string()
        else:
            while self._at < len(self._text) and self._text[self._at] not in " \t\r\n,]}":
                self._step()
        found.append(Stands(pointer, line, column, self._text[start : self._at]))

    def _string(self) -> str:
        self._take('"')
        characters = ""
        while self._text[self._at] != '"':
            if self._text[self._at] == "\\":
                self._step()
                escape = self._text[self._at]
                if escape == "u":
                    characters += chr(int(self._text[self._at + 1 : self._at + 5], 16))
                    for _ in range(4):
                        self._step()
                else:
                    characters += {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}.get(
                        escape, escape
                    )
            else:
                characters += self._text[self._at]
            self._step()
        self._take('"')
        # Two escapes can be the halves of one character.
        return characters.encode("utf-16", "surrogatepass").decode("utf-16")

    def _space(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
            self._step()

    def _take(self, expected: str) -> None:
        assert self._text[self._at] == expected
        self._step()

    def _step(self) -> None:
        if self._text[self._at] == "\n":
            self._line += 1
            self._column = 1
        else:
            self._column += 1
        self._at += 1
