"What the claims of lesson 1 measure, for a seed"
import contextlib, io, tempfile, threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from fastai.vision.utils import download_images, resize_images
from PIL import Image

from fastclass.collect import collect_folder
from fastclass.engine.packs.packs import pack


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


def files_for_each_picture(seed):
    "Ten pictures from a server of this machine, downloaded twice"
    source = pack('lakes', seed=seed, each=2)
    names = [file.relative_to(source).as_posix() for file in sorted(source.glob('*/*.jpg'))]
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Silent, directory=source))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            urls = [f'http://127.0.0.1:{server.server_port}/{name}' for name in names]
            for _ in range(2): download_images(Path(folder), urls=urls, n_workers=2, timeout=4)
            files = [file.read_bytes() for file in Path(folder).iterdir()]
    finally:
        server.shutdown()
        server.server_close()
    return len(files)/len(set(files))


def phone_photo(seed, folder):
    "An upright photo of noise as a phone stores it: on its side, with a note"
    folder.mkdir()
    rng = np.random.default_rng(seed)
    width,height = rng.integers(160, 260),rng.integers(80, 140)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(folder/'IMG 0001.jpg', exif=exif)


def width_after_resize(seed):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        phone_photo(seed, folder/'phone')
        resize_images(folder/'phone', dest=folder/'small', max_size=100, max_workers=0)
        with Image.open(folder/'small'/'IMG 0001.jpg') as small: return small.width/small.height


def height_after_collect(seed):
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(folder)
        phone_photo(seed, folder/'phone')
        mine = collect_folder(folder/'phone', folder/'mine', label='street')
        with Image.open(mine.files()[0]) as upright: return upright.height/upright.width


MEASURES = {'1.a': files_for_each_picture, '1.b': width_after_resize, '1.c': height_after_collect}
