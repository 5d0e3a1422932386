"""The same crest drawn again by another hand: six ways, from a PNG with transparency. A test set for `crests.py`; nothing is trained on it.

    python benchmarks/redrawn.py SHEET.png [--masters FOLDER]     # a sheet to look at: a crest a row, as it is and redrawn
"""
import argparse
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from common import crest_masters
from fastclass.engine.packs.draw import stream
from fastclass.engine.packs.photo_effects import nuisance

SIDE, SCALE, SCENES = 160, 2, 2 # a crest is at most SIDE pixels wide and high, is redrawn SCALE times as large, and shown once on white and in SCENES scenes


def enlarged(crest):
    "The crest on white, RGB, and how opaque it is, both `SCALE` times as large"
    crest = crest.convert('RGBA')
    crest.thumbnail((SIDE, SIDE), Image.LANCZOS)
    crest = crest.resize([SCALE*o for o in crest.size], Image.LANCZOS)
    white = Image.new('RGBA', crest.size, 'white')
    return Image.alpha_composite(white, crest).convert('RGB'), crest.getchannel('A')


def small(im, alpha):
    "A redrawn crest at its own size, RGBA"
    im = im.convert('RGBA')
    im.putalpha(alpha)
    return im.resize([o//SCALE for o in im.size], Image.LANCZOS)


def regions(im, colours):
    "The number of each pixel's main colour, and the main colours"
    flat = im.filter(ImageFilter.MedianFilter(5)).quantize(colours, Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE)
    palette = np.array(flat.getpalette()[:3*colours], np.uint8).reshape(-1, 3)
    return np.asarray(flat), palette


def new_palette(n, rng):
    "Colours that differ in hue and in lightness, in any order"
    hues = (rng.random()+np.arange(n)*.382)%1
    values = rng.permutation(np.linspace(.2, 1, n))
    saturations = rng.uniform(.3, 1, n)
    hsv = np.stack([hues, saturations, values], 1)[None]
    return np.asarray(Image.fromarray((255*hsv).astype(np.uint8), 'HSV').convert('RGB'))[0]


def recoloured(im, alpha, rng, colours=6):
    "The same areas, each in a colour of its own"
    numbers, palette = regions(im, colours)
    return small(Image.fromarray(new_palette(len(palette), rng)[numbers]), alpha)


def flat(im, alpha, rng, colours=4):
    "A few flat colours, near the true ones"
    numbers, palette = regions(im, colours)
    return small(Image.fromarray(palette[numbers]), alpha)


def lines(im, alpha, rng):
    "A mask of the borders of the areas, as a pen would draw them"
    numbers, _ = regions(im, 6)
    numbers = np.where(np.asarray(alpha)>127, numbers+1, 0)
    border = np.zeros(numbers.shape, bool)
    border[:, 1:] |= numbers[:, 1:]!=numbers[:, :-1]
    border[1:] |= numbers[1:]!=numbers[:-1]
    return Image.fromarray(border).convert('L').filter(ImageFilter.MaxFilter(int(rng.choice([3, 5]))))


def outline(im, alpha, rng):
    "Lines in one colour with nothing between them: the ground shows through"
    dark = tuple(int(o) for o in rng.integers(0, 110, 3))
    return small(Image.new('RGB', im.size, dark), lines(im, alpha, rng))


def drawing(im, alpha, rng):
    "Black lines on white"
    return small(ImageOps.invert(lines(im, alpha, rng)).convert('RGB'), alpha)


def stroke(im, alpha, rng, pen):
    "Dark lines thicker or thinner"
    return small(im.filter(pen(int(rng.choice([5, 7])))), alpha)


REDRAWN = dict(recoloured=recoloured, flat=flat, outline=outline, drawing=drawing, thicker=partial(stroke, pen=ImageFilter.MinFilter),
               thinner=partial(stroke, pen=ImageFilter.MaxFilter))


def redrawn(crest, kind, rng): return REDRAWN[kind](*enlarged(crest), rng)


def on_white(crest): return Image.alpha_composite(Image.new('RGBA', crest.size, 'white'), crest).convert('RGB')


def redrawn_set(masters, seed=0):
    "`(class, kind, picture)` of every crest under every kind: on white, and in scenes like those of the training pictures"
    for name, master in masters.items():
        for kind in REDRAWN:
            rng = stream(seed, 'redrawn', name, kind)
            yield name, kind, on_white(redrawn(master, kind, rng))
            for _ in range(SCENES): yield name, kind, nuisance(redrawn(master, kind, rng), rng, .5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sheet')
    parser.add_argument('--masters')
    args = parser.parse_args()
    masters = crest_masters(args.masters)
    sheet = Image.new('RGB', (100*(1+2*len(REDRAWN)), 100*len(masters)), 'white')
    for y, (name, master) in enumerate(masters.items()):
        pictures = [on_white(master.convert('RGBA'))]
        shown = [im for _, _, im in redrawn_set({name: master})]
        for i in range(len(REDRAWN)): pictures += shown[i*(1+SCENES):][:2]
        for x, im in enumerate(pictures): sheet.paste(ImageOps.pad(im, (96, 96), color='white'), (100*x, 100*y))
    sheet.save(args.sheet)


if __name__ == '__main__': main()
