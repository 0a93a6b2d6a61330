"""`chapar demo`: simulated tablets on a bad link, a real server, one export, and a table that adds up.

Nothing here decides anything: the tablets fill with `forms.fill`, the server is the program that a post runs.
"""

from server.demo.run import run_demo

__all__ = ["run_demo"]
