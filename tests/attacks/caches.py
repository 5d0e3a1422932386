"Weights in torch's cache and in that of the hub: files that were changed, cut, or are no files of weights."
import hashlib, io, os, pickle, zipfile
from functools import lru_cache, partial

from attacks import Attack

NAME = 'squeezenet1_1-b8a52dc0.pth'
ATTACKS = []


@lru_cache
def good() -> bytes: # A file that torch wrote, with the shapes of SqueezeNet; its hash is not the one in its name
    "A file as somebody converted it"
    import torch, torchvision
    torch.manual_seed(0)
    return saved(torchvision.models.squeezenet1_1(weights=None).state_dict())


def saved(state) -> bytes: # A file
    "What torch writes"
    import torch
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


def state() -> dict: # Name to tensor
    "The weights in `good`"
    import torch
    return torch.load(io.BytesIO(good()), weights_only=True)


def cached(data, folder):
    "A cache whose file holds `data`"
    file = folder/'checkpoints'/NAME
    file.parent.mkdir()
    if isinstance(data, bytes): file.write_bytes(data)
    else: data(file)


def find(folder):
    "What a learner is made with"
    import torch
    from fastclass.engine.finetune.weights import find_weights
    torch.hub.set_dir(str(folder))
    os.environ['FASTCLASS_HOME'] = str(folder/'home')
    return find_weights('squeezenet1_1', download=False)


def found(result, folder): assert result.source=='cache'


def add(name, data, says, run=find, **kwargs):
    "A row: `data()` is what lies in the cache"
    ATTACKS.append(Attack(f'cache_{name}', lambda folder: cached(data(), folder), run, says, **kwargs))


def bit(at):
    "One bit of a file is turned"
    def change():
        data = bytearray(good())
        data[at] ^= 1
        return bytes(data)
    return change


def other(change):
    "A file whose weights were changed by `change(state)`, with right checksums"
    def make():
        s = state()
        new = change(s)
        return saved(s if new is None else new)
    return make


class Runs:
    "A pickle of it makes a folder when it is opened"
    def __reduce__(self): return os.mkdir, ('ran',)


def not_run(result, folder): assert not (folder/'ran').exists()


def first(s): return next(iter(s))


# ---- bytes

add('as_converted', good, None, check=found)
for share in (.3, .6, .9): add(f'bit_at_{share}', lambda share=share: bit(int(share*len(good())))(), 'is damaged')
for name,size in dict(empty=0, one_byte=1, half=.5, all_but_one=-1).items():
    add(f'cut_{name}', lambda size=size: good()[:int(size*len(good())) if 0<size<1 else size], 'zero bytes' if not size else 'truncated')
add('text', lambda: b'<html>not found</html>', 'truncated')
add('pickle', lambda: pickle.dumps(Runs()), 'truncated', check=not_run)
add('pickle_of_torch', lambda: saved(dict(a=Runs())), 'truncated', check=not_run)
add('zeros', lambda: bytes(10_000), 'truncated')
add('deep_pickle', lambda: b'\x80\x02'+b']'*100_000+b'a'*99_999+b'.', 'truncated')


def deflated():
    "The same members, packed, and one of them a gigabyte of zeros"
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good())) as old, zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist(): new.writestr(info.filename, old.read(info) if 'data/0' not in info.filename else bytes(10**8))
    return out.getvalue()


add('packed', deflated, 'truncated')


# ---- files that are none

for name,how,says in [
    ('fifo', os.mkfifo, 'not a regular file'), ('folder', lambda o: o.mkdir(), 'not a regular file'), ('zero_device', lambda o: o.symlink_to('/dev/zero'), 'not a regular file'),
    ('terabyte', lambda o: (o.touch(), os.truncate(o, 1<<40)), 'would be the most'), ('sparse_gigabyte', lambda o: (o.write_bytes(b'PK'), os.truncate(o, 1<<30)), 'would be the most'),
]: add(name, lambda how=how: how, says)


# ---- what a right file holds

for name,change,says in [
    ('a_list', lambda s: [1], 'not weights'), ('a_tensor', lambda s: s[first(s)], 'not weights'), ('texts', lambda s: {k: 'x' for k in s}, 'does not hold'), ('one_missing', lambda s: s.__delitem__(first(s)), 'does not hold'),
    ('other_shape', lambda s: s.update({first(s): s[first(s)][:1].clone()}), 'does not hold'), ('whole_numbers', lambda s: {k: v.int() for k,v in s.items()}, 'does not hold'), ('complex', lambda s: {k: v+0j for k,v in s.items()}, 'does not hold'),
    ('boolean', lambda s: {k: v>0 for k,v in s.items()}, 'does not hold'), ('nan', lambda s: s[first(s)].view(-1).__setitem__(3, float('nan')), 'not finite'), ('infinite', lambda s: s[first(s)].view(-1).__setitem__(3, float('inf')), 'not finite'),
    ('sparse', lambda s: s.update({first(s): s[first(s)].to_sparse()}), 'does not hold'), ('without_numbers', lambda s: {k: v.to('meta') for k,v in s.items()}, 'does not hold'), ('keys_are_numbers', lambda s: dict(enumerate(s.values())), 'does not hold'),
    ('of_another_arch', lambda s: {f'other.{k}': v for k,v in s.items()}, 'does not hold'),
]: add(f'holds_{name}', other(change), says)
add('holds_half_precision', other(lambda s: {k: v.half() for k,v in s.items()}), None, check=found)


# ---- changed since it was first used

def used_then(change):
    "Use it, change it, use it again"
    def run(folder):
        find(folder)
        file = folder/'checkpoints'/NAME
        change(file)
        return find(folder)
    return run


def rewrite(file):
    s = state()
    s[first(s)] = s[first(s)]+1
    file.write_bytes(saved(s))


def record(data):
    "What the record of hashes holds"
    def change(file): (file.parent.parent/'home'/'weights'/'hashes.json').write_bytes(data)
    return change


add('changed_between', good, 'have changed since', run=used_then(rewrite))
add('not_changed', good, None, run=used_then(lambda file: os.utime(file)), check=found)
for name,data in dict(empty=b'', list=b'[1]', text=b'{"a', deep=b'['*100_000, large=b' '*(2<<20), numbers=b'{"a": 7}', binary=b'\xff\xfe').items():
    add(f'record_is_{name}', good, None, run=used_then(record(data)), check=found)


# ---- a file of the hub

def in_hub(name, data, folder):
    "A file under its hash, and the link to it, as the hub's client keeps them"
    blob = folder/'blobs'/name
    blob.parent.mkdir()
    blob.write_bytes(data)
    (folder/'model.safetensors').symlink_to(blob)


def look(folder):
    "What is done for an architecture of timm"
    from fastclass.engine.finetune import weights
    weights._check_blob(folder/'model.safetensors')


DATA = b'some weights'
DIGEST = hashlib.sha256(DATA).hexdigest()
ATTACKS += [Attack('hub_changed', partial(in_hub, DIGEST, DATA+b'!'), look, 'not the one that it is kept under'), Attack('hub_unchanged', partial(in_hub, DIGEST, DATA), look, None),
            Attack('hub_without_hash', partial(in_hub, 'abc', DATA), look, None)]
