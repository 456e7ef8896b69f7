"""What stage `clean` reads, by `data.kind`: a crawl, captions, or annotated photos of VOC."""

from collections.abc import Callable, Iterator
from pathlib import Path

from omegaconf import DictConfig

from data_prep.crawl import Batch, Crawl, Source, open_crawl
from data_prep.crawl.files import is_local
from data_prep.voc_rows import voc_rows
from pipeline.stage import strings

KINDS = ("crawl", "captions", "voc")


def open_input(config: DictConfig) -> Crawl | Batch:
    """Look at a crawl or a table of captions; read VOC, which is small, whole.

    Raises
    ------
    UserError
        A key is unusable, or the input cannot be read.
    """
    data, path = config.data, str(config.crawl)
    if data.kind == "voc":
        return voc_rows(path, strings(data.splits))
    if data.kind == "captions":
        from data_prep.captions import open_captions  # loads slowly

        return open_captions(path, data.image, data.caption, data.format)
    keys = {str(key): value for key, value in data.items()}
    for key in ("kind", "crawl", "images"):  # these say what and where, not how it is written
        keys.pop(key, None)
    carry = keys.pop("carry")
    return open_crawl(Source(path, carry=None if carry is None else strings(carry), **keys))


def local_files(crawl: Crawl | Batch, config: DictConfig) -> list[Path]:
    """List the files of this machine that are read, or the folder that holds them."""
    if isinstance(crawl, Batch):
        return [Path(str(config.crawl))]
    return [Path(file) for file in sorted({p.file for p in crawl.parts if is_local(p.file)})]


def batches(crawl: Crawl) -> Iterator[Batch]:
    """Read a crawl, part by part."""
    return (batch for part in crawl.parts for batch in crawl.read(part))


def tag_captions(crawl: Crawl, config: DictConfig, progress: Callable[[int], object]) -> Batch:
    """Turn captions into the tags of photos; `progress` is told of every number of rows done."""
    from data_prep.captions import CaptionTagger, photos, read_dictionary

    data = config.data
    entries = {"dictionary": read_dictionary(data.dictionary)} if data.dictionary else {}
    parts = tuple(strings(data.parts_of_speech))
    tagger = CaptionTagger(parts, tagger=str(data.tagger), **entries)
    return photos(batches(crawl), tagger, progress)
