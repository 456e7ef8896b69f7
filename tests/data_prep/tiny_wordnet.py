"""A hand-made WordNet of a few nouns, in the format of wndb(5WN)."""

from pathlib import Path

LICENCE = "  1 This software and database is none of WordNet's.  \n"

# Synset: its words and what is directly above it. A chain of general things makes the depth.
SYNSETS = {
    "entity": ("entity", []),
    "physical": ("physical_entity", ["entity"]),
    "object": ("object physical_object", ["physical"]),
    "whole": ("whole", ["object"]),
    "thing": ("living_thing", ["whole"]),
    "animal": ("animal beast", ["thing"]),
    "dog": ("dog domestic_dog", ["animal"]),
    "puppy": ("puppy", ["dog"]),
    "whelp": ("whelp", ["puppy"]),
    "frank": ("hotdog frank dog", ["thing"]),  # the second sense of dog
    "artifact": ("artifact", ["whole"]),
    "vehicle": ("vehicle", ["artifact"]),
    "wheeled": ("wheeled_vehicle", ["vehicle"]),
    "car": ("car automobile", ["wheeled"]),
    "truck": ("truck", ["wheeled"]),
    "fire truck": ("fire_truck fire_engine", ["truck"]),
    "arm": ("arm", ["thing"]),
    "weapon": ("weapon arm", ["artifact"]),  # the second sense of arm
    "sword": ("sword", ["weapon"]),
    "pet": ("pet", ["animal", "artifact"]),
}


def write_wordnet(folder: Path) -> Path:
    """Write `index.noun` and `data.noun`; return the folder."""
    below: dict[str, list[str]] = {name: [] for name in SYNSETS}
    senses: dict[str, list[str]] = {}
    for name, (words, above) in SYNSETS.items():
        for other in above:
            below[other].append(name)
        for word in words.split():
            senses.setdefault(word, []).append(name)

    def line(name: str, offsets: dict[str, int]) -> str:
        words = SYNSETS[name][0].split()
        pointers = [("@", other) for other in SYNSETS[name][1]]
        pointers += [("~", other) for other in below[name]] + [("%p", "entity")]
        written = " ".join(f"{word} 0" for word in words)
        marks = " ".join(f"{kind} {offsets[other]:08d} n 0000" for kind, other in pointers)
        head = f"{offsets[name]:08d} 03 n {len(words):02x}"
        return f"{head} {written} {len(pointers):03d} {marks} | a gloss\n"

    offsets = dict.fromkeys(SYNSETS, 0)  # offsets do not change the lengths of the lines
    position = len(LICENCE)
    for name in SYNSETS:
        offsets[name] = position
        position += len(line(name, offsets))
    data = LICENCE + "".join(line(name, offsets) for name in SYNSETS)
    index = LICENCE
    for word, names in sorted(senses.items()):
        places = " ".join(f"{offsets[name]:08d}" for name in names)
        index += f"{word} n {len(names)} 2 @ ~ {len(names)} 0 {places}  \n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.noun").write_text(data)
    (folder / "index.noun").write_text(index)
    return folder
