"""The REST API and the console's files. Handlers are thin: the desk, the edits and the commands do the work."""
