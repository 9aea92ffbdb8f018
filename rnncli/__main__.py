"""``python -m rnncli``: the command line."""

from rnncli.cli import main

main()
