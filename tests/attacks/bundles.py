"Bundles of the five kinds: what their text says, what their weights hold, and how the two lie on the disk or in a zip."
import hashlib, json, os, pickle, stat, zipfile
from functools import partial

import numpy as np

from attacks import Attack
from attacks.bundle_parts import KINDS, TEXT, WEIGHTS, files_of, opened, parts, written, zipped

ATTACKS = []
HUGE = 10**400


def add(name, make, kind='pictures', says='', path='m', **kwargs):
    "A row: `make(folder)` writes the bundle `path`, and opening it must raise our error with `says` in it"
    ATTACKS.append(Attack(f'bundle_{kind}_{name}', make, lambda folder: opened(kind, folder/path), says, **kwargs))


def put(place, value):
    "A change of a text: `value` at a place such as 'input.batch.std' (numbers are places of lists)"
    def change(d):
        *way,last = (int(o) if o.lstrip('-').isdigit() else o for o in place.split('.'))
        for o in way: d = d[o]
        if value is None and isinstance(d, dict): d.pop(last)
        else: d[last] = value
    return change


def text(name, place, value, says, kind='pictures', **kwargs):
    "A row with one changed value in its text"
    add(name, partial(written, kind=kind, text=put(place, value)), kind, says, **kwargs)


# ---- the text, for every kind

def with_text(data, folder, kind):
    "A bundle whose text is `data`"
    (written(folder, kind)/TEXT).write_bytes(data(files_of(kind)[0]) if callable(data) else data)


RAW = {
    'empty': (b'', 'not JSON'), 'cut': (lambda t: t[:-9], 'not JSON'), 'deep_lists': (b'['*100_000, 'not JSON'), 'deep_dicts': (b'{"a":'*100_000, 'not JSON'),
    'is_a_list': (lambda t: b'['+t+b']', 'a dict is expected'), 'is_a_number': (b'7', 'a dict is expected'), 'is_null': (b'null', 'a dict is expected'),
    'nan': (lambda t: t[:-1]+b', "x": NaN}', 'NaN'), 'infinity': (lambda t: t[:-1]+b', "x": -Infinity}', 'Infinity'),
    'a_key_twice': (lambda t: t[:-1]+b', "format": "x"}', 'twice'), 'digits': (lambda t: t[:-1]+b', "x": '+b'9'*5000+b'}', 'not JSON'),
    'not_utf8': (lambda t: b'\xff\xfe\xfd'+t, 'not JSON'), '17_mb': (lambda t: t+b' '*(17<<20), 'larger than'),
    'many_lists': (lambda t: b'{"format": ['+b'[],'*1_000_000+b'[]]}', 'version'),
}
for kind in KINDS:
    for name,(data,says) in RAW.items():
        if kind=='pictures' or name in ('is_a_list', 'nan', 'a_key_twice'): add(f'text_{name}', partial(with_text, data, kind=kind), kind, says)
    text('format_unknown', 'format', 'x\x1b[2J', 'is of the format', kind, prints=True)
    text('format_is_a_list', 'format', ['fastclass-bundle'], '"format"', kind)
    text('version_huge', 'version', HUGE, 'version', kind)
    text('bytes_less', 'weights.bytes', 10, 'larger than', kind)
    text('sha256_other', 'weights.sha256', '0'*64, 'does not match its hash', kind)
    for key in [o for o in parts(kind)[0] if o not in ('task', 'metrics', 'data_card', 'about', 'format', 'version')]:
        text(f'without_{key}', key, None, f'"{key}"', kind)
        if kind in ('masks', 'rows', 'ratings', 'texts'): text(f'odd_{key}', key, {'a': [{}]}, key, kind)

for name,value in dict(a_list=[1], true=True, minus=-1, text='1', other=2).items(): text(f'version_{name}', 'version', value, 'version', 'rows')
for name,value in dict(minus=-1, huge=HUGE, text='5', float=5., four_gb=4<<30).items(): text(f'bytes_{name}', 'weights.bytes', value, 'weights.bytes', 'rows')
for name,value in dict(short='0', list=[], upper='A'*64, absent=None).items(): text(f'sha256_{name}', 'weights.sha256', value, 'weights.sha256', 'rows')

