"The dictionary of errors: each entry is tried with the real error that it is about, raised here; those that need a GPU, with its recorded text"
import multiprocessing, os, pickle, subprocess, sys, textwrap, threading, traceback, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from fastclass.course.explain import entries, explain_text, explanation
from fastclass.engine.base.errors import DataError

torch = pytest.importorskip('torch')
import numpy as np
import pandas as pd
import torch.nn.functional as F
from fastai.tabular.all import Categorify, FillMissing, TabularDataLoaders
from fastai.vision.all import (BCEWithLogitsLossFlat, CategoryBlock, CrossEntropyLossFlat, DataBlock, DataLoaders, FuncSplitter, ImageBlock, ImageDataLoaders,
                               Learner, MultiCategoryBlock, Normalize, PILImage, RandomSplitter, RegressionBlock, SaveModelCallback, RegexLabeller, Resize, get_image_files, load_learner, parent_label, resnet18,
                               vision_learner)
from PIL import Image
from torch import nn

SAMPLES = {} # Name of an entry -> functions that raise its error


def raises(name):
    "Keep a function as a sample of an entry"
    def keep(function): SAMPLES.setdefault(name, []).append(function); return function
    return keep


def pictures(folder, sizes=((40, 40),)*8, classes=('a', 'b')):
    "Class folders with plain pictures of these sizes"
    for label in classes:
        (folder/label).mkdir(parents=True, exist_ok=True)
        for n,size in enumerate(sizes): Image.new('RGB', size, (20*n, 0, 0)).save(folder/label/f'{label}_{n}.png')
    return folder


def block(**more):
    "The DataBlock that the lessons begin with"
    return DataBlock(**{'blocks':(ImageBlock, CategoryBlock), 'get_items':get_image_files, 'get_y':parent_label,
                        'splitter':RandomSplitter(.25, seed=1), 'item_tfms':Resize(32), **more})


def numbers(n=16, classes=2, targets=None):
    "DataLoaders of plain tensors"
    x,y = torch.randn(n, 4), torch.arange(n)%classes if targets is None else targets
    data = list(zip(x, y))
    return DataLoaders.from_dsets(data, data, bs=4, num_workers=0)


# Data and DataBlocks

@raises('pictures of several sizes')
def several_sizes(tmp): block(item_tfms=None).dataloaders(pictures(tmp, [(20+n, 30) for n in range(8)]), bs=4, num_workers=0).one_batch()

@raises('pictures of several sizes')
def several_lengths(tmp): torch.utils.data.default_collate([torch.zeros(2), torch.zeros(3)])

@raises('no items found')
def empty_folder(tmp): block().dataloaders(tmp)

@raises('no items found')
def no_labels_at_all(tmp): block(blocks=(ImageBlock, MultiCategoryBlock), get_y=lambda path: None).dataloaders(pictures(tmp), bs=4, num_workers=0)

@raises('no folders for training and validation')
def no_valid_pct(tmp): ImageDataLoaders.from_folder(pictures(tmp), bs=4, item_tfms=Resize(32))

@raises('no folders for training and validation')
def other_names_of_sides(tmp): ImageDataLoaders.from_folder(pictures(tmp), train='training', valid='valid', item_tfms=Resize(32))

@raises('not one whole batch')
def large_batch(tmp): block().dataloaders(pictures(tmp), bs=64, num_workers=0).one_batch()

@raises('not one whole batch')
def large_batch_lr_find(tmp):
    dls = block().dataloaders(pictures(tmp), bs=64, num_workers=0)
    with Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(3*32*32, 2)), path=tmp).no_bar() as learn: learn.lr_find()

@raises('one side is empty')
def all_for_validation(tmp): block(splitter=FuncSplitter(lambda path: True)).dataloaders(pictures(tmp))

@raises('a name that was not split')
def split_at_another_sign(tmp): block(get_y=lambda path: path.name.split('-')[1]).dataloaders(pictures(tmp), bs=4, num_workers=0)

