"""The same streams, served by headrace, by what people use instead, and by a bare protocol as the limit.

Each file is a server in its own framework's idiom and imports nothing of headrace but the file that is headrace.
"""