OTHERS = dict(pictures='fastclass.predict.load_bundle', masks='fastclass.segment.load_segmenter', rows='fastclass.tabular.load_rows', ratings='fastclass.collab.load_factors', texts='fastclass.text.load_text')
for kind,other in (('pictures', 'masks'), ('masks', 'pictures'), ('rows', 'ratings'), ('ratings', 'texts'), ('texts', 'rows')):
    add(f'of_the_kind_{other}', partial(written, kind=other), kind, OTHERS[other])


def asked(folder):
    "A bundle of masks where one of pictures is wanted"
    from fastclass.predict import predict_one
    return predict_one(folder/'m', b'')


ATTACKS.append(Attack('bundle_of_masks_is_asked_for_a_class', partial(written, kind='masks'), asked, 'fastclass.segment.load_segmenter'))


# ---- what pictures' text says

LAYER = dict(type='Linear', in_features=512, out_features=3, bias=True)
NESTED = []
for _ in range(400): NESTED = [dict(type='Sequential', layers=NESTED)]
WIDE = [dict(type='Sequential', layers=[dict(type='Sequential', layers=[dict(type='Identity')]*95) for _ in range(95)]) for _ in range(22)]

for name,place,value,says in [
    ('twenty_equal_classes', 'vocabulary', ['cat']*20, 'names that differ'), ('two_equal_classes', 'vocabulary', ['a', 'b', 'a'], 'names that differ'),
    ('classes_alike_as_text', 'vocabulary', [1, '1', 2], 'names that differ'), ('no_classes', 'vocabulary', [], 'a list of 1'), ('more_classes', 'vocabulary', list('abcd'), 'outputs for 4'),
    ('a_class_is_a_dict', 'vocabulary.1', {}, 'vocabulary'), ('a_class_is_huge', 'vocabulary.1', HUGE, 'vocabulary'), ('a_class_is_half_a_letter', 'vocabulary.1', '\ud800', 'Unicode'),
    ('a_million_classes', 'vocabulary', list(range(10**6)), 'vocabulary'),
    ('size_4096', 'input.item.0.size', [4096, 4096], '4,194,304 pixels'), ('size_huge', 'input.item.0.size', [HUGE, 1], 'height and width'), ('size_of_one', 'input.item.0.size', [48], 'height and width'),
    ('size_zero', 'input.item.0.size', [0, 48], 'height and width'), ('size_float', 'input.item.0.size', [48., 48], 'height and width'), ('size_true', 'input.item.0.size', [True, 48], 'height and width'),
    ('no_transform', 'input.item', [], 'a list of 1 to 10'), ('a_thousand_transforms', 'input.item', parts('pictures')[0]['input']['item']*1000, 'a list of 1 to 10'),
    ('transform_type_is_a_list', 'input.item.0.type', ['Resize'], 'one of Resize'), ('transform_unknown', 'input.item.0.type', 'Rotate', 'one of Resize'), ('transform_resample', 'input.item.0.resample', '__class__', 'one of'),
    ('transform_pad_mode', 'input.item.0.pad_mode', 3, 'one of zeros'), ('transform_has_more', 'input.item.0.p', 1, 'nothing but'),
    ('extra_is_huge', 'input.item.0', dict(type='RandomResizedCrop', size=[48, 48], val_xtra=HUGE, resample='BILINEAR'), 'val_xtra'),
    ('extra_is_wide', 'input.item.0', dict(type='RandomResizedCrop', size=[2048, 2048], val_xtra=8, resample='BILINEAR'), 'pixels at most'),
    ('mean_is_huge', 'input.batch.mean.0', HUGE, 'mean'), ('mean_is_text', 'input.batch.mean.0', '1', 'mean'), ('mean_of_two', 'input.batch.mean', [1, 1], 'mean'), ('mean_without_std', 'input.batch.std', None, 'std'),
    ('std_zero', 'input.batch.std.0', 0, 'std'), ('std_minus', 'input.batch.std.0', -1., 'std'), ('std_tiny', 'input.batch.std.0', 1e-300, 'std'), ('std_true', 'input.batch.std.0', True, 'std'),
    ('divide_by_zero', 'input.batch.divide_by', 0, 'divide_by'), ('divide_by_huge', 'input.batch.divide_by', HUGE, 'divide_by'),
    ('resize_4096', 'input.batch.resize', dict(size=[4096, 4096], mode='bilinear', pad_mode='zeros'), 'pixels'), ('resize_mode', 'input.batch.resize', dict(size=[48, 48], mode='exec', pad_mode='zeros'), 'one of bilinear'),
    ('resize_is_text', 'input.batch.resize', 'large', 'a dict is expected'), ('resize_bicubic_corners', 'input.batch.resize', dict(size=[48, 48], mode='nearest', pad_mode='zeros', align_corners=7), 'true or false'),
    ('near_zero', 'input.near', 0, 'near'), ('near_huge', 'input.near', HUGE, 'near'),
    ('head_is_empty', 'head', [], ''), ('head_is_text', 'head', 'exec', 'layers'), ('layer_type_is_a_list', 'head.2.type', ['Linear'], 'one of'), ('layer_type_is_a_dict', 'head.2.type', {}, 'one of'), ('layer_unknown', 'head.2.type', 'eval', 'one of'),
    ('layer_is_null', 'head.2', [], 'a dict is expected'), ('layer_has_more', 'head.2.device', 'cuda', 'nothing but'), ('layers_in_layers', 'head', NESTED, 'at most 100 layers'), ('200000_layers', 'head', WIDE, 'at most 100 layers'),
    ('pool_2000', 'head.0.output_size', 2000, 'output_size'), ('pool_text', 'head.0.output_size', ['7', 7], 'output_size'), ('pool_64', 'head.0.output_size', [64, 64], 'no model that works'),
    ('linear_huge', 'head.2.out_features', HUGE, 'out_features'), ('linear_wide', 'head', [*parts('pictures')[0]['head'][:2], {**LAYER, 'out_features': 10**7}, dict(type='Linear', in_features=10**7, out_features=10**7, bias=False)], 'at most 700,000,000'),
    ('linear_minus', 'head.2.in_features', -3, 'in_features'), ('linear_bias', 'head.2.bias', 1, 'bias'), ('linear_does_not_fit', 'head.2.in_features', 100, 'do not fit'),
    ('dropout_two', 'head.1', dict(type='Dropout', p=2), 'head.layer.p'), ('flatten_far', 'head.1', dict(type='nn.Flatten', start_dim=9, end_dim=-1), 'start_dim'),
    ('flatten_crossed', 'head.1', dict(type='nn.Flatten', start_dim=3, end_dim=1), 'no model that works'), ('norm_of_other_size', 'head.1', dict(type='BatchNorm1d', num_features=7, eps=1e-5, momentum=.1), 'do not fit'),
    ('norm_eps', 'head.1', dict(type='BatchNorm1d', num_features=512, eps=-1, momentum=.1), 'eps'), ('norm_shape', 'head.1', dict(type='LayerNorm', normalized_shape=[10**6]*3, eps=0), 'at most 700,000,000'),
    ('arch_of_os', 'arch', dict(library='os', name='system'), 'not known here'), ('arch_a_function', 'arch.name', 'list_models', 'not known here'), ('arch_dunder', 'arch.name', '__dict__', 'not known here'),
    ('arch_other', 'arch.name', 'resnet18', 'do not fit'), ('arch_that_cannot_be_cut', 'arch.name', 'vit_b_16', 'no model that works'), ('arch_large', 'arch.name', 'regnet_y_128gf', 'do not fit'), ('arch_is_a_list', 'arch.name', ['resnet18'], 'arch.name'), ('arch_is_long', 'arch.name', 'x'*10**6, 'arch.name'),
    ('arch_of_hub', 'arch', dict(library='timm', name='hf-hub:someone/something'), ''), ('arch_of_detection', 'arch.name', 'fasterrcnn_resnet50_fpn', 'not known here'), ('arch_of_fastai', 'arch', dict(library='fastai', name='untar_data'), 'not known here'),
    ('activation', 'activation', 'exec', 'one of softmax'),
]: text(name, place, value, says)


