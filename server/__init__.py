"""Where the data live and who may see them: doors, store, exports, command line."""
