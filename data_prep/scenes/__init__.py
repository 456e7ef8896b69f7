"""Drawn scenes: pictures, a stock-like crawl of them, and captions with boxes."""

from data_prep.scenes.crawl import Upload, uploads
from data_prep.scenes.drawing import draw_scene, save_scenes
from data_prep.scenes.entities import Captioned, captioned_scenes, write_entities
from data_prep.scenes.plan import Plan
from data_prep.scenes.settings import SceneSettings

__all__ = [
    "Captioned",
    "Plan",
    "SceneSettings",
    "Upload",
    "captioned_scenes",
    "draw_scene",
    "save_scenes",
    "uploads",
    "write_entities",
]
