"""The wire: bytes to events and back, and where a body can be cut.

Nothing here reads a file, a socket or a clock, and nothing here knows what an event's data means.
"""