@raises('a name that was not split')
def split_by_name(tmp):
    files = get_image_files(pictures(tmp))
    ImageDataLoaders.from_name_func(tmp, files, lambda name: name.split('-')[1], bs=4, num_workers=0, item_tfms=Resize(32))

@raises('a table without its processing')
def no_procs(tmp):
    df = pd.DataFrame(dict(a=['x', 'y']*20, c=np.arange(40.), y=[0, 1]*20))
    TabularDataLoaders.from_df(df, cat_names=['a'], cont_names=['c'], y_names='y', bs=4).one_batch()

@raises('a text that is no number')
def number_with_ending(tmp):
    amounts = block(blocks=(ImageBlock, RegressionBlock), get_y=lambda path: float(path.name.split('_')[1]))
    amounts.dataloaders(pictures(tmp), bs=4, num_workers=0).one_batch()

@raises('pattern does not fit')
def pattern(tmp): RegexLabeller(r'^(.+)_\d+.jpg$')('dog7.png')

@raises('a label that is no label')
def gap_in_the_labels(tmp):
    known = {'a': 'a', 'b': float('nan')}
    gaps = block(splitter=FuncSplitter(lambda path: path.parent.name=='b'), get_y=lambda path: known[path.parent.name])
    gaps.dataloaders(pictures(tmp), bs=4, num_workers=0).valid.one_batch()

@raises('a label that training never saw')
def unseen_label(tmp):
    split = FuncSplitter(lambda path: path.parent.name=='b')
    block(splitter=split).dataloaders(pictures(tmp), bs=4, num_workers=0).valid.one_batch()

@raises('no picture inside')
def no_picture(tmp):
    (tmp/'page.jpg').write_text('<html>Not found</html>')
    PILImage.create(tmp/'page.jpg')

@raises('half a picture')
def half_a_picture(tmp):
    file = tmp/'half.jpg'
    Image.effect_noise((200, 200), 90).save(file)
    file.write_bytes(file.read_bytes()[:3000])
    PILImage.create(file)

@raises('a column that is not there')
def no_column(tmp): pd.DataFrame({'Label': [1]})['label']

@raises('a column that is not there')
def no_column_of_many(tmp): pd.DataFrame({'Label': [1]})[['label']]

@raises('a key that is not there')
def no_key(tmp): {'cat': 1}['Cat']

@raises('number columns in another order than the table')
def turned_round(tmp): torch.tensor(np.arange(4)[::-1])

@raises('number columns in another order than the table')
def columns_turned_round(tmp):
    if pd.__version__<'3': return turned_round(tmp) # there such columns are copied
    df = pd.DataFrame(dict(a=np.arange(20.), b=np.arange(20.), y=np.arange(20.)))
    TabularDataLoaders.from_df(df, procs=[Normalize], cat_names=[], cont_names=['b', 'a'], y_names='y', bs=4).one_batch()

@raises('an empty table')
def empty_table(tmp):
    (tmp/'a.csv').write_text('')
    pd.read_csv(tmp/'a.csv')

@raises('a table in another encoding')
def other_encoding(tmp):
    (tmp/'a.csv').write_bytes('Café'.encode('cp1252'))
    pd.read_csv(tmp/'a.csv')

@raises('a row with more fields than the others')
def more_fields(tmp):
    (tmp/'a.csv').write_text('a\n1,2\n3,4,5,6\n')
    pd.read_csv(tmp/'a.csv')

@raises('a name is no path')
def name_is_no_path(tmp): ImageDataLoaders.from_name_func(tmp, get_image_files(pictures(tmp)), lambda name: name.parent.name, item_tfms=Resize(32))

@raises('a file that is not there')
def names_of_a_table(tmp): ImageDataLoaders.from_df(pd.DataFrame({'file': ['a.jpg']*9, 'y': 'x'}), tmp, bs=4, item_tfms=Resize(32)).one_batch()

@raises('a path is no text')
def path_is_no_text(tmp): ImageDataLoaders.from_path_func(tmp, get_image_files(pictures(tmp)), lambda name: name[0].isupper(), item_tfms=Resize(32))

@raises('a path is no text')
def path_has_no_split(tmp): tmp.split('_')