# ---- what the text of the others says

for name,place,value,says in [
    ('size_of_one', 'size', [32], 'height and width'), ('size_4096', 'size', [4096, 4096], 'pixels'), ('size_odd', 'size', [33, 64], 'no model that works'), ('size_and_up', 'size', [2048, 2048], 'enlarged 2 times'), ('up_huge', 'up', HUGE, '"up"'),
    ('up_100', 'up', 100, 'enlarged 100 times'), ('void_beyond', 'void', 3, 'void'), ('void_minus', 'void', -1, 'void'), ('void_true', 'void', True, 'void'), ('equal_classes', 'vocabulary', ['sky']*3, 'names that differ'),
    ('many_classes', 'vocabulary', [str(o) for o in range(300)], 'vocabulary'), ('numbers_as_classes', 'vocabulary', [1, 2, 3], 'vocabulary'), ('width_huge', 'decoder.width', HUGE, 'width'), ('width_other', 'decoder.width', 9, 'do not fit'),
    ('reach_far', 'decoder.reach', 10**9, 'reach'), ('p_two', 'decoder.p', 2, 'decoder.p'), ('decoder_has_more', 'decoder.stride', 10**9, 'nothing but'), ('arch_unknown', 'arch', 'no_such_net', ''), ('arch_without_scales', 'arch', 'vit_b_16', ''),
    ('arch_large', 'arch', 'vgg19_bn', 'do not fit'), ('std_nothing', 'batch.std', [0, 0, 0], 'std'), ('mean_alone', 'batch.std', None, 'std'), ('divide_by_huge', 'batch.divide_by', HUGE, 'divide_by'),
]: text(name, place, value, says, 'masks')

