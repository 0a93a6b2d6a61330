"""What is asked: sheets, their compilation, the schema of a form, reading an instance.

No network, no database, no clock: time and randomness come in as arguments.
"""