@raises('the file of a model is not there')
def no_export(tmp): load_learner(tmp/'export.pkl')

@raises('the file of a model is not there')
def no_weights(tmp): Learner(numbers(), nn.Linear(4, 2), path=tmp, loss_func=CrossEntropyLossFlat()).load('stage-1')

@raises('a file that is not there')
def no_file(tmp): PILImage.create(tmp/'cat.1')

@raises('no download, but a web page')
def no_zip(tmp):
    import zipfile
    (tmp/'data.zip').write_text('<html>')
    zipfile.ZipFile(tmp/'data.zip')

@raises('no download, but a web page')
def no_tar(tmp):
    import tarfile
    (tmp/'data.tgz').write_text('<html>')
    tarfile.open(tmp/'data.tgz', 'r:gz')

@raises('missing numbers that training did not have')
def new_gaps(tmp):
    df = pd.DataFrame({'age': [1., 2, 3, 4]*4, 'y': ['a', 'b']*8})
    dls = TabularDataLoaders.from_df(df, cont_names=['age'], y_names='y', procs=[Categorify, FillMissing, Normalize], bs=4)
    dls.test_dl(pd.DataFrame({'age': [1., None]}))

@raises('text in a column of numbers')
def text_for_numbers(tmp): pd.Series(['12', '1,000 $']).astype(float)

@raises('a text that is no number')
def text_for_int(tmp): int('3.0')

@raises('text in a column of numbers')
def text_for_tensor(tmp): torch.tensor(np.array(['1', None], dtype=object))


# The model and its loss

@raises('the loss is not known')
def no_loss(tmp): Learner(numbers(), nn.Linear(4, 2))

@raises('the number of classes is not known')
def no_n_out(tmp): vision_learner(numbers(), resnet18, pretrained=False, loss_func=CrossEntropyLossFlat())

@raises('the classes are not known by name')
def no_vocab(tmp): numbers().vocab

@raises('an error in a metric or a callback')
def metric_in_quotes(tmp):
    with Learner(numbers(), nn.Linear(4, 2), loss_func=CrossEntropyLossFlat(), metrics='accuracy').no_bar() as learn: learn.fit(1)

@raises('a mask holds 255')
def mask_of_255(tmp): CrossEntropyLossFlat(axis=1)(torch.zeros(1, 2, 4, 4), torch.full((1, 4, 4), 255))

@raises('a label that is missing')
def missing_label(tmp): F.cross_entropy(torch.zeros(2, 3), torch.tensor([0, -1]))

@raises('the classes are in the DataLoaders')
def vocab_of_a_learner(tmp):
    learn = Learner(numbers(), nn.Linear(4, 2), loss_func=CrossEntropyLossFlat())
    learn.vocab

@raises('a mean of whole numbers')
def mean_of_bytes(tmp): torch.zeros(2, 3, dtype=torch.uint8).mean(0)

@raises('a mean of whole numbers')
def softmax_of_whole_numbers(tmp): torch.zeros(2, 3, dtype=torch.int64).softmax(0)

@raises('an error in a metric or a callback')
def metric_divides_by_zero(tmp):
    def precision(preds, targets): return 1/int((targets*0).sum())
    learn = Learner(numbers(), nn.Linear(4, 2), loss_func=CrossEntropyLossFlat(), metrics=precision)
    with learn.no_bar(), learn.no_logging(): learn.fit(1)

@raises('the file of a model is not there')
def no_saved_weights(tmp): Learner(numbers(), nn.Linear(4, 2), path=tmp, loss_func=CrossEntropyLossFlat()).load('best')

@raises('a class number that is too large')
def class_too_large(tmp): CrossEntropyLossFlat()(torch.zeros(2, 3), torch.tensor([1, 3]))

@raises('an item outside of the embedding')
def outside_embedding(tmp): nn.Embedding(5, 2)(torch.tensor([5]))

@raises('layers that do not fit')
def layers(tmp): nn.Sequential(nn.Flatten(), nn.Linear(100, 2))(torch.zeros(1, 3, 8, 8))

