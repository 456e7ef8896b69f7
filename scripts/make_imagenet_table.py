#!/usr/bin/env python3
"""Rebuild data_prep/imagenet_classes.json from WordNet 3.0.

    apt-get install wordnet-base            # WordNet 3.0's files, in /usr/share/wordnet
    python scripts/make_imagenet_table.py /usr/share/wordnet

An ImageNet id is the offset of a noun synset in WordNet 3.0, so names and hypernyms are read off
WordNet; the order of the 1000 classes is timm's ImageNetInfo.

Which words name a class: the lemmas of its synset (names) and of every synset above it
(hypernyms), through a usual sense of the word only. A sense is usual when it makes at least
MIN_SHARE of the word's uses in WordNet's tagged texts, every sense counted once more so that
rare words keep theirs: "arm" is not a weapon, "bank" not a piggy bank, "cat" the feline and not a
bulldozer. All usual senses count ("plant": flora and factory): the classifier's own probabilities
later weigh the classes against each other. The first lemma of a class always names it.

ADDED and DROPPED correct what the share gets wrong: senses that cover only a remote class (surface:
the stage) or leave out what the word means in a photo (jacket: the book jacket). They were found
by reading the rare senses, the words with few classes and the words of real captions.
PICTURED names the classes whose photos show something else than their synset says.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from timm.data import ImageNetInfo

from data_prep.text import normalise
from data_prep.vocabulary import IMAGENET_TABLE

MIN_SHARE = 0.1
ADDED = "food#2 table#3 vessel#3 horn#5 horn#10 ray#7 seal#9"  # lemma#sense
DROPPED = """
agent#3 article#2 attachment#4 attire#1 attribute#2 being#2 cause#4 communication#2 component#2
connection#3 constituent#3 cover#1 covering#2 creation#2 depression#3 drug#1 formation#4 garb#1
level#6 location#1 material#1 material#3 mechanism#3 medication#1 medicine#2 medium#1 mixture#2
part#1 part#2 pattern#3 piece#1 point#2 portion#1 portion#2 product#2 production#3 relation#1
reinforcement#4 shape#2 stuff#1 substance#1 surface#1 system#1 wear#2 work#2
bar#3 cap#2 chopper#4 claw#2 clothes#1 convertible#3 cream#3 disk#2 dress#2 dressing#4
fountain#2 gear#4 globe#2 harp#3 hose#1 jacket#2 landing#2 lid#3 mail#5 mole#5 monitor#7
napkin#2 orb#2 outfit#3 paper#1 plate#2 pool#1 post#4 ride#2 sewing_needle#2 staff#2 stand#5
string#2 sweet_potato#3 toy#5 wrap#3
"""
PICTURED = {
    "07930864": "03147509",  # cup: synset a punch, photos of drinking cups
    "04355933": "04356056",  # sunglass: synset a burning lens, photos of sunglasses
}
EXTRA_NAMES = {"03594734": ["jeans", "blue jeans"]}  # WordNet has the singular only


class WordNet:
    """The nouns of WordNet 3.0.

    Attributes
    ----------
    lemmas : dict
        Synset offset (8 digits) → its lemmas as WordNet writes them.
    above : dict
        Synset offset → offsets of its direct hypernyms (also of an instance).
    senses : dict
        Lower-case lemma → offsets of its synsets, most frequent sense first.
    counts : dict
        (lower-case lemma, sense number from 1) → occurrences in the tagged texts.
    """

    def __init__(self, folder: Path) -> None:
        self.lemmas: dict[str, list[str]] = {}
        self.above: dict[str, list[str]] = {}
        for fields in _rows(folder / "data.noun"):
            count = int(fields[3], 16)
            self.lemmas[fields[0]] = fields[4 : 4 + 2 * count : 2]
            pointers = fields[5 + 2 * count : fields.index("|")]
            self.above[fields[0]] = [
                offset
                for symbol, offset in zip(pointers[::4], pointers[1::4], strict=True)
                if symbol in ("@", "@i")
            ]
        self.senses = {row[0]: row[-int(row[2]) :] for row in _rows(folder / "index.noun")}
        self.counts: dict[tuple[str, int], int] = {}
        for key, number, count_text in _rows(folder / "cntlist.rev"):
            lemma, lexical = key.split("%")
            if lexical.startswith("1:"):  # nouns
                self.counts[lemma, int(number)] = int(count_text)

    def ancestors(self, offset: str) -> list[str]:
        """All synsets above one, nearest first."""
        found: dict[str, None] = {}
        queue = list(self.above[offset])
        for synset in queue:
            if synset not in found:
                found[synset] = None
                queue += self.above[synset]
        return list(found)

    def is_usual(self, lemma: str, offset: str) -> bool:
        """Whether a lemma is commonly used in the sense of a synset."""
        word = lemma.lower()
        senses = self.senses[word]
        number = senses.index(offset) + 1
        uses = [self.counts.get((word, k), 0) + 1 for k in range(1, len(senses) + 1)]
        usual = uses[number - 1] / sum(uses) >= MIN_SHARE
        return (
            usual or f"{word}#{number}" in ADDED.split()
        ) and f"{word}#{number}" not in DROPPED.split()

    def usual_lemmas(self, offset: str) -> list[str]:
        return [lemma for lemma in self.lemmas[offset] if self.is_usual(lemma, offset)]


def _rows(path: Path) -> Iterator[list[str]]:
    """Split the lines of a WordNet file, without its licence header."""
    with path.open(encoding="utf-8") as lines:
        yield from (line.split() for line in lines if not line.startswith("  "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wordnet", type=Path, help="folder with data.noun, index.noun, cntlist.rev")
    parser.add_argument("--out", type=Path, default=IMAGENET_TABLE)
    arguments = parser.parse_args()
    wordnet = WordNet(arguments.wordnet)
    lines = []
    for wnid in ImageNetInfo().label_names():
        offset = wnid.removeprefix("n")
        first = wordnet.lemmas[offset][0]
        offset = PICTURED.get(offset, offset)
        names = [first, *wordnet.usual_lemmas(offset), *EXTRA_NAMES.get(offset, ())]
        general = [
            lemma for synset in wordnet.ancestors(offset) for lemma in wordnet.usual_lemmas(synset)
        ]
        row = {
            "wnid": wnid,
            "names": list(dict.fromkeys(map(normalise, names))),
            "hypernyms": list(dict.fromkeys(map(normalise, general))),
        }
        lines.append(json.dumps(row, ensure_ascii=False))
    arguments.out.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(f"{arguments.out}: {len(lines)} classes")


if __name__ == "__main__":
    main()
