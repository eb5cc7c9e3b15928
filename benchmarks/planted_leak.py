"""Claim: a test picture put into training is found, compressed, inverted, trimmed or brightened.

    python benchmarks/planted_leak.py --corpus CORPUS --split val

A tenth of the split's pictures of every set is altered, one way after another, and put among the
corpus' own training pictures; recall is the share of them that the perceptual check of `evaluate`
finds there. All other pictures of the split are then compared with the training pictures and all
planted ones: what is found among them is an alarm, and is listed. An alarm may be a real copy
within the corpus: those of one patient or known family are marked, the others ask for a look.
"""

import argparse
import io
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from regionmed.corpus.copies import find_copies
from regionmed.corpus.greys import grey_of, open_greys
from regionmed.corpus.shards import Corpus, open_corpus
from regionmed.record import Record

Alter = Callable[[Image.Image, np.random.Generator], Image.Image]


def saved(image: Image.Image, kind: str, quality: int = 75) -> Image.Image:
    """The picture as it comes back from a file of this kind."""
    stream = io.BytesIO()
    image.save(stream, kind, quality=quality)
    return Image.open(io.BytesIO(stream.getvalue()))


def trimmed(image: Image.Image, share: float, chance: np.random.Generator) -> Image.Image:
    """Without `share` of width and height, split by chance between the two sides."""
    width, height = image.size
    lost_x, lost_y = round(share * width), round(share * height)
    left, top = (int(chance.integers(0, lost + 1)) for lost in (lost_x, lost_y))
    return image.crop((left, top, left + width - lost_x, top + height - lost_y))


def brightened(image: Image.Image) -> Image.Image:
    """20 % brighter, cut off at white."""
    return image.point(lambda grey: min(255, round(1.2 * grey)))


def lifted(image: Image.Image) -> Image.Image:
    """With a gamma of 0.7."""
    return image.point(lambda grey: round(255 * (grey / 255) ** 0.7))


def shrunk(image: Image.Image) -> Image.Image:
    """At 70 % of its size."""
    return image.resize((round(0.7 * image.width), round(0.7 * image.height)))


ALTERED: dict[str, Alter] = {
    "same pixels, PNG": lambda image, _: saved(image, "PNG"),
    "JPEG, quality 30": lambda image, _: saved(image, "JPEG", 30),
    "contrast inverted": lambda image, _: ImageOps.invert(image),
    "trimmed by 5 %": lambda image, chance: trimmed(image, 0.05, chance),
    "brightened by 20 %": lambda image, _: brightened(image),
    "gamma 0.7": lambda image, _: lifted(image),
    "resized to 70 %": lambda image, _: shrunk(image),
    "mirrored": lambda image, _: ImageOps.mirror(image),
    "trimmed 5 %, gamma, inverted, JPEG 40": lambda image, chance: saved(
        ImageOps.invert(lifted(trimmed(image, 0.05, chance))), "JPEG", 40
    ),
    "not claimed: trimmed by 10 %": lambda image, chance: trimmed(image, 0.10, chance),
    "not claimed: turned by 3 degrees": lambda image, _: image.rotate(3, Image.Resampling.BICUBIC),
}


def planted_rows(records: list[Record], rows: list[int], chance: np.random.Generator) -> list[int]:
    """A tenth of the rows of every set, one at least."""
    by_set: dict[str, list[int]] = {}
    for row in rows:
        by_set.setdefault(records[row].set, []).append(row)
    chosen = [
        int(row)
        for members in by_set.values()
        for row in chance.choice(members, max(1, round(len(members) / 10)), replace=False)
    ]
    return sorted(chosen)


def known_as_one(first: Record, second: Record) -> bool:
    """Whether the corpus says that both show one patient or belong to one family of twins."""
    same_group = first.group is not None and first.group == second.group
    return same_group or (first.twins is not None and first.twins == second.twins)


def run(corpus: Corpus, split: str) -> None:
    """Print the two tables and the list of alarms."""
    records, chance = list(corpus), np.random.default_rng(0)
    usable = [i for i, r in enumerate(records) if r.frame is not None and r.exclude is None]
    train = [i for i in usable if records[i].split == "train"]
    asked = [i for i in usable if records[i].split == split]
    planted = planted_rows(records, asked, chance)
    start = time.process_time()
    greys_NSS = open_greys(corpus)
    looked = time.process_time() - start
    pool_NSS = greys_NSS[train]
    every_plant = []
    print(f"{len(planted)} of {len(asked)} pictures planted among {len(train)}")
    for name, alter in ALTERED.items():
        plants_NSS = np.stack([grey_of(alter(corpus.picture(i), chance)) for i in planted])
        every_plant.append(plants_NSS)
        copies = find_copies(np.concatenate([pool_NSS, plants_NSS]), greys_NSS[planted])
        found = {copy.second for copy in copies if copy.first == len(train) + copy.second}
        lost = Counter(records[i].set for n, i in enumerate(planted) if n not in found)
        missed = ", ".join(f"{count} of {name}" for name, count in lost.items())
        print(
            f"{name:40s} recall {len(found) / len(planted):.3f}   {missed and 'missed: '}{missed}"
        )
    others = sorted(set(asked) - set(planted))
    start = time.process_time()
    alarms = find_copies(np.concatenate([pool_NSS, *every_plant]), greys_NSS[others])
    took = time.process_time() - start
    names = [*train, *planted * len(ALTERED)]
    pairs = {(others[copy.second], names[copy.first]): copy.likeness for copy in alarms}
    print_alarms(records, others, pairs)
    print(
        f"{looked:.0f} s of one core to look at all pictures (0 when kept), {took:.0f} s to compare"
    )


def print_alarms(
    records: list[Record], others: list[int], pairs: dict[tuple[int, int], float]
) -> None:
    """Alarms by set, and every pair that raised one."""
    alarmed = Counter(records[row].set for row in {second for second, _ in pairs})
    for name, count in sorted(Counter(records[row].set for row in others).items()):
        print(f"{name:40s} alarms {alarmed[name]} of {count}")
    total = sum(alarmed.values())
    print(f"{'all sets':40s} alarms {total} of {len(others)} ({total / len(others):.2%})")
    for (second, first), likeness in sorted(pairs.items(), key=lambda item: -item[1]):
        known = "known as one" if known_as_one(records[second], records[first]) else "to be seen"
        print(f"  {likeness:.3f} {known:12s} {records[second].id}  {records[first].id}")


def main() -> None:
    """Read the two arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--split", default="val", choices=("val", "test"))
    arguments = parser.parse_args()
    run(open_corpus(arguments.corpus), arguments.split)


if __name__ == "__main__":
    main()