@raises('two shapes that do not match')
def shapes(tmp): torch.ones(2, 3)+torch.ones(4)

@raises('two shapes that do not match')
def shapes_of_numpy(tmp): np.ones((2, 3))+np.ones(4)

@raises('a picture smaller than the filter')
def small_picture(tmp): nn.Conv2d(3, 3, 7)(torch.zeros(1, 3, 4, 4))

@raises('the wrong number of colours')
def colours(tmp): nn.Conv2d(3, 8, 3)(torch.zeros(1, 1, 8, 8))

@raises('weights for another network')
def other_network(tmp): nn.Linear(4, 3).load_state_dict(nn.Linear(4, 2).state_dict())

@raises('one item in a batch')
def one_in_a_batch(tmp): nn.BatchNorm1d(8)(torch.zeros(1, 8))

@raises('one label for each class was expected')
def one_hot_expected(tmp): BCEWithLogitsLossFlat()(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))

@raises('whole numbers for a loss of decimals')
def whole_numbers(tmp): F.cross_entropy(torch.zeros(4, 3), torch.zeros(4))

@raises('whole numbers for a loss of decimals')
def whole_numbers_of_bce(tmp): F.binary_cross_entropy_with_logits(torch.zeros(4), torch.zeros(4, dtype=torch.long)).long().backward()

@raises('a mean of whole numbers')
def mean_of_whole(tmp): torch.tensor([1, 2]).mean()

@raises('nothing to train')
def no_gradient(tmp):
    with torch.no_grad(): loss = nn.Linear(2, 1)(torch.zeros(1, 2)).sum()
    loss.backward()

@raises('the gradient was used up')
def backward_twice(tmp):
    loss = (nn.Linear(2, 1)(torch.ones(1, 2))**2).sum()
    loss.backward()
    loss.backward()

@raises('a tensor that still has its gradient')
def has_gradient(tmp): nn.Linear(2, 1).weight.numpy()

@raises('a method that was not imported')
def half_imported(tmp):
    program = 'from fastai.learner import Learner; from fastai.data.core import DataLoaders; import torch\n' \
              'learn = Learner(DataLoaders([]), torch.nn.Linear(4, 2), loss_func=torch.nn.functional.cross_entropy)\nlearn.fine_tune(1)'
    raise_text(run_python(program))


# Saving and loading

@raises('the model wants your function')
def no_attribute(tmp):
    pickle.loads(b'c__main__\nis_cat\n.') # what a pickle from a notebook holds for the function `is_cat`

@raises('something that cannot be pickled')
def a_lambda(tmp): pickle.dumps(lambda path: path.parent.name)

@raises('something that cannot be pickled')
def an_open_file(tmp):
    with open(tmp/'log.txt', 'w') as f: pickle.dumps(f)

@raises('only weights are loaded')
def weights_only(tmp):
    torch.save(SimpleNamespace(is_cat=1), tmp/'model.pth')
    torch.load(tmp/'model.pth', weights_only=True)

@raises('no model inside')
def web_page_as_model(tmp):
    (tmp/'model.pkl').write_text('<html>')
    pickle.loads((tmp/'model.pkl').read_bytes())

@raises('no model inside')
def half_a_model(tmp):
    torch.save(nn.Linear(40, 40).state_dict(), tmp/'model.pth')
    (tmp/'model.pth').write_bytes((tmp/'model.pth').read_bytes()[:2000])
    torch.load(tmp/'model.pth')

@raises('no model inside')
def empty_model(tmp): pickle.loads(b'')

@raises('a model from another system')
def other_system(tmp):
    import pathlib
    other = pathlib.PosixPath if os.name=='nt' else pathlib.WindowsPath
    other('x')


# The machine

@raises('no GPU here')
def no_gpu(tmp):
    if torch.cuda.is_available(): raise RuntimeError('Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU')
    torch.zeros(1).cuda()

def dies(item): os.kill(os.getpid(), 9)

