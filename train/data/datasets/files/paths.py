"""From what `config.path` says to files: one, those of a pattern, or the images of a folder."""

import glob
import os
import pathlib

from train.errors import UserError

IMAGES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')
LONGEST_NAME = 300  # of a file, in a sentence
LONGEST_REASON = 200  # of what a library says, which may quote the file


def find(flag: str, text: str) -> tuple[pathlib.Path, ...]:
    """The files that a flag such as `--config.path` names, sorted; UserError where there are none."""
    if not text:
        raise UserError(
            f'{flag} must name a file, a pattern such as "part-*.csv" or a folder of images; found none: give '
            f'{flag}=table.csv.'
        )
    path = pathlib.Path(text).expanduser()
    try:
        path.stat()
    except FileNotFoundError:
        return _matching(flag, text)
    except (OSError, ValueError) as error:
        raise unreadable(text, error) from error
    if path.is_dir():
        return _images(path)
    if not path.is_file():
        raise refused(path, 'be a file that can be read twice', 'a pipe or device', 'save it first')
    return (path,)


def _matching(flag: str, pattern: str) -> tuple[pathlib.Path, ...]:
    found = sorted(glob.glob(os.path.expanduser(pattern)))
    files = tuple(pathlib.Path(path) for path in found if os.path.isfile(path))
    if not files:
        raise UserError(
            f'{flag} must name what there is; found no file at {pattern} from {os.getcwd()}: correct the name.'
        )
    return files


def _images(folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
    try:
        files = tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES))
    except OSError as error:
        raise unreadable(folder, error) from error
    if not files:
        raise UserError(
            f'a folder must hold images ({", ".join(IMAGES)}); found none in {folder}: name another folder, or the '
            'table in it.'
        )
    return files


def unreadable(path: os.PathLike | str, error: Exception) -> UserError:
    """What reading a file came to, as one sentence."""
    said = getattr(error, 'strerror', None) or str(error) or type(error).__name__
    reason = ' '.join(str(said).split())[:LONGEST_REASON]
    return refused(
        path,
        'be a file that can be read and is complete',
        f'"{reason}"',
        'mend it, or name another',
    )


def refused(path: os.PathLike | str, rule: str, found: str, remedy: str) -> UserError:
    """What a file must hold and what it holds."""
    name = os.fspath(path)
    shown = name if len(name) <= LONGEST_NAME else f'{name[:LONGEST_NAME]}...'
    return UserError(f'{shown} must {rule}; found {found}: {remedy}.')
