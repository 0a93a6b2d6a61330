"""What is true: revisions, their history, the view of a submission. Pure functions over frozen values."""
