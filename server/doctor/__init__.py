"""`chapar doctor`: looks at everything a node stands on, says what is wrong and what to do, and changes nothing.

findings: what a check says. examine: all checks, of machine, environment, store, facts and files. They need no server,
and may run beside one.
"""