for name,place,value,says in [
    ('9999_empty_embeddings', 'sizes.embeddings', [[0, 0]]*9999, 'embeddings'), ('9999_embeddings', 'sizes.embeddings', [[3, 1]]*9999, 'do not fit'), ('embedding_huge', 'sizes.embeddings.0.1', HUGE, 'embeddings'), ('embedding_of_three', 'sizes.embeddings.0', [3, 2, 1], 'a list of 2'),
    ('a_hundred_layers', 'sizes.layers', [1]*100, 'layers'), ('layer_zero', 'sizes.layers', [0], 'layers'), ('layers_wide', 'sizes.layers', [10**5]*9, 'not those of a model'), ('layer_other', 'sizes.layers', [5], 'do not fit'), ('n_numbers', 'sizes.n_numbers', 2, 'do not fit'),
    ('norm_is_a_number', 'sizes.norm', 1, 'true or false'), ('one_class_more', 'plan.classes', ['a', 'b', 'c'], 'do not fit'), ('equal_classes', 'plan.classes', ['a', 'a'], 'names that differ'), ('number_nan', 'plan.numbers.age.mean', 'NaN', 'mean'),
    ('number_huge', 'plan.numbers.age.fill', HUGE, 'fill'), ('std_zero', 'plan.numbers.age.std', 0, 'std'), ('flag_is_a_number', 'plan.numbers.age.flag', 0, 'true or false'), ('categories_are_numbers', 'plan.categories.job', [1, 2], 'job'),
    ('category_unhashable', 'plan.categories.job', [['care'], 'craft'], 'job'), ('order_unknown', 'plan.order', ['pay'], 'do not fit'), ('order_unsortable', 'plan.order', ['job', None], 'order'), ('order_of_lists', 'plan.order', [['job']], 'order'), ('target_is_a_list', 'plan.target', ['pay'], 'target'),
    ('name_with_escapes', 'plan.categories', {'\x1b[2J': 3}, 'a list of'), ('about_is_a_list', 'about', [1], 'about'),
]: text(name, place, value, says, 'rows')

for name,place,value,says in [
    ('factors_huge', 'factors', HUGE, 'factors'), ('factors_many', 'factors', 2001, 'factors'), ('factors_other', 'factors', 3, 'do not fit'), ('no_items', 'items', [], 'items'), ('equal_items', 'items', ['x', 'x', 'y'], 'one name'), ('item_huge', 'items.0', HUGE, 'items'),
    ('item_is_a_list', 'items.0', ['x'], 'items'), ('seen_huge', 'seen', HUGE, 'seen'), ('seen_more_than_can_be', 'seen', 7, 'users times items'), ('noise_nothing', 'noise', 0, 'noise'), ('noise_huge', 'noise', HUGE, 'noise'), ('range_turned', 'y_range', [5, 1], 'y_range'),
    ('range_huge', 'y_range', [0, HUGE], 'y_range'), ('range_of_text', 'y_range', ['1', '5'], 'y_range'), ('names_of_three', 'names', ['a', 'b', 'c'], 'names'), ('names_are_lists', 'names', [[], []], 'names'),
]: text(name, place, value, says, 'ratings')

