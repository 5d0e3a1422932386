"Pictures of every kind, judged by their bytes: real photos, crests and phone photos where they are at hand, and files made here"
import io, threading, time, tracemalloc, warnings, zlib
from concurrent.futures import ThreadPoolExecutor
from struct import pack

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from fastclass.engine.base.errors import PictureError
from fastclass.engine.base.picture import REASONS, check_picture, clean_jpeg, picture_format, read_picture


Image.init()
AVIF = ('AVIF',) if 'AVIF' in Image.SAVE else () # Pillow has it from 11.3 on


def scene(seed, size=(160, 120)):
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def saved(im, format='JPEG', **kwargs):
    out = io.BytesIO()
    im.save(out, format, **kwargs)
    return out.getvalue()


def png(width, height, colour=2, bits=8):
    def chunk(kind, body): return pack('>I', len(body))+kind+body+pack('>I', zlib.crc32(kind+body))
    return b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR', pack('>IIBBBBB', width, height, bits, colour, 0, 0, 0))+chunk(b'IDAT', zlib.compress(bytes(99)))+chunk(b'IEND', b'')


def reason(source, **kwargs):
    with pytest.raises(PictureError) as e: read_picture(source, **kwargs)
    assert e.value.reason in REASONS
    return e.value.reason


def apart(a, b): return float(np.abs(np.asarray(a, dtype=float)-np.asarray(b, dtype=float)).mean())


# ---- real files

def test_phone_photos_are_upright_whatever_their_note(shared):
    for shape, size in (('Landscape', (90, 60)), ('Portrait', (60, 90))):
        first = read_picture(shared/f'awkward_files/exif_orientation/{shape}_1.jpg').resize(size)
        for n in range(9):
            im = read_picture(shared/f'awkward_files/exif_orientation/{shape}_{n}.jpg')
            assert (im.width > im.height) == (shape == 'Landscape') and apart(im.resize(size), first) < 6, n


def test_no_real_photo_or_crest_is_refused(shared):
    files = [p for o in ('photos/bears', 'photos/pets', 'crests') for p in sorted((shared/o).rglob('*')) if p.is_file()]
    refused = []
    def look(p):
        try: check_picture(read_picture(p))
        except PictureError as e: refused.append((p.name, e.reason))
    with ThreadPoolExecutor(4) as pool: list(pool.map(look, files))
    assert len(files) >= 900 and refused == []


def test_real_placeholder_is_refused_by_name(shared):
    data = (shared/'awkward_files/imageNotFound.gif').read_bytes()
    with pytest.raises(PictureError) as e: clean_jpeg(data)
    assert e.value.reason == 'placeholder'
    again = saved(read_picture(data).resize((180, 180)), quality=50)
    with pytest.raises(PictureError, match='no image'): clean_jpeg(again)


def test_hidden_colour_of_crests_does_not_show(shared):
    for p in sorted((shared/'crests').rglob('*.png')):
        im = Image.open(p).convert('RGBA')
        clear = np.asarray(im)[..., 3] == 0
        assert clear.any() and (np.asarray(read_picture(p))[clear] == 255).all(), p.name


@pytest.mark.parametrize('name', ['png_big_text.png', 'png_big_profile.png', 'jpeg_junk_between_segments.jpg'])
def test_what_a_browser_shows_is_read(name, shared):
    im = read_picture(shared/'awkward_files'/name)
    assert np.asarray(im).std()>20 and clean_jpeg(shared/'awkward_files'/name, check=False)[1]['width']==im.width


# ---- made files

@pytest.mark.parametrize('format', ['JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', *AVIF, 'MPO', 'PPM'])
def test_every_format_and_every_kind_of_source(format, tmp_path):
    im = scene(1)
    data = saved(im, format)
    (tmp_path/'ein bild\nönly.txt').write_bytes(data)  # the name says nothing
    for source in (data, bytearray(data), io.BytesIO(data), tmp_path/'ein bild\nönly.txt', str(tmp_path/'ein bild\nönly.txt'), Image.open(io.BytesIO(data))):
        got = read_picture(source)
        assert (type(got), got.mode, got.size, got.info) == (Image.Image, 'RGB', im.size, {}) and apart(got, im) < 12


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'RGBa', 'La', 'CMYK', 'YCbCr', 'LAB', 'HSV', 'I', 'I;16', 'I;16B', 'F'])
def test_every_mode_of_pillow(mode):
    im = Image.new(mode, (9, 7))
    assert read_picture(im).mode == 'RGB' and im.mode == mode


@pytest.mark.parametrize('make', [lambda: saved(scene(2).convert('CMYK')), lambda: saved(scene(2).convert('CMYK'), 'TIFF'), lambda: saved(scene(2).quantize(256), 'PNG'),
                                  lambda: saved(scene(2).convert('RGBA'), 'PNG'), lambda: saved(scene(2), 'TIFF', compression='tiff_lzw'), lambda: saved(scene(2), progressive=True)])
