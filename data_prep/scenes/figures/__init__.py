"""The objects of drawn scenes: each a function that draws one in the unit square of a pen."""
