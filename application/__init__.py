"""What can be done: the use cases, and the event store that keeps what was decided."""