@raises('a worker of the DataLoader died')
def dead_worker(tmp):
    if os.name=='nt': raise RuntimeError('DataLoader worker (pid(s) 123) exited unexpectedly')
    list(torch.utils.data.DataLoader(range(4), num_workers=1, collate_fn=dies))

@raises('processes that start each other')
def started_at_import(tmp):
    (tmp/'script.py').write_text('import multiprocessing\nprocess = multiprocessing.get_context("spawn").Process(target=print)\nprocess.start()\nprocess.join()\n')
    raise_text(subprocess.run([sys.executable, tmp/'script.py'], capture_output=True, text=True).stderr)

@raises('no room on the disk')
def full_disk(tmp):
    if not Path('/dev/full').exists(): raise OSError(28, 'No space left on device')
    with open('/dev/full', 'w') as f: f.write('x')

@raises('too little memory')
def no_memory(tmp): torch.empty(2**50)

@raises('too little memory')
def no_memory_for_numpy(tmp): np.empty(2**50)


# Installation, names and versions

@raises('old names of the first course')
def old_name(tmp): eval('ImageDataBunch')

@raises('old names of the first course')
def old_import(tmp): exec('from fastai.vision.all import ImageList')

@raises('the old picture search')
def old_search(tmp): exec('from duckduckgo_search import ddg_images')

@raises('the search has had enough')
def rate_limit(tmp):
    from ddgs.exceptions import RatelimitException
    raise RatelimitException('https://duckduckgo.com/i.js 202 Ratelimit')

@raises('the search has had enough')
def forbidden(tmp): fetch(403)

@raises('nothing at this address')
def gone(tmp): fetch(404)

@raises('a process that went away')
def worker_went_away(tmp):
    here,there = multiprocessing.Pipe()
    there.close()
    here.send(1)

@raises('no internet')
def no_server(tmp): urllib.request.urlopen('http://127.0.0.1:9/')

@raises('no internet')
def no_name(tmp): urllib.request.urlopen('http://no-such-host.invalid/')

@raises('a package that is not installed')
def no_package(tmp): exec('import fastbookk')

@raises('Pillow took a name away')
def antialias(tmp): Image.ANTIALIAS

@raises('NumPy took a name away')
def np_int(tmp): np.int

@raises('NumPy took a name away')
def np_float(tmp): np.float_

@raises('packages that do not fit together')
def no_such_name(tmp): exec('from fastai.vision.all import resnet_18')

@raises('a name that Python does not know')
def unknown_name(tmp): eval('dls_of_another_cell')


# Widgets, and Python

@raises('an upload from the old days')
def old_upload(tmp):
    from ipywidgets import FileUpload
    FileUpload().data

@raises('nothing was uploaded')
def nothing_uploaded(tmp):
    from ipywidgets import FileUpload
    uploader = FileUpload()
    uploader.value[0]

@raises('a callback that refused to start')
def monitors_nothing(tmp):
    learn = Learner(numbers(), nn.Linear(4, 2), path=tmp, loss_func=CrossEntropyLossFlat(), cbs=SaveModelCallback(monitor='accuracy'))
    with learn.no_bar(), learn.no_logging(): learn.fit(1)

@raises('a place beyond the end')
def no_file_at_all(tmp):
    files = get_image_files(tmp)
    files[0].name.split('_')[0]

@raises('a place beyond the end')
def beyond(tmp): get_image_files(tmp)[0]

@raises('a place beyond the end')
def beyond_list(tmp): [1, 2][5]

@raises('two names for one number of columns')
def unpacking(tmp): label,probs = (1, 2, 3)

@raises('a network in place of its function')
def network_called(tmp): vision_learner(block().dataloaders(pictures(tmp), bs=4, num_workers=0), resnet18())

@raises('Python cannot read the line')
def no_colon(tmp): compile('for i in range(3)\n    print(i)', 'cell', 'exec')

@raises('Python cannot read the line')
def moved_in(tmp): compile('a = 1\n    b = 2', 'cell', 'exec')

@raises('stopped by you')
def interrupted(tmp): raise KeyboardInterrupt

