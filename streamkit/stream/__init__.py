"""One open stream, from its source to its chunks. Knows no HTTP."""
