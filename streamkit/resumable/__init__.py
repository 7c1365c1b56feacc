"""Answers that are kept whole: they outlive their clients, and are followed from anywhere."""

from streamkit.resumable.answer import Answer
from streamkit.resumable.resumable import Resumable

__all__ = ["Answer", "Resumable"]
