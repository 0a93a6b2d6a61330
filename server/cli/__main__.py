"""`python -m server.cli`: the command `chapar` where no script is installed."""

from server.cli import main

if __name__ == "__main__":  # sheets are compiled in child processes, which import this module again
    main()
