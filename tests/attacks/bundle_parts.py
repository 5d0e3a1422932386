"Small valid bundles of the five kinds, made of bytes without torch, and ways to change them before they are written."
import hashlib, io, json, math, zipfile
from functools import lru_cache

import numpy as np

TEXT,WEIGHTS = 'bundle.json','model.safetensors'
DTYPES = {'f4': 'F32', 'f2': 'F16', 'f8': 'F64', 'i8': 'I64', 'i4': 'I32', 'b1': 'BOOL', 'c8': 'C64', 'u1': 'U8'}
FIRES = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128), 9: (256, 48, 192), 10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}


def safetensors(arrays, header=None) -> bytes: # A file
    "Arrays in the format; `header` changes what the file says about them"
    said,parts,at = {},[],0
    for name,a in arrays.items():
        data = np.ascontiguousarray(a).tobytes()
        said[name] = dict(dtype=DTYPES[a.dtype.str[1:]], shape=list(a.shape), data_offsets=[at, at+len(data)])
        parts.append(data)
        at += len(data)
    if header: header(said)
    text = json.dumps(said).encode()
    return len(text).to_bytes(8, 'little')+text+b''.join(parts)


def squeezenet(prefix) -> dict: # Name to array
    "Random weights of the body of SqueezeNet 1.1"
    rng = np.random.default_rng(0)
    shapes = {'0.weight': (64, 3, 3, 3), '0.bias': (64,)}
    for i,(n_in,few,many) in FIRES.items():
        shapes |= {f'{i}.squeeze.weight': (few, n_in, 1, 1), f'{i}.squeeze.bias': (few,)}
        for name,side in (('expand1x1', 1), ('expand3x3', 3)): shapes |= {f'{i}.{name}.weight': (many, few, side, side), f'{i}.{name}.bias': (many,)}
    return {prefix+k: (rng.standard_normal(v)/math.sqrt(np.prod(v[1:]))).astype('f2') for k,v in shapes.items()}


def norm(name, n) -> dict: # Name to array
    "The numbers of a batch norm"
    ones = {f'{name}.{o}': np.ones(n, 'f4') for o in ('weight', 'running_var')}
    zeros = {f'{name}.{o}': np.zeros(n, 'f4') for o in ('bias', 'running_mean')}
    return ones|zeros|{f'{name}.num_batches_tracked': np.array(3, 'i8')}


STATS = dict(divide_by=255., resize=None, mean=[.485, .456, .406], std=[.229, .224, .225])


def pictures():
    "A classifier of three classes: its text and its arrays"
    head = [dict(type='AdaptiveAvgPool2d', output_size=1), dict(type='Flatten', full=False), dict(type='Linear', in_features=512, out_features=3, bias=True)]
    item = [dict(type='Resize', size=[48, 48], method='crop', pad_mode='reflection', resample='BILINEAR')]
    text = dict(format='fastclass-bundle', version=1, task='classification', vocabulary=['a', 'b', 'c'], arch=dict(library='torchvision', name='squeezenet1_1'),
                head=head, activation='softmax', input=dict(mode='RGB', size=[48, 48], item=item, batch=dict(STATS), near=None), metrics={}, data_card={})
    return text, squeezenet('0.0.')|{'1.2.weight': np.full((3, 512), .01, 'f4'), '1.2.bias': np.zeros(3, 'f4')}


def masks():
    "A segmenter of three classes"
    text = dict(format='fastclass-segmentation', version=1, task='segmentation', vocabulary=['sky', 'road', 'void'], void=2, size=[32, 64], arch='squeezenet1_1',
                decoder=dict(width=8, reach=2, p=.1), up=2, batch=dict(STATS), metrics={})
    rng = np.random.default_rng(0)
    shapes = {'1.mix.weight': (8, 960), '1.name.2.weight': (8, 8, 3, 3), '1.name.6.weight': (3, 8, 1, 1), '1.name.6.bias': (3,)}
    decoder = {k: rng.standard_normal(v).astype('f4')*.1 for k,v in shapes.items()}
    return text, squeezenet('0.body.')|decoder|norm('1.name.0', 8)|norm('1.name.3', 8)


