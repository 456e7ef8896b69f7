"""Reader of Flickr30k Entities: captions whose phrases are bound to boxes of their photo."""

from data_prep.entities.reader import read_entities

__all__ = ["read_entities"]
