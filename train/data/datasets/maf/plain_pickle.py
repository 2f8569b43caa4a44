"""A pickle as a tree of plain values: its opcodes are followed, but nothing they name is imported, called or built.

Names of classes and functions become `Name`, what would be made with them becomes `Made`, and strings of
bytes become views of the file. Sizes claimed in the file are held against the file before anything is
done with them, so that a damaged or hostile one costs no more memory than a few times its own size.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOST_OPCODES = 10_000  # a table of numbers takes a few hundred
LONGEST_NAME = 255

CONSTANTS = {b'N': None, b'\x88': True, b'\x89': False}
EMPTY = {b')': tuple, b']': list, b'}': dict}
NUMBERS = {b'K': '<B', b'M': '<H', b'J': '<i', b'G': '>d'}
TUPLES = {b'\x85': 1, b'\x86': 2, b'\x87': 3}
# What begins with its own length.
BYTES = {b'U': '<B', b'T': '<i', b'C': '<B', b'B': '<I', b'\x8e': '<Q'}
TEXTS = {b'\x8c': '<B', b'X': '<I', b'\x8d': '<Q'}
PUT = {b'q': '<B', b'r': '<I'}
GET = {b'h': '<B', b'j': '<I'}


@dataclass(frozen=True, eq=False, repr=False)
class Name:
    """The name of a class or a function, with that of its module before it."""

    path: str


@dataclass(eq=False, repr=False)
class Made:
    """What `name(*arguments)` would be, with the state it would be given."""

    name: Name
    arguments: tuple
    state: Any = None


def load(content: bytes, belongs: Callable[[str], bool]) -> Any:
    """The value of a pickle of protocol 2 to 4; raises ValueError where it is not one.

    belongs: whether the path of a class or a function may be named; any other is refused.
    """
    try:
        return _Machine(content, belongs).run()
    except (IndexError, KeyError) as error:
        raise ValueError('it takes from its stack what is not there') from error


def text(value: Any) -> str:
    """A name or a word as text: Python 2 wrote it as bytes. Raises ValueError for anything else."""
    if isinstance(value, memoryview) and len(value) <= LONGEST_NAME:
        return bytes(value).decode('latin1')
    if isinstance(value, str) and len(value) <= LONGEST_NAME:
        return value
    raise ValueError('a name is expected where something else is found')


class _Machine:
    """The stack, the marks on it and the memo, as a pickle's opcodes move them."""

    def __init__(self, content: bytes, belongs: Callable[[str], bool]) -> None:
        self._content = memoryview(content)
        self._belongs = belongs
        self._position = 0
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._others = {
            b'(': self._mark,
            b't': lambda: self._push(tuple(self._to_mark())),
            b'a': lambda: self._append([self._stack.pop()]),
            b'e': lambda: self._append(self._to_mark()),
            b's': lambda: self._set([self._stack.pop(), self._stack.pop()][::-1]),
            b'u': lambda: self._set(self._to_mark()),
            b'R': self._make,
            b'\x81': self._make,
            b'b': self._give_state,
            b'c': lambda: self._name(self._line(), self._line()),
            b'\x93': lambda: self._name(*[text(self._stack.pop()) for _ in range(2)][::-1]),
            b'\x8a': lambda: self._push(int.from_bytes(self._counted('<B'), 'little', signed=True)),
            b'\x94': lambda: self._remember(len(self._memo)),
            b'\x80': lambda: self._take(1),  # the protocol: opcodes of others are refused below
            b'\x95': lambda: self._take(8),  # the length of a frame
        }

    def run(self) -> Any:
        for _ in range(MOST_OPCODES):
            opcode = bytes(self._take(1))
            if opcode == b'.':
                return self._stack.pop()
            self._step(opcode)
        raise ValueError(f'it has more than {MOST_OPCODES} opcodes')

    def _step(self, opcode: bytes) -> None:
        if opcode in CONSTANTS:
            self._push(CONSTANTS[opcode])
        elif opcode in EMPTY:
            self._push(EMPTY[opcode]())
        elif opcode in NUMBERS:
            self._push(self._number(NUMBERS[opcode]))
        elif opcode in TUPLES:
            parts = [self._stack.pop() for _ in range(TUPLES[opcode])]
            self._push(tuple(parts[::-1]))
        elif opcode in BYTES:
            self._push(self._counted(BYTES[opcode]))
        elif opcode in TEXTS:
            self._push(str(self._counted(TEXTS[opcode]), 'utf-8'))
        elif opcode in PUT:
            self._remember(self._number(PUT[opcode]))
        elif opcode in GET:
            self._push(self._memo[self._number(GET[opcode])])
        elif opcode in self._others:
            self._others[opcode]()
        else:
            raise ValueError(f'its opcode {opcode!r} does not belong in a table of numbers')

    def _take(self, size: int) -> memoryview:
        """The next bytes of the file, as a view."""
        left = len(self._content) - self._position
        if not 0 <= size <= left:
            raise ValueError(f'{size} bytes are claimed where {left} are left')
        self._position += size
        return self._content[self._position - size : self._position]

    def _number(self, layout: str) -> int:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _counted(self, layout: str) -> memoryview:
        return self._take(self._number(layout))

    def _line(self) -> str:
        name = bytes(self._content[self._position : self._position + LONGEST_NAME])
        line, end, _ = name.partition(b'\n')
        if not end:
            raise ValueError('a name has no end')
        self._position += len(line) + 1
        return line.decode('latin1')

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list:
        """What was put on the stack since the last mark."""
        values, self._stack = self._stack, self._marked.pop()
        return values

    def _remember(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _append(self, values: list) -> None:
        _expect(self._stack[-1], list).extend(values)

    def _set(self, values: list) -> None:
        target = _expect(self._stack[-1], dict)
        if len(values) % 2:
            raise ValueError('a key has no value')
        target.update(
            {text(key): value for key, value in zip(values[::2], values[1::2], strict=True)}
        )

    def _make(self) -> None:
        arguments = _expect(self._stack.pop(), tuple)
        self._push(Made(_expect(self._stack.pop(), Name), arguments))

    def _give_state(self) -> None:
        state = self._stack.pop()
        _expect(self._stack[-1], Made).state = state

    def _name(self, module: str, name: str) -> None:
        path = f'{module}.{name}'
        if not self._belongs(path):
            raise ValueError(f'{ascii(path)[1:-1]} does not belong in a table of numbers')
        self._push(Name(path))


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f'a {kind.__name__} is expected where a {type(value).__name__} is found')
    return value
