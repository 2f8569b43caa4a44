"""Warnings about shapes that waste an accelerator."""

# A TPU computes in tiles of 8 by 128 float32 numbers; what does not fill them is padded.
ROWS, LANES = 8, 128
NOTICED = 0.1  # waste below this share is not worth a line


def tpu_waste(num_features: int, rows_per_device: int) -> list[str]:
    """Sentences on the padding of a (rows_per_device, num_features) batch on a TPU; none where little is wasted."""
    sentences = []
    for name, size, tile, remedy in (
        ('the number of features', num_features, LANES, 'nothing but other data changes it'),
        ('config.batch_size per device', rows_per_device, ROWS, 'choose a multiple'),
    ):
        padded = -(-size // tile) * tile
        waste = 1 - size / padded
        if waste > NOTICED:
            sentences.append(
                f'A TPU pads {name} to a multiple of {tile}: {size} becomes {padded}, so {waste:.0%} of its work is '
                f'wasted ({remedy}).'
            )
    return sentences
