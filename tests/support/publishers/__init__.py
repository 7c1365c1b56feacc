"""Processes that publish, and do not serve."""
