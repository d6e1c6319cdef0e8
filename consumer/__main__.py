"""Run the command line: `python -m consumer`."""

from consumer.cli.main import main

main()