for name,place,value,says in [
    ('rule_unknown', 'plan.rules.0', 'system', 'one of fix_html'), ('rule_is_a_list', 'plan.rules.0', ['fix_html'], 'one of fix_html'), ('a_hundred_rules', 'plan.rules', ['lowercase']*100, 'rules'), ('language_unknown', 'plan.language', '../../x', 'one of da'),
    ('language_null', 'plan.language', None, 'language'), ('a_word_is_a_number', 'plan.vocab.9', 7, 'vocab'), ('a_word_is_long', 'plan.vocab.9', 'x'*2000, 'vocab'), ('half_a_letter', 'plan.vocab.9', '\ud800', 'Unicode'), ('one_word_more', 'plan.vocab', [*parts('texts')[0]['plan']['vocab'], 'more'], 'do not fit'),
    ('without_padding', 'plan.vocab.1', 'good', "fastai's own tokens"), ('equal_classes', 'plan.classes', ['a', 'a'], 'names that differ'), ('one_class_more', 'plan.classes', list('abc'), 'do not fit'), ('width_huge', 'sizes.width', HUGE, 'width'), ('width_other', 'sizes.width', 4, 'do not fit'),
    ('pairs_huge', 'sizes.pairs', HUGE, 'pairs'), ('pairs_many', 'sizes.pairs', 10**7, 'do not fit'), ('pairs_wide', 'sizes', dict(width=10**4, pairs=10**7, tokens=12, classes=2), 'not those of a model'), ('pairs_minus', 'sizes.pairs', -1, 'pairs'), ('tokens_true', 'sizes.tokens', True, 'tokens'),
    ('plan_has_more', 'plan.model', 'x', 'nothing but'), ('about_is_a_list', 'about', [1], 'about'),
]: text(name, place, value, says, 'texts')
for name,value in dict(minus=-5, unsorted=9, beyond=10**9).items():
    add(f'pair_{name}', partial(written, kind='texts', arrays=lambda o, value=value: {**o, 'pairs': np.array([137, value])}), 'texts', 'do not fit')


# ---- weights

FLOATS = dict(pictures='1.2.weight', masks='1.mix.weight', rows='layers.0.0.weight', ratings='item_factors', texts='rows.weight')


def with_value(value, name):
    "One number of the array `name` becomes `value`"
    def change(arrays):
        a = arrays[name].copy()
        a.flat[-1] = value
        return {**arrays, name: a}
    return change


def as_type(dtype, name): return lambda arrays: {**arrays, name: arrays[name].astype(dtype)}
def renamed(old, new): return lambda arrays: {new if k==old else k: v for k,v in arrays.items()}
def reshaped(name): return lambda arrays: {**arrays, name: arrays[name].reshape(-1)}
def without(name): return lambda arrays: {k: v for k,v in arrays.items() if k!=name}
def with_more(n): return lambda arrays: {**arrays, **{f'more{i}': np.zeros(0, 'f4') for i in range(n)}}


for kind,name in FLOATS.items():
    for said,change,says in [
        ('nan', with_value(np.nan, name), 'not finite'), ('infinite', with_value(-np.inf, name), 'not finite'), ('complex', as_type('c8', name), ''), ('boolean', as_type('b1', name), 'torch.bool'),
        ('whole', as_type('i8', name), 'int64'), ('too_large_for_float32', lambda o, name=name: with_value(1e300, name)(as_type('f8', name)(o)), 'not finite'), ('named_otherwise', renamed(name, 'x\x1b[2J'), '2 names differ'),
        ('of_other_shape', reshaped(name), 'should be'), ('left_out', without(name), '1 names differ'), ('with_20000_more', with_more(20_000), 'do not fit'),
    ]: add(f'weights_{said}', partial(written, kind=kind, arrays=change), kind, says)

def with_all(value, name): return lambda arrays: {**arrays, name: np.full(arrays[name].shape, value, 'f4')}


