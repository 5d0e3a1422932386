"What the benchmarks share: where the real data lies."
import math
from pathlib import Path
from statistics import mean, stdev

from PIL import Image

from fastclass.engine.packs.packs import pack

SHARED = Path(__file__).resolve().parents[2]/'shared' # real data beside the repository; it is not part of the project
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26} # Student's t for 95%, by number of seeds


def photos(
    name,      # Bundled pack to take without real photos
    part=''    # Folder in it that holds the classes
) -> Path: # A folder with one folder for each class
    "The real bears where they are in reach, else a bundled pack"
    bears = SHARED/'photos'/'bears'
    return bears if bears.is_dir() else pack(name)/part


def crest_folder(folder=None):
    "That folder; without one the real crests where they are in reach, else the bundled ones"
    real = SHARED/'crests'/'2021-22'
    if folder: return Path(folder)
    return real if real.is_dir() else pack('crests')/'masters'


def crest_masters(folder=None):
    "Class to picture with transparency, one PNG each"
    return {f.stem: Image.open(f).convert('RGBA') for f in sorted(crest_folder(folder).glob('*.png'))}


def interval(values):
    "Mean and 95% interval (Student's t) of a few values"
    values = list(values)
    half = T95[len(values)]*stdev(values)/math.sqrt(len(values)) if len(values)>1 else math.inf
    return mean(values), mean(values)-half, mean(values)+half
