"""A folder of images: all of one size and of one mode, grey or colour, 256 levels."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from train.data.datasets.files.paths import refused, unreadable

CHANNELS = {'L': 1, 'RGB': 3}
ROWS = 256  # that are read at once


def shape_of(parts: Mapping[str, Sequence[pathlib.Path]]) -> tuple[int, int, int]:
    """(H, W, C) of all images, by their headers alone; UserError where one differs."""
    first, expected = None, None
    for path in (path for paths in parts.values() for path in paths):
        found = _header(path)
        if found[0] not in CHANNELS:
            modes = ' or '.join(CHANNELS)
            raise refused(path, f'be an image of mode {modes}', f'mode {found[0]}', 'convert it')
        first, expected = first or path, expected or found
        if found != expected:
            rule = f'be alike {first}, {expected[0]} of {expected[1]} x {expected[2]} pixels'
            has = f'{found[0]} of {found[1]} x {found[2]}'
            raise refused(path, rule, has, 'bring all images to one size and mode')
    assert expected is not None  # a folder without images is refused before
    mode, width, height = expected
    return height, width, CHANNELS[mode]


def rows(paths: Sequence[pathlib.Path]) -> Iterator[np.ndarray]:
    """Blocks (n, H W C), uint8, in the order of the files."""
    for start in range(0, len(paths), ROWS):
        yield np.stack([_pixels(path) for path in paths[start : start + ROWS]])


def _header(path: pathlib.Path) -> tuple[str, int, int]:
    """(mode, width, height)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode, *image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise unreadable(path, error) from error


def _pixels(path: pathlib.Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image, np.uint8).reshape(-1)
    except (OSError, ValueError, SyntaxError) as error:
        raise unreadable(path, error) from error
