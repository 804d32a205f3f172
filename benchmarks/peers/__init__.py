"""The same work done by others on the same machine: `make bench-peers`."""
