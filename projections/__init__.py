"""What can be seen: read models, each computed from the events and owner of its SQL."""
