"""What a run needs of the machine: folders, checkpoints, processes, signals, files of metrics."""
