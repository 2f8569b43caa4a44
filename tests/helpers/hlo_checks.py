"""Reads the text of a compiled program and names what costs O(D^3).

Two texts are understood: StableHLO, `jitted.lower(...).as_text()`, what JAX asks for, and HLO,
`jitted.lower(...).compile().as_text()`, what XLA will run.
"""

import math
import re

# Calls that move or place data, or draw random bits, and never factorise a matrix.
HARMLESS_CALLS = {
    'Sharding',
    'SPMDFullToShardShape',
    'SPMDShardToFullShape',
    'annotate_device_placement',
    'cu_threefry2x32_ffi',
    'xla.sdy.FuncResultSharding',
    'xla.sdy.GlobalToLocalShape',
    'xla.sdy.LocalToGlobalShape',
}

# Operations that factorise or solve without a custom call, on some devices.
_SOLVER = re.compile(r'(?:stablehlo\.|\s)(cholesky|triangular[_-]solve)\b')
_CALL = re.compile(r'(?:custom_call @|custom_call_target\s*=\s*")([^\s"(]+)')
_STABLE_DOT = re.compile(
    r'stablehlo\.dot_general .*?'
    r'(?:batching_dims = \[([\d, ]*)\] x \[([\d, ]*)\], )?'
    r'contracting_dims = \[([\d, ]*)\] x \[([\d, ]*)\]'
    r'.*: \(tensor<([^>]*)>, tensor<([^>]*)>\)'
)
_HLO_NAME = re.compile(r'^\s*(?:ROOT )?(%?[\w.-]+) = \w+\[([\d,]*)\]')
_HLO_DOT = re.compile(r' dot\(([^)]*)\)')


def custom_calls(text):
    """Targets of the custom calls in StableHLO or HLO text, without the harmless ones.

    The names of built-in matrix solvers count as well.
    """
    return set(_CALL.findall(text)) - HARMLESS_CALLS | set(_SOLVER.findall(text))


def cubic_products(text, D):
    """The lines of the matrix products, batched or not, whose M, N and K all reach D.

    A product of (..., M, K) with (..., K, N) costs M N K an item. Raises ValueError for text that
    shows a product in a form that this function does not know.
    """
    lines = text.splitlines()
    find = _stable_products if 'stablehlo.' in text else _hlo_products
    return [line.strip() for line, sizes in find(lines) if min(sizes) >= D]


def _integers(text):
    return [int(number) for number in re.findall(r'\d+', text or '')]


def _sizes(left, right, batch, contract):
    """(M, N, K) from the shapes, and for each side its batch and contracting dimensions."""

    def free(shape, side):
        taken = batch[side] + contract[side]
        return math.prod(size for axis, size in enumerate(shape) if axis not in taken)

    return free(left, 0), free(right, 1), math.prod(left[axis] for axis in contract[0])


def _stable_products(lines):
    for line in lines:
        if 'dot_general' not in line:
            continue
        match = _STABLE_DOT.search(line)
        if not match:
            raise ValueError(f'cannot read this product: {line.strip()}')
        dims = [_integers(group) for group in match.groups()[:4]]
        # tensor<4x8xf32>: sizes, then the element type.
        left, right = ([int(n) for n in group.split('x')[:-1]] for group in match.groups()[4:])
        yield line, _sizes(left, right, dims[:2], dims[2:])


def _hlo_products(lines):
    shapes = {}
    for line in lines:
        if not line.startswith(' '):
            shapes = {}  # names are unique within one computation
        name = _HLO_NAME.match(line)
        if name:
            shapes[name[1].lstrip('%')] = _integers(name[2])
        if ' convolution(' in line:
            raise ValueError(f'cannot read this product: {line.strip()}')
        match = _HLO_DOT.search(line)
        if not match:
            continue
        operands = [operand.split()[-1].lstrip('%') for operand in _split(match[1])]
        if not all(operand in shapes for operand in operands):
            raise ValueError(f'cannot read this product: {line.strip()}')
        dims = [
            _integers((re.search(rf'{side}_{kind}_dims={{([\d,]*)}}', line) or [None, ''])[1])
            for kind in ('batch', 'contracting')
            for side in ('lhs', 'rhs')
        ]
        left, right = (shapes[operand] for operand in operands)
        yield line, _sizes(left, right, dims[:2], dims[2:])


def _split(operands):
    """Operands apart, where an operand may carry its own type `f32[4,8]{1,0} %name`."""
    return re.split(r',\s*(?![^[{]*[\]}])', operands)
