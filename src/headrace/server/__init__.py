"""What meets the outside: an ASGI application and the process that serves it."""