@raises('None where something was expected')
def unfrozen_to_none(tmp):
    learn = Learner(numbers(), nn.Linear(4, 2), loss_func=CrossEntropyLossFlat()).unfreeze()
    learn.fit_one_cycle(1)

@raises('no items found')
def several_lines_with_valid_pct(tmp):
    ImageDataLoaders.from_folder(
        Path('nowhere'), valid_pct=.2)

@raises('an argument is missing')
def no_epochs(tmp): Learner(numbers(), nn.Linear(4, 2), loss_func=CrossEntropyLossFlat()).fine_tune()

@raises('an argument that it does not know')
def unknown_argument(tmp): vision_learner(numbers(), resnet18, n_out=2, pretrained=False, loss_func=CrossEntropyLossFlat(), lr_max=3)

@raises('None where something was expected')
def none_in_a_sum(tmp): None+1

@raises('None where something was expected')
def none(tmp): [3, 1].sort().index(1)


# Recorded on machines with a GPU, and on Kaggle and Colab
RECORDED = {
    "the GPU's memory is full": 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 14.74 GiB',
    'PyTorch does not know this GPU': 'RuntimeError: CUDA error: no kernel image is available for execution on the device',
    'an error inside the GPU': 'RuntimeError: CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported',
    'two devices': 'RuntimeError: Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!',
    'still on the GPU': "TypeError: can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.",
}


def run_python(code): return subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True).stderr


class Printed(Exception):
    "An error that another process printed"


def raise_text(text): raise Printed(text)


