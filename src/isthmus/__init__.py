"""Isthmus joins a frozen encoder to a frozen language model and puts the result to work."""

__version__ = "0.1.0"
