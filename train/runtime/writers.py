"""Where a run's numbers and pictures go: `metrics.jsonl`, TensorBoard event files, without TensorFlow, and trackers."""

import io
import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from absl import logging
from etils import epath
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from train.runtime import trackers
from train.runtime.workdir import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sink(Protocol):
    """What a `Writer` hands its numbers and pictures on to."""

    def scalars(self, step: int, values: Mapping[str, Any]) -> None: ...

    def image(self, step: int, tag: str, png: bytes) -> None: ...

    def close(self) -> None: ...


class Writer:
    """Appends to a workdir; `start_step` drops what an earlier, killed part of the run wrote beyond that step.

    sinks: what else gets the numbers, and the pictures.
    """

    def __init__(self, workdir: epath.Path, start_step: int, sinks: Sequence[Sink] = ()) -> None:
        self._path = workdir / 'metrics.jsonl'
        lines = read_lines(self._path) if self._path.exists() else []
        whole = [line for line in lines if line and isinstance(line.get('step'), int)]
        if len(whole) < len(lines):
            logging.warning(
                '%d lines of %s are damaged and left out.', len(lines) - len(whole), self._path
            )
        self._lines = [json.dumps(line) for line in whole if line['step'] <= start_step]
        self._flush_lines()
        self._sinks = sinks

    @classmethod
    def of(cls, config: Any, workdir: epath.Path, start_step: int) -> Self:
        """With the sinks that `config.tensorboard` and `config.trackers` name."""
        sinks: list[Sink] = [
            trackers.Tracker(name, workdir, config) for name in trackers.named(config.trackers)
        ]
        if config.tensorboard:
            sinks.append(EventFile(workdir / 'tensorboard', start_step))
        return cls(workdir, start_step, sinks)

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl, every number of which goes to the sinks."""
        self._lines.append(json.dumps({'step': step, **values}))
        self._flush_lines()
        for sink in self._sinks:
            sink.scalars(step, values)

    def image(self, step: int, tag: str, png: bytes) -> None:
        """A PNG (bytes), for the sinks."""
        for sink in self._sinks:
            sink.image(step, tag, png)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks:
            sink.close()

    def _flush_lines(self) -> None:
        # Written whole, since buckets cannot append.
        write_text(self._path, ''.join(line + '\n' for line in self._lines))


class EventFile:
    """A TensorBoard event file, by tensorboard's own record format."""

    def __init__(self, folder: epath.Path, start_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f'events.out.tfevents.{time.time():.6f}.step{start_step}'
        self._records = RecordWriter(path.open('wb'))
        self._write(event_pb2.Event(wall_time=time.time(), file_version='brain.Event:2'))
        # Tells TensorBoard to forget what a killed run wrote beyond this step.
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(
            event_pb2.Event(wall_time=time.time(), step=start_step + 1, session_log=restart)
        )

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Write every number of a dict as a scalar."""
        summary = summary_pb2.Summary()
        for tag, value in values.items():
            if isinstance(value, int | float):
                summary.value.add(tag=tag, simple_value=value)
        self._write(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))

    def image(self, step: int, tag: str, png: bytes) -> None:
        """Write PNG bytes as an image."""
        image = summary_pb2.Summary.Image(encoded_image_string=png)
        summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, image=image)])
        self._write(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        """Flush and close the file."""
        self._records.close()

    def _write(self, event: event_pb2.Event) -> None:
        self._records.write(event.SerializeToString())
        self._records.flush()


class NullWriter:
    """What processes other than the first write to."""

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Nothing."""

    def image(self, step: int, tag: str, png: bytes) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing."""


def read_lines(path: epath.Path) -> list[dict[str, Any] | None]:
    """The JSON objects in a file, one a line; None for a line that holds none."""

    def parse(line: bytes) -> dict[str, Any] | None:
        try:
            value = json.loads(line)
        except ValueError:  # neither text nor JSON
            return None
        return value if isinstance(value, dict) else None

    return [parse(line) for line in path.read_bytes().splitlines()]


def save_png(path: epath.Path | pathlib.Path, png: bytes) -> None:
    """Write PNG bytes to a file."""
    path.write_bytes(png)


def figure_png(figure: 'Figure') -> bytes:
    """A matplotlib figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=100, bbox_inches='tight')
    return buffer.getvalue()