add('layer_that_fills_the_memory', partial(written, text=lambda d: d.update(head=[dict(type='nn.Flatten', start_dim=2, end_dim=-1), {**LAYER, 'in_features': 127*127, 'out_features': 10**6}], input={**d['input'], 'item': [{**d['input']['item'][0], 'size': [2048, 2048]}]})), 'pictures', 'numbers for one picture')
add('answers_are_no_numbers', partial(written, arrays=with_all(3e38, '0.0.0.bias')), 'pictures', 'not finite')
for kind,name,value in [('masks', '1.name.0.running_var', -5.), ('rows', 'bn_cont.running_var', -5.)]:
    add('answers_are_no_numbers', partial(written, kind=kind, arrays=with_value(value, name)), kind, 'not finite')

for name,array,value,says in [('item_beyond', 'seen', 3, 'do not fit'), ('user_minus', 'seen', -1, 'do not fit'), ('count_minus', 'counts', -1, 'do not fit'), ('covariance_lopsided', 'prior_cov', 0, 'do not fit'), ('covariance_minus', 'prior_cov', -1, 'do not fit')]:
    add(name, partial(written, kind='ratings', arrays=with_value(value, array)), 'ratings', says)


def lie(**changes):
    "Change what the file says about its first array"
    def change(header): next(iter(header.values())).update(changes)
    return change


for name,header in dict(
    shape_huge=lie(shape=[2**40, 2**40]), shape_minus=lie(shape=[-1, 3]), shape_text=lie(shape='3'), type_unknown=lie(dtype='F999'), type_of_4_bits=lie(dtype='F4'), offsets_beyond=lie(data_offsets=[0, 2**50]), offsets_turned=lie(data_offsets=[500, 0]),
    offsets_overlap=lambda h: [o.update(data_offsets=[0, 4]) for o in h.values()], offsets_float=lie(data_offsets=[0., 4.]), no_offsets=lambda h: [o.pop('data_offsets') for o in h.values()], a_list=lambda h: h.update(x=[1]), metadata=lambda h: h.update(__metadata__={'a': {'b': 1}}),
).items(): add(f'header_{name}', partial(written, kind='ratings', header=header), 'ratings', 'not safetensors')


def instead(data, folder, kind='ratings'):
    "`data` in the place of the weights, with the right hash of it"
    path = written(folder, kind)
    data = data((path/WEIGHTS).read_bytes()) if callable(data) else data
    (path/WEIGHTS).write_bytes(data)
    said = json.loads((path/TEXT).read_text())
    said['weights'].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    (path/TEXT).write_text(json.dumps(said))


class Touch:
    "A pickle of it makes a file when it is opened"
    def __init__(self, file): self.file = file
    def __reduce__(self): return os.mkdir, (self.file,)


def not_run(result, folder): assert not (folder/'ran').exists() and not (folder.parent/'ran').exists()


for name,data,says in [
    ('empty', b'', 'not safetensors'), ('zeros', bytes(500), 'not safetensors'), ('length_huge', b'\xff'*8+b'{}', 'not safetensors'), ('length_beyond', (10**6).to_bytes(8, 'little')+b'{}', 'not safetensors'), ('cut', lambda d: d[:-4], 'not safetensors'),
    ('longer', lambda d: d+b'more', 'not safetensors'), ('header_cut', lambda d: d[:60], 'not safetensors'), ('header_deep', (200_000).to_bytes(8, 'little')+b'{"a":'*40_000, 'fit'), ('pickle', pickle.dumps(Touch('ran'), 2), 'is a pickle'), ('old_pickle', pickle.dumps(Touch('ran'), 0), 'not safetensors'),
    ('zip_of_torch', b'PK\x03\x04'+bytes(300), 'is a pickle'),
]: add(f'file_{name}', partial(instead, data), 'ratings', says, check=not_run)


# ---- on the disk

def replaced(name, how):
    "The file `name` of a bundle is something else"
    def make(folder):
        file = written(folder, 'ratings')/name
        file.unlink()
        how(file)
    return make


