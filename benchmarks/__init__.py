"""Every measurement of this project: `make bench`, or `python -m benchmarks --help`."""