def rows():
    "A model of a table with one category and one number"
    plan = dict(target='pay', classes=['low', 'high'], categories=dict(job=['care', 'craft']), numbers=dict(age=dict(fill=40., mean=41., std=9., flag=False)), order=['job'])
    sizes = dict(embeddings=[[3, 2]], n_numbers=1, n_classes=2, layers=[4], norm=True, norm_numbers=True)
    arrays = {'embeds.0.weight': np.ones((3, 2), 'f4'), 'layers.0.0.weight': np.ones((4, 3), 'f4'), 'layers.1.0.weight': np.ones((2, 4), 'f4'), 'layers.1.0.bias': np.zeros(2, 'f4')}
    return dict(format='fastclass-rows', version=1, task='rows', plan=plan, sizes=sizes, about={}), arrays|norm('bn_cont', 1)|norm('layers.0.2', 4)


def ratings():
    "Two users, three items, two factors"
    text = dict(format='fastclass-factors', version=1, users=['ann', 'bob'], items=['x', 'y', 'z'], factors=2, y_range=[.5, 5.5], noise=.5, names=['user', 'item'], seen=2)
    rng = np.random.default_rng(0)
    shapes = dict(user_factors=(2, 2), item_factors=(3, 2), user_bias=(2,), item_bias=(3,), prior_mean=(3,))
    arrays = {k: rng.standard_normal(v).astype('f4') for k,v in shapes.items()}
    return text, arrays|dict(prior_cov=np.eye(3, dtype='f4'), counts=np.array([1, 1, 0]), seen=np.array([[0, 0], [1, 1]]))


def texts():
    "A bag of twelve tokens and two pairs of neighbours"
    vocab = 'xxunk xxpad xxbos xxeos xxfld xxrep xxwrep xxup xxmaj good bad not'.split()
    plan = dict(rules=['fix_html', 'replace_maj', 'lowercase'], language='en', vocab=vocab, classes=['no', 'yes'])
    rng = np.random.default_rng(0)
    arrays = dict(pairs=np.array([11*12+9, 11*12+10]), worth=np.ones(14, 'f4'))
    shapes = {'rows.weight': (14, 3), 'out.weight': (2, 3), 'out.bias': (2,)}
    text = dict(format='fastclass-texts', version=1, plan=plan, sizes=dict(width=3, pairs=2, tokens=12, classes=2), about={})
    return text, arrays|{k: rng.standard_normal(v).astype('f4') for k,v in shapes.items()}


KINDS = dict(pictures=pictures, masks=masks, rows=rows, ratings=ratings, texts=texts)


@lru_cache
def parts(kind): return KINDS[kind]()


def opened(kind, path):
    "What a user calls"
    from fastclass.collab import load_factors
    from fastclass.predict import load_bundle
    from fastclass.segment import load_segmenter
    from fastclass.tabular import load_rows
    from fastclass.text import load_text
    return dict(pictures=load_bundle, masks=load_segmenter, rows=load_rows, ratings=load_factors, texts=load_text)[kind](path)


def files_of(kind, text=None, arrays=None, header=None) -> tuple: # The two files, as bytes
    "`text`, `arrays` and `header` are functions that change a copy of what they are called with"
    said,numbers = parts(kind)
    said,numbers = json.loads(json.dumps(said)),dict(numbers)
    if arrays: numbers = arrays(numbers) or numbers
    data = safetensors(numbers, header)
    said['weights'] = dict(file=WEIGHTS, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    if text: said = text(said) or said
    return json.dumps(said).encode(), data


def written(folder, kind='pictures', name='m', **changes):
    "A bundle in the folder `name`; returns its path"
    text,data = files_of(kind, **changes)
    path = folder/name
    path.mkdir()
    (path/TEXT).write_bytes(text)
    (path/WEIGHTS).write_bytes(data)
    return path


def zipped(folder, kind='pictures', name='m.zip', members=None, method=zipfile.ZIP_STORED, **changes):
    "A bundle as a zip; `members(text, data)` gives pairs of a name, or `ZipInfo`, and bytes"
    text,data = files_of(kind, **changes)
    pairs = members(text, data) if members else [(TEXT, text), (WEIGHTS, data)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', method) as z:
        for member,content in pairs: z.writestr(member, content)
    (folder/name).write_bytes(out.getvalue())
    return folder/name