def fetch(status):
    "Ask a server on this machine that answers with this status"
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self): self.send_error(status)
        def log_message(self, *args): pass
    server = HTTPServer(('127.0.0.1', 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: urllib.request.urlopen(f'http://127.0.0.1:{server.server_port}/')
    finally: server.shutdown()


def test_each_entry_is_tried():
    assert len(entries())>=40
    names = [entry.name for entry in entries()]
    assert len(set(names))==len(names)
    assert set(names)==set(SAMPLES)|set(RECORDED)


@pytest.mark.parametrize('name,sample', [(name, sample) for name,samples in SAMPLES.items() for sample in samples], ids=lambda o: getattr(o, '__name__', None))
def test_the_real_error_is_explained(name, sample, tmp_path):
    with pytest.raises(BaseException) as caught: sample(tmp_path)
    error = caught.value
    found = explanation(str(error) if isinstance(error, Printed) else error)
    assert found.entry is not None, f'{type(error).__name__}: {error}'
    assert found.entry.name==name, f'{type(error).__name__}: {error}'
    if not isinstance(error, Printed): # the same from its text
        text = ''.join(traceback.format_exception(error))
        assert explanation(text).entry.name==name


@pytest.mark.parametrize('name', RECORDED)
def test_the_recorded_error_is_explained(name): assert explanation(RECORDED[name]).entry.name==name


@pytest.mark.parametrize('entry', entries(), ids=lambda o: o.name)
def test_an_entry_is_complete(entry):
    for text in (entry.means, entry.cause, entry.fix): assert text.endswith('.') and len(text)<230
    for line in entry.code.split('\n'): assert len(line)<100
    if entry.code and not entry.code.startswith('%'): compile(entry.code, entry.name, 'exec')


@pytest.mark.parametrize('fails', ['block(get_y=lambda path: 1/0).dataloaders(pictures(tmp), bs=4, num_workers=0)',
                                   'block(get_y=lambda path: [][0]).dataloaders(pictures(tmp), bs=4, num_workers=0)'])
def test_what_fails_in_ones_own_function_is_not_laid_at_the_door_of_fastai(fails, tmp_path):
    "It came through fastai, and was raised in the learner's line"
    with pytest.raises(Exception) as caught: eval(fails, globals() | dict(tmp=tmp_path))
    entry = explanation(caught.value).entry
    assert entry is None or entry.name not in ('not one whole batch', 'one side is empty')


def test_explain_after_an_error_in_a_cell(capsys):
    "As in Jupyter: the error is kept by IPython, and the cell's own line is told"
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    shell.run_cell('paths = []\nfirst = paths[0]')
    shell.run_cell('from fastclass.course.explain import explain\nexplain()')
    said = capsys.readouterr().out
    assert 'Your line 2: first = paths[0]' in said
    assert 'What to do:' in said


JUPYTER = {'today': """TypeError                                 Traceback (most recent call last)
Cell In[7], line 2
      1 block = DataBlock(get_items=get_image_files)
----> 2 dls = block.dataloaders('phots')

File ~/miniconda3/lib/python3.12/site-packages/fastai/data/block.py:157, in DataBlock.dataloaders(self, source)
--> 157     dsets = self.datasets(source, verbose=verbose)

TypeError: 'NoneType' object is not iterable""", 'in 2021': """---------------------------------------------------------------------------
TypeError                                 Traceback (most recent call last)
<ipython-input-7-0a1b2c3d> in <module>()
      1 block = DataBlock(get_items=get_image_files)
----> 2 dls = block.dataloaders('phots')

/usr/local/lib/python3.7/dist-packages/fastai/data/block.py in dataloaders(self, source, path, verbose, **kwargs)
    113         dsets = self.datasets(source, verbose=verbose)

TypeError: 'NoneType' object is not iterable"""}


@pytest.mark.parametrize('when', JUPYTER)
def test_a_traceback_of_jupyter(when):
    found = explanation(JUPYTER[when])
    assert found.entry.name=='no items found'
    assert (found.trouble.own.line, found.trouble.own.code)==(2, "dls = block.dataloaders('phots')")


def test_on_the_command_line(tmp_path):
    "The text of a file, and what is piped; no error in it is told in two lines"
    script = tmp_path/'mine.py'
    script.write_text('names = []\nprint(names[0])\n')
    failed = subprocess.run([sys.executable, script], capture_output=True, text=True)
    (tmp_path/'error.txt').write_text(failed.stderr)
    command = [sys.executable, '-c', 'from fastclass.course.cli import main; main()', 'explain']
    from_file = subprocess.run([*command, tmp_path/'error.txt'], capture_output=True, text=True)
    piped = subprocess.run([*command, '-'], input=failed.stderr, capture_output=True, text=True)
    assert from_file.stdout==piped.stdout
    assert 'Your line 2: print(names[0])' in piped.stdout and 'What to do:' in piped.stdout
    nothing = subprocess.run([*command, '-'], input='it does not work', capture_output=True, text=True)
    assert nothing.returncode==2 and nothing.stderr.startswith('Error:') and 'Traceback' not in nothing.stderr


@pytest.mark.parametrize('text,name', [
    ('socket.gaierror: [Errno -2] Name or service not known', 'no internet'),
    ('> Traceback (most recent call last):\n>   File "a.py", line 1, in <module>\n>     x\n> NameError: name \'x\' is not defined', 'a name that Python does not know'),
    ('    Traceback (most recent call last):\n      File "a.py", line 1, in <module>\n        x\n    NameError: name \'x\' is not defined', 'a name that Python does not know'),
    ('NameError: name \'x\' is not defined\nUserWarning: the disk is nearly full', 'a name that Python does not know')])
def test_an_error_as_it_is_passed_on(text, name, tmp_path, capsys):
    assert explanation(text).entry.name==name
    (tmp_path/'wide.txt').write_text(text, encoding='utf-16') # Windows PowerShell
    explain_text(tmp_path/'wide.txt')
    assert 'What to do:' in capsys.readouterr().out


def test_lines_of_compiled_packages_are_not_ones_own():
    with pytest.raises(Exception) as caught: pd.to_datetime('abc')
    own = explanation(caught.value).trouble.own
    assert own is not None and own.file==__file__


def test_any_text_is_borne():
    "Whatever is pasted ends in an explanation or in a DataError"
    for text in ('', '\n'*1000, 'Error:', 'x'*1_000_000, 'ValueError', 'ValueError: ', 'a: b\nKeyError: 1', '  File "x", line 9999999999999999999999\nE'*99, '\x1b[31mValueError\x1b[0m: x'):
        try: str(explanation(text))
        except DataError: pass