def test_colours_are_right(make): assert apart(read_picture(make()), scene(2)) < 8


def test_sixteen_bits_keep_their_tones():
    grey = np.asarray(scene(3).convert('L'))
    for scale in (257, 16):  # 16 bits, and 12 bits in a file of 16
        assert apart(read_picture(saved(Image.fromarray(grey.astype(np.uint16)*scale), 'PNG')).convert('L'), grey) < 1.5
    assert apart(read_picture(Image.fromarray(grey.astype(np.float32)/255)).convert('L'), grey) < 1


def test_transparency_in_all_its_forms():
    im = scene(4).quantize(16)
    data = saved(im, 'PNG', transparency=im.getpixel((3, 3)))
    assert read_picture(data).getpixel((3, 3)) == (255, 255, 255)
    assert read_picture(data, background=(9, 8, 7)).getpixel((3, 3)) == (9, 8, 7)
    rgb = Image.new('RGB', (9, 9), (1, 2, 3))
    assert read_picture(saved(rgb, 'PNG', transparency=(1, 2, 3))).getpixel((3, 3)) == (255, 255, 255)


# ---- refusals

@pytest.mark.parametrize('switch', [False, True])
@pytest.mark.parametrize('format', ['JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', *AVIF, 'PPM'])
def test_no_half_file_passes(format, switch, monkeypatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', switch)
    data = saved(Image.effect_noise((120, 90), 60).convert('RGB'), format)
    assert read_picture(data).size == (120, 90)
    for part in (.02, .2, .5, .9, .98): assert reason(data[:int(len(data)*part)]) in ('truncated', 'unreadable')


def test_thumbnail_inside_a_header_does_not_hide_a_cut():
    exif = Image.Exif()
    exif[0x010e] = 'x'
    inner = saved(scene(5, (40, 30)))
    data = saved(scene(5))
    whole = data[:2]+b'\xff\xe1'+pack('>H', len(inner)+8)+b'Exif\0\0'+inner+data[2:]
    assert read_picture(whole).size == (160, 120) and reason(whole[:-400]) == 'truncated'


def test_bombs_cost_neither_time_nor_memory():
    for data in (png(20_000, 20_000), png(60_000, 60_000, 0, 1), b'RIFF'+pack('<I', 22)+b'WEBPVP8X'+pack('<I', 10)+bytes(4)+b'\xff\x3f\0\xff\x3f\0',
                 b'GIF89a'+pack('<HH', 60_000, 60_000)+b'\0\0\0'+b','+pack('<HHHH', 0, 0, 60_000, 60_000)+b'\0\2\1\0\0;'):
        tracemalloc.start()
        start = time.perf_counter()
        assert reason(data) == 'too_many_pixels'
        assert time.perf_counter()-start < .5 and tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


def test_limits_of_pillow_are_neither_used_nor_changed(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 50)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert read_picture(saved(scene(6))).size == (160, 120)
    assert Image.MAX_IMAGE_PIXELS == 50 and reason(saved(scene(6)), max_pixels=999) == 'too_many_pixels'


@pytest.mark.parametrize('data,word,says', [(b'', 'empty', 'zero bytes'), (b'<!doctype html><p>no', 'not_a_picture', 'a web page'), (b'  <svg/>', 'format_not_allowed', 'SVG'), (b'%!PS', 'format_not_allowed', 'EPS'),
    (b'%PDF-1', 'format_not_allowed', 'PDF'), (b'{"a": 1}', 'not_a_picture', 'JSON'), (b'gone', 'not_a_picture', 'text'), (b'PK\3\4', 'not_a_picture', 'zip'), (b'\0\0\0\x18ftypheic', 'format_not_allowed', 'HEIC'), (b'\0'*9, 'not_a_picture', 'nothing known')])
def test_what_it_is_instead(data, word, says, tmp_path):
    (tmp_path/'cat.jpg').write_bytes(data)
    assert reason(tmp_path/'cat.jpg') == word
    with pytest.raises(PictureError, match='cat.jpg') as e: read_picture(tmp_path/'cat.jpg')
    assert says in str(e.value)


def test_paths_that_lead_nowhere(tmp_path):
    assert [reason(o) for o in (tmp_path/'no.jpg', tmp_path, 'a\0b', 7)] == ['missing', 'not_a_picture', 'unreadable', 'not_a_picture']


def test_random_damage_gives_a_picture_or_a_refusal():
    rng = np.random.default_rng(0)
    whole = [saved(scene(7), o) for o in ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', *AVIF, 'PPM')]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Pillow's own, on damaged tags
        for data in whole:
            for _ in range(40):
                bad = bytearray(data)
                for i in rng.integers(0, min(len(bad), 400), 3): bad[i] = int(rng.integers(256))
                try: assert read_picture(bytes(bad), max_pixels=2_000_000).mode == 'RGB'
                except PictureError as e: assert e.reason in REASONS


# ---- clean JPEGs

def test_clean_jpegs_are_small_upright_bare_and_the_same_each_time():
    exif = Image.Exif()
    exif[0x0112], exif[0x010f] = 6, 'Maker'
    data = saved(scene(8, (1400, 1000)), exif=exif, comment=b'secret', dpi=(300, 300), icc_profile=b'profile'*9)
    made = {clean_jpeg(data)[0] for _ in range(3)}
    jpeg, info = clean_jpeg(data)
    assert made == {jpeg} and (info['width'], info['height'], info['full_width'], info['full_height']) == (457, 640, 1000, 1400)
    im = Image.open(io.BytesIO(jpeg))
    assert (im.mode, im.size, len(im.getexif())) == ('RGB', (457, 640), 0) and not {'exif', 'comment', 'icc_profile'} & set(im.info)
    assert apart(im, ImageOps.exif_transpose(Image.open(io.BytesIO(data))).resize(im.size)) < 4
    assert clean_jpeg(saved(scene(8, (90, 60))))[1]['width'] == 90  # never larger than it was


def test_threads_get_what_one_thread_gets():
    sources = [saved(scene(i, (700, 500))) for i in range(12)]*4
    alone = [clean_jpeg(o)[0] for o in sources[:12]]*4
    with ThreadPoolExecutor(8) as pool: assert [o[0] for o in pool.map(clean_jpeg, sources)] == alone
    assert threading.active_count() < 40


def test_near_makes_big_photos_cheap():
    data = saved(scene(9, (4000, 3000)))
    def seconds(**kwargs):
        start = time.perf_counter()
        read_picture(data, **kwargs)
        return time.perf_counter()-start
    assert min(seconds(near=192) for _ in range(3))*1.5 < min(seconds() for _ in range(3))
    im = read_picture(data, near=192)
    assert min(im.size) >= 192 and apart(im.resize((200, 150)), scene(9, (4000, 3000)).resize((200, 150))) < 4


def test_names_of_formats():
    for format in ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', *AVIF): assert picture_format(saved(scene(1), format)) == format


# ---- what is not pixels, and what it costs

def test_damaged_is_not_truncated():
    data = saved(Image.effect_noise((120, 90), 60), 'PNG')
    damaged = data[:300]+bytes(9)+data[309:]
    assert (reason(damaged), reason(data[:300])) == ('unreadable', 'truncated')
    with pytest.raises(PictureError, match='checksum'): read_picture(damaged)


def test_notes_stored_as_fractions_turn_the_picture():
    from PIL.TiffImagePlugin import IFDRational
    im = scene(1)
    im.getexif()[0x0112] = IFDRational(6, 1)
    assert read_picture(im).size == (120, 160)
    im.getexif()[0x0112] = IFDRational(13, 2)
    assert read_picture(im).size == (160, 120)


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'PA', 'P', 'L', '1', 'CMYK', 'I;16', 'I', 'F', 'LAB', 'La'])
def test_strips_give_what_one_piece_gives(mode, monkeypatch):
    from fastclass.engine.base import picture
    rng = np.random.default_rng(0)
    im = Image.fromarray(rng.integers(0, 256, (90, 70, 4), dtype=np.uint8))
    if mode == 'I;16': im = Image.fromarray(rng.integers(0, 60_000, (90, 70), dtype=np.uint16))
    elif mode in 'IF': im = Image.fromarray(rng.integers(-900, 900_000, (90, 70)).astype(dict(I=np.int32, F=np.float32)[mode]))
    elif mode == 'LAB': im = Image.new('LAB', (70, 90), (90, 20, 200))
    elif mode in ('LA', 'La', 'PA'): im = im.convert('LA').convert(mode)
    elif mode == 'P':
        im = im.convert('RGB').quantize(64)
        im.info['transparency'] = 9
    else: im = im.convert('RGB').convert(mode) if mode != 'RGBA' else im
    whole = read_picture(im)
    monkeypatch.setattr(picture, '_STRIP', 500)
    assert np.array_equal(np.asarray(read_picture(im)), np.asarray(whole))


def test_sides_are_limited():
    assert reason(Image.new('L', (65_536, 1))) == 'too_many_pixels' and read_picture(Image.new('L', (65_535, 1))).size == (65_535, 1)


def test_open_files_are_limited_too(monkeypatch, tmp_path):
    from fastclass.engine.base import picture
    data = saved(scene(1))
    (tmp_path/'a.jpg').write_bytes(data)
    with open(tmp_path/'a.jpg', encoding='latin-1') as f: assert reason(f) == 'not_a_picture'
    monkeypatch.setattr(picture, 'MAX_BYTES', len(data)-1)
    assert reason(io.BytesIO(data)) == 'too_large' and reason(tmp_path/'a.jpg') == 'too_large'
