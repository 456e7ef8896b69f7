"""The science on tensors: classifier, Excitation Backprop, words, drawing."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grounding.classifier import TagClassifier

__all__ = ["TagClassifier"]


def __getattr__(name: str) -> Any:
    """Import the classifier when it is asked for: grounding.excitation needs torch alone."""
    if name == "TagClassifier":
        from grounding.classifier import TagClassifier

        return TagClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
