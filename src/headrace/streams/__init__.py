"""Moving events inside a process: one stream has one owner and one ending."""
