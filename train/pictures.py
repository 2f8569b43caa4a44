"""Pictures as PNG bytes: sample grids, densities in the plane, learning curves. matplotlib is imported on first use."""

import numpy as np

from train.writers import figure_png


def _figure(**options):
    import matplotlib.figure

    return matplotlib.figure.Figure(**options)


def image_grid(images, columns):
    """A grid of images (n, H, W, C) in [0, 1], row by row; grey where C is 1. Values outside are clipped."""
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    grid = np.ones((rows * columns, height + 2, width + 2, channels))
    grid[:n, 1:-1, 1:-1] = np.clip(images, 0, 1)
    grid = grid.reshape(rows, columns, height + 2, width + 2, channels).swapaxes(1, 2)
    grid = grid.reshape(rows * (height + 2), columns * (width + 2), channels)
    figure = _figure(figsize=(columns * 0.6, rows * 0.6))
    axes = figure.add_axes([0, 0, 1, 1])
    axes.imshow(grid[..., 0] if channels == 1 else grid, cmap='gray', vmin=0, vmax=1)
    axes.set_axis_off()
    return figure_png(figure)


def scatter(samples, data):
    """Samples and data in the plane, (n, 2) each, side by side."""
    figure = _figure(figsize=(8, 4))
    low, high = np.percentile(data, [0.5, 99.5], axis=0)
    margin = 0.2 * (high - low)
    for position, (title, points) in enumerate([('data', data), ('samples', samples)]):
        axes = figure.add_subplot(1, 2, position + 1)
        axes.plot(points[:, 0], points[:, 1], '.', markersize=2, alpha=0.5)
        axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
        axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
        axes.set_title(title)
    return figure_png(figure)


def plane_grid(data, points=120):
    """Points (points^2, 2) float32 that cover the data (n, 2), and the extent for `density`."""
    low, high = np.percentile(data, [0.5, 99.5], axis=0)
    low, high = low - 0.2 * (high - low), high + 0.2 * (high - low)
    x, y = np.meshgrid(np.linspace(low[0], high[0], points), np.linspace(low[1], high[1], points))
    extent = (low[0], high[0], low[1], high[1])
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32), extent


def density(log_density, extent):
    """A density on a square grid from `plane_grid`, given its logarithm (points^2,)."""
    points = round(len(log_density) ** 0.5)
    figure = _figure(figsize=(5, 5))
    axes = figure.add_subplot()
    values = np.exp(np.asarray(log_density, np.float64)).reshape(points, points)
    axes.imshow(values, origin='lower', extent=extent, aspect='auto')
    return figure_png(figure)


def learning_curve(records):
    """The logged terms of training and validation against the epoch, from the lines of metrics.jsonl."""
    figure = _figure(figsize=(7, 4))
    axes = figure.add_subplot()
    logged = {name for record in records for name in record}
    names = sorted(
        name for name in logged if ('nll' in name or 'elbo' in name) and not name.endswith('_2se')
    )
    for name in names:
        points = [(record['epoch'], record[name]) for record in records if name in record]
        axes.plot(*zip(*points, strict=True), marker='.', label=name)
    axes.set_xlabel('epoch')
    axes.set_ylabel('nats')
    values = [record[name] for record in records for name in names if record.get(name) is not None]
    if len(values) > 4:
        low, high = np.nanpercentile(values, [0, 90])
        axes.set_ylim(low - 0.05 * (high - low + 1e-9), high + 0.05 * (high - low + 1e-9))
    axes.legend()
    return figure_png(figure)


def points(samples):
    """Samples (n, 2) in the plane."""
    figure = _figure(figsize=(5, 5))
    axes = figure.add_subplot()
    axes.plot(samples[:, 0], samples[:, 1], '.', markersize=2, alpha=0.5)
    axes.set_aspect('equal')
    return figure_png(figure)


def spectrum(scales):
    """NICE's scales exp(-s) (D,), largest first: how much each latent direction varies the data."""
    figure = _figure(figsize=(6, 4))
    axes = figure.add_subplot()
    axes.semilogy(np.arange(1, len(scales) + 1), scales)
    axes.set_xlabel('direction, sorted')
    axes.set_ylabel('exp(-s)')
    return figure_png(figure)
