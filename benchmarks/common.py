"What the benchmarks share: where the real data lies."
from pathlib import Path

from fastclass.course.samples import pack

SHARED = Path(__file__).resolve().parents[2]/'shared' # real data beside the repository; it is not part of the project


def photos(
    name,      # Bundled pack to take without real photos
    part=''    # Folder in it that holds the classes
) -> Path: # A folder with one folder for each class
    "The real bears where they are in reach, else a bundled pack"
    bears = SHARED/'photos'/'bears'
    return bears if bears.is_dir() else pack(name)/part
