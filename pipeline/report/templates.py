"""What all reports share: how a template becomes a page, and what stands in its title."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

TITLE_KEYS = ("model", "dataset", "date")
TITLE_PARTS = 2  # of a path, its last


def render(template: str, **values: Any) -> str:
    """Fill in a template of this folder; what is no `Markup` gets escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def title_parts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Model, dataset and date of a run, of a path its last parts; empty where not told."""
    return {key: _last_parts(str(settings.get(key, ""))) for key in TITLE_KEYS}


def _last_parts(path: str) -> str:
    return "/".join(Path(path).parts[-TITLE_PARTS:])
