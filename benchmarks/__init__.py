"""Claims about speed, each measured beside the peers in one run: `python -m benchmarks --help`."""
