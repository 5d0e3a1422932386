"Pictures that hang, flood the memory, take minutes, or look broken and are not; each at the places that read pictures"
import functools, io, os, re, socket, struct, zlib
from pathlib import Path

from attacks import Attack


# ---- bytes

def chunk(kind, body): return struct.pack('>I', len(body))+kind+body+struct.pack('>I', zlib.crc32(kind+body))


def zeros(size, level=1) -> bytes: # `size` zero bytes, packed
    packer = zlib.compressobj(level)
    block = bytes(1<<20)
    return b''.join([*(packer.compress(block) for _ in range(size>>20)), packer.compress(bytes(size & 0xFFFFF)), packer.flush()])


def png(width=60, height=40, bits=8, colour=2, before=b'', after=b'', packed=None):
    "A black PNG; `colour` 0 grey, 2 RGB, 3 palette, 6 RGBA"
    row = (width*{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]*bits+7)//8+1
    palette = chunk(b'PLTE', bytes(768)) if colour==3 else b''
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, bits, colour, 0, 0, 0))
    pixels = zeros(row*height) if packed is None else packed
    return b'\x89PNG\r\n\x1a\n'+header+palette+before+chunk(b'IDAT', pixels)+after+chunk(b'IEND', b'')


@functools.cache
def saved(format, size=(60, 40), mode='RGB', **how) -> bytes: # of a soft picture
    from PIL import Image
    out = io.BytesIO()
    Image.linear_gradient('L').resize(size).convert(mode).save(out, format, **how)
    return out.getvalue()


def jpeg(between=b'', **how):
    "A JPEG with something between its first segment and the second"
    data = saved('JPEG', **how)
    return data[:20]+between+data[20:]


def segment(mark, body): return bytes((0xFF, mark))+struct.pack('>H', len(body)+2)+body


def scans(side, n): # a JPEG that passes over its pixels `n` times
    from PIL import Image
    out = io.BytesIO()
    Image.new('RGB', (side, side)).save(out, 'JPEG', progressive=True)
    data = out.getvalue()
    last = data[data.rfind(b'\xff\xda'):-2]
    return data[:-2]+last*n+b'\xff\xd9'


def exif(entries, order='<') -> bytes: # TIFF with one list of tags: `(tag, type, count, four bytes)`
    body = b''.join(struct.pack(order+'HHL', *o[:3])+o[3] for o in entries)
    return struct.pack(order+'2sHLH', b'II', 42, 8, len(entries))+body+bytes(4)


