"""Proposals: boxes of a photo that may hold a thing, whatever it is."""
