"""An application in several worker processes, and clients that go from one of them to another."""
