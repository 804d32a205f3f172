"""Checkpoints that the service keeps for those who follow its events."""
