"""Tables as files of each format: every writer takes frames and fills outputs."""
