"""Holding a message that harms wherever it lies, by what it is known again by: nothing is opened, and nobody is named."""