def hollow(size, kind='rows'):
    "Weights of which next to nothing was written; the text asks for as many"
    def bigger(d):
        d['plan']['categories']['job'] = [str(o) for o in range(size//4000)]
        d['sizes']['embeddings'] = [[size//4000+1, 1000]]
        d['weights'].update(bytes=size, sha256='0'*64)
    def make(folder):
        path = written(folder, kind, text=bigger)
        with open(path/WEIGHTS, 'rb+') as f: f.truncate(size)
    return make


for name,how,says in [
    ('gone', lambda o: None, 'has no'), ('folder', lambda o: o.mkdir(), 'not a regular file'), ('fifo', os.mkfifo, 'not a regular file'), ('zero_device', lambda o: o.symlink_to('/dev/zero'), 'not a regular file'),
    ('link_to_nothing', lambda o: o.symlink_to('nowhere'), 'has no'), ('link_to_itself', lambda o: o.symlink_to(o), ''), ('terabyte', lambda o: (o.touch(), os.truncate(o, 1<<40)), 'larger than'),
]:
    for file in (TEXT, WEIGHTS): add(f'{file.split(".")[0]}_is_{name}', replaced(file, how), 'ratings', says)
add('sparse_2_gb', hollow(2_000_000_000), 'rows', 'are stored')
add('sparse_300_mb', hollow(300_000_000), 'rows', 'are stored')
for name,how,says in [('fifo', os.mkfifo, 'not a regular file'), ('device', lambda o: o.symlink_to('/dev/zero'), 'not a regular file'), ('text', lambda o: o.write_text('hello'), 'as a zip'), ('loop', lambda o: o.symlink_to(o), 'no bundle at'),
                      ('empty_folder', lambda o: o.mkdir(), 'has no bundle.json'), ('sparse_zip', lambda o: (o.write_bytes(b'PK'), os.truncate(o, 1<<40)), 'are stored'), ('nothing', lambda o: None, 'no bundle at')]:
    add(f'path_is_{name}', lambda folder, how=how: how(folder/'m'), 'pictures', says)
for name,path in dict(long='x'*5000, null='a\0b', bytes=os.fsdecode(b'caf\xe9'), escape='\x1b[2J').items():
    add(f'path_is_{name}', lambda folder: None, 'pictures', 'no bundle at', path=path, prints=True)


# ---- zips

def pairs(**names):
    "Members under other names"
    return lambda text,data: [(names.get('text', TEXT), text), (names.get('data', WEIGHTS), data)]


def member(name=WEIGHTS, mode=stat.S_IFREG, **kwargs):
    "A `ZipInfo` for a file of a certain type"
    info = zipfile.ZipInfo(name)
    info.external_attr = mode<<16
    for k,v in kwargs.items(): setattr(info, k, v)
    return info


def damaged(change, method=zipfile.ZIP_STORED):
    "A zip whose bytes are changed afterwards"
    def make(folder):
        path = zipped(folder, 'ratings', 'm', method=method)
        path.write_bytes(change(path.read_bytes()))
    return make


def at_end(position, value, size=4):
    "A number in the last record of a zip becomes another"
    def change(data):
        data = bytearray(data)
        data[len(data)-22+position:len(data)-22+position+size] = value.to_bytes(size, 'little')
        return bytes(data)
    return change


def bomb(size):
    "Weights that are zeros, and shrink"
    def bigger(d):
        d['plan']['categories']['job'] = [str(o) for o in range(size//4000)]
        d['sizes']['embeddings'] = [[size//4000+1, 1000]]
        d['weights'].update(bytes=size, sha256='0'*64)
    def make(folder): zipped(folder, 'rows', 'm', lambda text, data: [(TEXT, text), (WEIGHTS, bytes(size))], zipfile.ZIP_DEFLATED, text=bigger)
    return make


def flipped(needle, offset):
    "A byte after `needle` is turned"
    def change(data):
        i = data.index(needle)+offset
        return data[:i]+bytes([data[i]^255])+data[i+1:]
    return change


def many_members(text, data): return [(TEXT, text), (WEIGHTS, data), *((f'{i}{"x"*200}', b'') for i in range(5000))]


for name,members,says in [
    ('climbs', pairs(text=f'../{TEXT}', data=f'../{WEIGHTS}'), 'has 0 files'), ('absolute_and_deep', pairs(text=f'/a/b/{TEXT}'), 'has 0 files'), ('without_weights', lambda t, d: [(TEXT, t)], 'has 0 files'), ('empty', lambda t, d: [], 'has 0 files'),
    ('text_twice', lambda t, d: [(TEXT, t), (f'a/{TEXT}', t), (WEIGHTS, d)], 'has 2 files'), ('weights_twice', lambda t, d: [(TEXT, t), (WEIGHTS, d), (f'a/{WEIGHTS}', d)], 'has 2 files'),
    ('weights_a_link', lambda t, d: [(TEXT, t), (member(mode=stat.S_IFLNK), b'/etc/passwd')], 'not an ordinary file'), ('text_a_link', lambda t, d: [(member(TEXT, stat.S_IFLNK), b'/etc/passwd'), (WEIGHTS, d)], 'not an ordinary file'),
    ('weights_a_device', lambda t, d: [(TEXT, t), (member(mode=stat.S_IFCHR), d)], 'not an ordinary file'), ('of_too_many_files', many_members, 'too many files'),
    ('text_a_bomb', lambda t, d: [(member(TEXT, compress_type=zipfile.ZIP_DEFLATED), b' '*(30<<20)), (WEIGHTS, d)], 'larger than'),
]: add(f'zip_{name}', lambda folder, members=members: zipped(folder, 'ratings', 'm', members), 'ratings', says)
for name,method in dict(bzip2=zipfile.ZIP_BZIP2, lzma=zipfile.ZIP_LZMA).items(): add(f'zip_of_{name}', lambda folder, method=method: zipped(folder, 'ratings', 'm', method=method), 'ratings', 'not an ordinary file')
for name,change,says in [
    ('cut', lambda d: d[:-30], 'as a zip'), ('half', lambda d: d[:len(d)//2], 'as a zip'), ('one_byte', lambda d: b'P', 'as a zip'), ('changed_weights', flipped(b'item_factors', 40), ''), ('changed_text', flipped(b'"users"', 3), 'as a zip'), ('directory_huge', at_end(12, 2**31), 'too many files'),
    ('directory_elsewhere', at_end(16, 2**31), ''), ('directory_of_4_gb', at_end(12, 2**32-1), ''), ('count_other', at_end(8, 2**16-1, 2), None), ('encrypted', lambda d: d.replace(b'PK\x01\x02\x14\x03\x14\0\0\0', b'PK\x01\x02\x14\x03\x14\0\1\0'), 'as a zip'),
]: add(f'zip_{name}', damaged(change), 'ratings', says)
add('zip_deflate_broken', damaged(lambda d: d.replace(d[60:90], bytes(30)), zipfile.ZIP_DEFLATED), 'ratings', 'as a zip')
add('zip_bomb_100_mb', bomb(100_000_000), 'rows', 'would unpack to')
add('zip_bomb_1_gb', bomb(1_000_000_000), 'rows', 'would unpack to', long=True)


# ---- these are as they should be

def fine(name, make, kind='pictures'): add(f'fine_{name}', make, kind, None)


for kind in KINDS:
    fine('folder', partial(written, kind=kind), kind)
    fine('zip', partial(zipped, kind=kind, name='m', method=zipfile.ZIP_DEFLATED), kind)
fine('zip_in_a_folder', lambda folder: zipped(folder, 'ratings', 'm', pairs(text=f'model/{TEXT}', data=f'model/{WEIGHTS}')), 'ratings')
fine('zip_beside_others', lambda folder: zipped(folder, 'ratings', 'm', lambda t, d: [(TEXT, t), (WEIGHTS, d), ('../../escaped.txt', b'x'), ('/absolute.txt', b'x')]), 'ratings')
fine('more_keys', partial(written, text=lambda d: d.update(more={'a': [1, {}]})))
fine('classes_that_are_numbers', partial(written, text=put('vocabulary', [1, 2.5, True])))
fine('a_layer_in_a_layer', partial(written, text=lambda d: d.update(head=[d['head'][0], dict(type='Sequential', layers=[dict(type='Flatten', full=False)]), d['head'][2]])))
fine('large_size', partial(written, text=put('input.item.0.size', [1024, 2048])))
fine('large_size_of_a_head_for_one_size', partial(written, text=lambda d: d.update(head=[dict(type='nn.Flatten', start_dim=1, end_dim=-1), {**LAYER, 'in_features': 512*24*24}], input={**d['input'], 'item': [{**d['input']['item'][0], 'size': [400, 400]}]}),
                                                  arrays=lambda a: {**{k: v for k,v in a.items() if k[:2]!='1.'}, '1.1.weight': np.full((3, 512*24*24), 1e-4, 'f4'), '1.1.bias': np.zeros(3, 'f4')}))
fine('no_void', partial(written, kind='masks', text=lambda d: d.update(void=None)), 'masks')
fine('link_to_a_bundle', lambda folder: (folder/'m').symlink_to(written(folder, name='other')))
