"""What `headrace bench` is made of: load on a server, and the numbers that come of it."""