def exif_flood(size, most=60_000): # each tag is all of the note
    n = min((size-14)//12, most)
    return exif([(1000+i, 7, size-8, struct.pack('<L', 8)) for i in range(n)])+bytes(size-14-n*12)


SIX = struct.pack('<HH', 6, 0)
SIX_OVER_ONE = exif([(0x0112, 5, 1, struct.pack('<L', 26))])+struct.pack('<LL', 6, 1)


def text_profile(note): # as ImageMagick wrote it
    return b'Raw profile type exif\0\0'+zlib.compress(b'\nexif\n%8d\n' % len(note)+note.hex().encode()+b'\n')


def webp(width, height): return b'RIFF'+struct.pack('<I', 22)+b'WEBPVP8X'+struct.pack('<I', 10)+bytes(4)+(width-1).to_bytes(3, 'little')+(height-1).to_bytes(3, 'little')


def gif(screen, frame, before=b'', blocks=b'\2\x44\1'):
    return b'GIF89a'+struct.pack('<HH', *screen)+b'\0\0\0'+before+b','+struct.pack('<HHHH', 0, 0, *frame)+b'\0\2'+blocks+b'\0;'


def tiff(many, kind=4): return exif([(256, 3, 1, struct.pack('<HH', 9, 0)), (257, 3, 1, struct.pack('<HH', 9, 0)), (273, kind, many, struct.pack('<L', 8))])


def rle_bmp(n): return b'BM'+struct.pack('<IHHI', 0, 0, 0, 1078)+struct.pack('<IIIHHIIIIII', 40, 10_000, 10_000, 1, 8, 1, 0, 0, 0, 256, 0)+bytes(range(256))*4+b'\1\7'*n


# ---- what a file can be that is no file with bytes

def pipe(file): os.mkfifo(file)
def zero_device(file): os.symlink('/dev/zero', file)
def random_device(file): os.symlink('/dev/urandom', file)
def sparse(file):
    with open(file, 'wb') as f: f.truncate(20<<30)
def sparse_picture(file):
    with open(file, 'wb') as f:
        f.write(saved('PNG'))
        f.truncate(20<<30)
def folder(file): file.mkdir()
def listening(file):
    here = os.getcwd()
    os.chdir(file.parent) # the path of a socket is short
    socket.socket(socket.AF_UNIX).bind(file.name)
    os.chdir(here)
def dangling(file): os.symlink('nowhere', file)
def endless_link(file): os.symlink(file.name, file)


NO_FILES = dict(pipe=(pipe, 'not a regular file'), zero_device=(zero_device, 'not a regular file'), random_device=(random_device, 'not a regular file'),
                sparse=(sparse, 'at most 500,000,000'), sparse_picture=(sparse_picture, 'at most 500,000,000'), listening=(listening, 'not a regular file'),
                folder=(folder, 'is a folder'), dangling=(dangling, 'does not exist'), endless_link=(endless_link, 'cannot be read'))


# ---- the places that read a picture, each told the file

def reads(file):
    from fastclass.engine.base.picture import read_picture
    return read_picture(file)


def reads_near(file):
    from fastclass.engine.base.picture import read_picture
    return read_picture(file, near=192)


def cleans(file):
    from fastclass.engine.base.picture import clean_jpeg
    return clean_jpeg(file, check=False)


def looks(file):
    from fastclass.engine.base.lookalikes import fingerprint
    return fingerprint(file)


def upright(file):
    from fastclass.engine.datablock.loaders import UprightImage
    return UprightImage.create(file)


def masks(file):
    from fastclass.segment import open_mask
    return open_mask(file)


def hashes(file):
    from fastclass.engine.datablock.split import content_hashes
    return content_hashes([file])


def marks(file):
    from fastclass.engine.interpret.review import file_hash
    return file_hash(file)


def scans_folder(file):
    from fastclass.engine.datablock.folder import scan_folder
    return scan_folder(file.parent.parent, progress=False)


def predicts(file):
    "A table of what a model of no weights says about the folder of the file"
    from attacks.folders import Asked
    from fastclass.predict import predict_files
    return predict_files(Asked(), file.parent, progress=False)


def predicts_tta(file):
    from attacks.folders import Asked
    from fastclass.predict import predict_files
    return predict_files(Asked(), [file], tta=1, progress=False)


def good_neighbours(folder):
    "Two classes of good pictures"
    from PIL import Image
    for c,name in enumerate(('cat', 'dog')):
        (folder/name).mkdir()
        for i in range(2): Image.linear_gradient('L').resize((40+i, 30+10*c)).convert('RGB').save(folder/name/f'{i}.png')


def in_folder(make, name='evil.jpg'):
    "Make the file among good ones"
    def made(place):
        good_neighbours(place)
        file = place/'cat'/name
        if callable(make): make(file)
        else: file.write_bytes(make)
    return made


def at(call, name='evil.jpg'): return lambda place: call(place/'cat'/name)


def refused(reason):
    "The scan set one file aside, for this reason, and kept the others"
    def check(found, folder):
        assert [(Path(f).name, why) for f,why,_ in found.refused]==[('evil.jpg', reason)], found.refused
        assert found.counts=={'cat': 2, 'dog': 2}, found.counts
    return check


def nothing_refused(found, folder): assert found.counts=={'cat': 3, 'dog': 2}, (found.counts, found.refused)


def has_row(table, folder):
    "Every file has its row, and only the bad one an error"
    errors = {Path(o.file).name: o.error for o in table.itertuples()}
    assert errors['evil.jpg'] and sum(map(bool, errors.values()))==1, errors


def of_size(*size):
    def check(im, folder): assert im.size==size, im.size
    return check


# ---- the rows: what is no file, at every place

RAISES = dict(read=reads, clean=cleans, fingerprint=looks, upright=upright, hash=hashes, review=marks)
REASON = dict(sparse='too_large', sparse_picture='too_large', dangling='missing', endless_link='unreadable')

ATTACKS = []
for kind,(make,says) in NO_FILES.items():
    for place,call in RAISES.items():
        missing = place=='hash' and kind in ('dangling', 'endless_link')
        ATTACKS.append(Attack(f'picture_{kind}_{place}', in_folder(make), at(call), 'There is no file' if missing else says))
    mask_says = 'cannot be read' if kind.startswith('sparse') else 'is missing'
    ATTACKS.append(Attack(f'picture_{kind}_mask', in_folder(make), at(masks), mask_says))
    if kind=='folder': continue
    ATTACKS.append(Attack(f'picture_{kind}_scan', in_folder(make), at(scans_folder), None, refused(REASON.get(kind, 'not_a_picture'))))
    ATTACKS.append(Attack(f'picture_{kind}_predict', in_folder(make), at(predicts), None, has_row))
ATTACKS += [Attack(f'picture_{kind}_predict_tta', in_folder(make), at(predicts_tta), None, has_row) for kind,(make,_) in NO_FILES.items() if kind in ('pipe', 'sparse')]


# ---- the rows: bytes that are refused before they cost much; made when the row runs

BYTES = {
    'png_tall': (lambda: png(1, 119_000_000, 1, 0, packed=b''), 'at most 65,535', 'too_many_pixels'),
    'png_wide': (lambda: png(119_000_000, 1, 16, 0, packed=b''), 'at most 65,535', 'too_many_pixels'),
    'png_square': (lambda: png(20_000, 20_000, packed=b''), 'over the limit', 'too_many_pixels'),
    'png_no_pixels': (lambda: png(500, 500, packed=zlib.compress(b'')), 'cannot be decoded', 'unreadable'),
    'png_damaged': (lambda: png().replace(b'IDAT', b'IDAT\x11', 1)[:-13]+png()[-12:], 'checksum', 'unreadable'),
    'png_cut': (lambda: png()[:-20], 'stops early', 'truncated'),
    'png_a_million_parts': (lambda: png(before=chunk(b'teXt', b'')*1_000_000), 'over 200,000 parts', 'unreadable'),
    'png_part_of_4_gb': (lambda: png()[:33]+b'\xff\xff\xff\xf0IDAT'+bytes(99), 'stops early', 'truncated'),
    'png_no_header': (lambda: png()[:8]+png()[33:], 'cannot be decoded', 'unreadable'),
    'jpeg_240_scans': (lambda: scans(4000, 240), 'come in 2', 'unreadable'),
    'jpeg_300_scans': (lambda: scans(64, 300), 'come in 3', 'unreadable'),
    'jpeg_a_million_comments': (lambda: jpeg(segment(0xFE, b'')*1_000_000), 'header has over', 'unreadable'),
    'jpeg_30_mb_of_filling': (lambda: jpeg(b'\xff'*30_000_000), 'header has over', 'unreadable'),
    'jpeg_30_mb_of_zero_marks': (lambda: jpeg(b'\xff\0'*15_000_000), 'header has over', 'unreadable'),
    'jpeg_no_scan': (lambda: saved('JPEG')[:300], 'stops early', 'truncated'),
    'jpeg_ends_at_once': (lambda: b'\xff\xd8\xff\xd9'+bytes(99), 'stops early', 'truncated'),
    'jpeg_65535_square': (lambda: re.sub(rb'(\xff\xc0\0.\x08)....', lambda found: found[1]+b'\xff'*4, saved('JPEG'), flags=re.S), 'over the limit', 'too_many_pixels'),
    'gif_huge_frame': (lambda: gif((9, 9), (65_535, 65_535)), 'over the limit', 'too_many_pixels'),
    'gif_huge_screen': (lambda: gif((65_535, 65_535), (9, 9)), 'over the limit', 'too_many_pixels'),
    'gif_huge_frame_replaced': (lambda: gif((9, 9), (40_000, 40_000), before=b'!\xf9\4\x08\0\0\0\0'), 'over the limit', 'too_many_pixels'),
    'gif_15_million_blocks': (lambda: gif((9, 9), (9, 9), before=b'!\xfe'+b'\1x'*15_000_000+b'\0'), 'over 2,000,000 parts', 'unreadable'),
    'gif_a_million_notes': (lambda: gif((9, 9), (9, 9), before=b'!\xfe\0'*1_000_000), 'over 10,000 parts', 'unreadable'),
    'gif_no_frame': (lambda: b'GIF89a'+bytes(7)+b';'*20, 'no known kind', 'unreadable'),
    'webp_huge': (lambda: webp(16_384, 16_384), 'over the limit', 'too_many_pixels'),
    'webp_cut': (lambda: saved('WEBP')[:-9], 'stops early', 'truncated'),
    'webp_only_a_start': (lambda: b'RIFF\0\0\0\0WEBP', 'cannot be decoded', 'unreadable'),
    'ppm_20000_notes': (lambda: b'P6\n'+b'#\n'*20_000+b'9 9 255\n'+bytes(243), 'over 10,000 parts', 'unreadable'),
    'ppm_header_only': (lambda: b'P6\n9 9', 'stops early', 'truncated'),
    'ppm_words_that_are_no_numbers': (lambda: b'P6 a b c\n'+bytes(99), 'cannot be decoded', 'unreadable'),
    'ppm_10**400': (lambda: b'P6 '+b'9'*400+b' 9 255\n'+bytes(99), 'cannot be decoded', 'unreadable'),
    'ppm_minus': (lambda: b'P6 -9 -9 255\n'+bytes(300), 'cannot be decoded', 'unreadable'),
    'ppm_odd_values': (lambda: b'P5\n6000 6000 254\n'+bytes(36_000_000), 'takes long', 'unreadable'),
    'ppm_30_mb_of_text': (lambda: b'P2\n9 9 255\n'+b'0 '*15_000_000, 'takes long', 'unreadable'),
    'ppm_text_full_of_notes': (lambda: b'P2\n9 9 255\n'+b'#\n'*10_000_000, 'over 10,000 comments', 'unreadable'),
    'bmp_30_mb_of_runs': (lambda: rle_bmp(15_000_000), 'takes long', 'unreadable'),
    'bmp_cut': (lambda: saved('BMP')[:-99], 'stops early', 'truncated'),
    'tiff_20_million_strips': (lambda: tiff(20_000_000)+bytes(80_000_000), '20,000,000 numbers', 'unreadable'),
    'tiff_20_million_fractions': (lambda: tiff(20_000_000, 5), '20,000,000 numbers', 'unreadable'),
    'tiff_far_list': (lambda: b'II*\0\xf0\xff\xff\xff'+bytes(99), 'TIFF', 'unreadable'),
    'tiff_big_no_end': (lambda: b'II+\0\x08\0\0\0'+b'\xff'*200, 'TIFF', 'unreadable'),
    'tiff_9000_texts_that_overlap': (lambda: exif_flood(1_000_000, 9000), 'larger than the file', 'unreadable'),
    'tiff_big_2**64_tags': (lambda: b'II+\0\x08\0\0\0'+struct.pack('<QQ', 16, 2**64-1)+bytes(99), 'tags', 'unreadable'),
    'avif_start_only': (lambda: b'\0\0\0\x18ftypavif'+bytes(60), 'AVIF', 'unreadable'),
}
for kind,(make,says,reason) in BYTES.items():
    def write(file, make=make): file.write_bytes(make())
    ATTACKS.append(Attack(f'picture_{kind}', in_folder(write), at(reads), says))
    if kind in ('png_tall', 'png_damaged', 'jpeg_240_scans', 'gif_huge_frame', 'ppm_20000_notes', 'tiff_20_million_strips', 'webp_huge'):
        ATTACKS.append(Attack(f'picture_{kind}_scan', in_folder(write), at(scans_folder), None, refused(reason)))
        ATTACKS.append(Attack(f'picture_{kind}_clean', in_folder(write), at(cleans), says))
        ATTACKS.append(Attack(f'picture_{kind}_predict', in_folder(write), at(predicts), None, has_row))
        ATTACKS.append(Attack(f'picture_{kind}_mask', in_folder(write), at(masks), 'cannot be read'))


# ---- the rows: what a browser shows is read, and a note that floods the memory is no note

READ = {
    'png_big_text': (lambda: png(before=chunk(b'zTXt', b'workflow\0\0'+zeros(2_000_000))), (60, 40)),
    'png_big_text_after_the_pixels': (lambda: png(after=chunk(b'zTXt', b'workflow\0\0'+zeros(2_000_000))), (60, 40)),
    'png_big_translation': (lambda: png(before=chunk(b'iTXt', b'workflow\0\1\0\0\0'+zeros(2_000_000))), (60, 40)),
    'png_big_profile': (lambda: png(before=chunk(b'iCCP', b'icc\0\0'+zeros(2_000_000))), (60, 40)),
    'png_80_texts': (lambda: png(before=chunk(b'zTXt', b'workflow\0\0'+zeros(1_000_000))*80), (60, 40)),
    'png_text_with_a_wrong_sum': (lambda: png(before=chunk(b'tEXt', b'a\0b')[:-4]+b'abcd'), (60, 40)),
    'png_short_gamma': (lambda: png(before=chunk(b'gAMA', b'')), (60, 40)),
    'png_broken_animation': (lambda: png(before=chunk(b'acTL', struct.pack('>II', 2, 0))+chunk(b'fcTL', b'\xff'*26)), (60, 40)),
    'png_turned': (lambda: png(after=chunk(b'eXIf', exif([(0x0112, 3, 1, SIX)]))), (40, 60)),
    'png_turned_by_a_text': (lambda: png(before=chunk(b'zTXt', text_profile(exif([(0x0112, 3, 1, SIX)])))), (40, 60)),
    'png_note_of_1_mb': (lambda: png(before=chunk(b'eXIf', exif_flood(1_000_000))), (60, 40)),
    'png_text_note_of_1_mb': (lambda: png(before=chunk(b'zTXt', text_profile(exif_flood(1_000_000)))), (60, 40)),
    'jpeg_junk_between_segments': (lambda: jpeg(b'\0\0\0'), (60, 40)),
    'jpeg_30_mb_of_junk': (lambda: jpeg(bytes(30_000_000)), (60, 40)),
    'jpeg_4_notes_that_overlap': (lambda: jpeg(b''.join(segment(0xE1, b'Exif\0\0'+exif_flood(240_000)[i*60_000:(i+1)*60_000]) for i in range(4))), (60, 40)),
    'jpeg_200_notes': (lambda: jpeg(segment(0xE1, b'Exif\0\0'+bytes(65_000))*200), (60, 40)),
    'jpeg_turned_by_a_fraction': (lambda: jpeg(segment(0xE1, b'Exif\0\0'+SIX_OVER_ONE)), (40, 60)),
    'jpeg_turned_by_nonsense': (lambda: jpeg(segment(0xE1, b'Exif\0\0'+exif([(0x0112, 2, 4, b'six\0')]))), (60, 40)),
    'jpeg_thumbnail_with_an_end': (lambda: jpeg(segment(0xE2, saved('JPEG', (20, 20)))), (60, 40)),
    'jpeg_with_a_film_behind': (lambda: saved('JPEG', progressive=True)+b'\xff\xda\0\0'*100_000, (60, 40)),
    'webp_note_of_1_mb': (lambda: saved('WEBP', exif=exif_flood(1_000_000)), (60, 40)),
    'ppm_29_mb_note': (lambda: b'P6\n#'+b'x'*29_000_000+b'\n60 40 255\n'+bytes(7200), (60, 40)),
    'ppm_text_with_a_note': (lambda: b'P2 60 40 255\n'+b'# grey\n'+b'9 '*2400, (60, 40)),
    'gif_long_note': (lambda: saved('GIF', comment=b'x'*1_000_000), (60, 40)),
}
for kind,(make,size) in READ.items():
    def write(file, make=make): file.write_bytes(make())
    ATTACKS.append(Attack(f'picture_{kind}', in_folder(write), at(reads), None, of_size(*size)))
    if kind in ('png_big_text', 'png_big_profile', 'jpeg_junk_between_segments', 'jpeg_turned_by_a_fraction'):
        ATTACKS.append(Attack(f'picture_{kind}_clean', in_folder(write), at(cleans), None))


# ---- the rows: as many pixels as are allowed, in every mode that has to be brought to RGB

FULL = dict(grey16=(16, 0), rgba=(8, 6), grey_alpha=(8, 4), palette=(8, 3), rgb=(8, 2))
for kind,how in FULL.items():
    def write(file, how=how): file.write_bytes(png(10_900, 10_900, *how))
    ATTACKS.append(Attack(f'picture_119_megapixels_{kind}', in_folder(write), at(reads), None, of_size(10_900, 10_900), seconds=20, long=kind!='grey16'))
