"""Answers that all processes share which use the same Redis."""
