"Ask the outside world what the lessons take from it: search sources, weights, data sets, the address in the first cell. Exit 1 where one is gone."
import argparse, os, re, sys, tempfile, time
from pathlib import Path

from first_cell import first_cell

WEIGHTS = ('squeezenet1_1', 'resnet18')
DATA_SETS = {'CAMVID_TINY':'streets', 'ADULT_SAMPLE':'census', 'ML_SAMPLE':'ratings', 'IMDB_SAMPLE':'reviews'}


def source(name):
    "A search source answers with pictures"
    from fastclass.engine.collect.search import find_hits
    return f"{len(find_hits('black bear photo', 10, sources=[name]))} of 10 pictures"


def weights(arch):
    "Pretrained weights come, whole: those that are bundled do not count"
    from fastclass.engine.finetune.weights import find_weights
    found = find_weights(arch, download=True)
    if found.source!='download': raise OSError(f'{found}')
    return str(found)


def data_set(name, pack):
    "A data set of fastai comes, with the right hash"
    from fastai.data.external import URLs
    from fastclass.engine.collect.datasets import real_or_pack
    found = real_or_pack(getattr(URLs, name), pack)
    if not found.real: raise OSError(found.why)
    return found.why


def address():
    "The archive that the first cell of a lesson installs is there"
    import httpx
    url = re.search(r"'(https://\S+\.zip)'", first_cell())[1]
    answer = httpx.head(url, follow_redirects=True, timeout=30)
    if answer.status_code!=200: raise OSError(f'{url} answers {answer.status_code}')
    return url


def canaries() -> dict: # Name to a function without arguments that returns what it found, or raises
    "All of them"
    from fastclass.engine.collect.search import default_sources
    res = {f'search: {k}': (lambda k=k: source(k)) for k,v in default_sources().items() if v.remote}
    res |= {f'weights: {o}': (lambda o=o: weights(o)) for o in WEIGHTS}
    res |= {f'data set: {k}': (lambda k=k, v=v: data_set(k, v)) for k,v in DATA_SETS.items()}
    return res | {'address in the first cell':address}


def listen(birds) -> tuple: # A table in Markdown, and the names of those that fell silent
    "Ask one after the other; none keeps the next from being asked"
    rows,gone = ['| canary | | found | seconds |', '|---|---|---|---|'],[]
    for name,ask in birds.items():
        start = time.perf_counter()
        try: ok,found = True,ask()
        except Exception as e: ok,found = False,f'{type(e).__name__}: {e}'
        if not ok: gone.append(name)
        found = ' '.join(str(found).split()).replace('|', '/')[:200]
        rows.append(f"| {name} | {'ok' if ok else '**gone**'} | {found} | {time.perf_counter()-start:.1f} |")
    return '\n'.join(rows),gone


def main(argv=None) -> int: # 0 when all answered
    "Ask, and print a report"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--report', help='write the table to this file too')
    a = p.parse_args(argv)
    with tempfile.TemporaryDirectory() as tmp: # nothing that was fetched before
        os.environ |= dict(FASTCLASS_HOME=f'{tmp}/home', FASTCLASS_SOURCE='live', FASTAI_HOME=f'{tmp}/fastai', TORCH_HOME=f'{tmp}/torch')
        table,gone = listen(canaries())
    print(table)
    if a.report: Path(a.report).write_text(table+'\n', encoding='utf-8')
    return 1 if gone else 0


if __name__ == '__main__': sys.exit(main())
