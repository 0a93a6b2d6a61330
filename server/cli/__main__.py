"""`python -m server.cli`: the command `chapar` where no script is installed."""

from server.cli import main

main()
