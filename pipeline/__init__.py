"""The front door: one small module per stage, run by `python -m pipeline stage=NAME`."""
