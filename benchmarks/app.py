"""The page for a model under load: many visitors at once on this machine, against the same questions one by one.

    python benchmarks/app.py [--clients 20] [--requests 200] [--side 3000] [--json]

The page runs in a process of its own, with the body that quickstart takes; its memory is that process's. Each visitor uploads photo-like JPEGs of
`side` x 2/3 `side` pixels and asks for answer and heatmap, one question after the other. Printed: the median and the 95th percentile of the seconds
from upload to answer, how many answers differ from those of one by one (`differ`), how many failed, and the memory of the page: before the load,
at its peak, and after it. `ratio` is the time of all questions one by one by that of all at once.
"""
import argparse, io, json, os, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median, quantiles

import numpy as np
from PIL import Image

from fastclass.engine.datablock.loaders import folder_dls
from fastclass.engine.finetune.weights import make_learner
from fastclass.engine.packs.packs import pack
from fastclass.engine.predict.predictor import save_bundle

SERVER = "import sys; from fastclass.app import serve; p = serve(sys.argv[1], block=False); print(p.url, flush=True); sys.stdin.read(); p.close()"


def made_bundle(folder):
    "The usual learner, untrained: answers cost the same"
    with redirect_stdout(io.StringIO()): learn = make_learner(folder_dls(pack('crests')/'train', workers=0))
    return save_bundle(learn, folder/'bundle', threshold=.5)


def photos(folder, n, side):
    "Photo-like JPEGs: soft colours with some noise"
    rng,files = np.random.default_rng(0),[]
    for i in range(n):
        soft = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)).resize((side, side*2//3), Image.Resampling.BICUBIC)
        noisy = np.asarray(soft, np.int16)+rng.integers(-12, 13, (side*2//3, side, 1), dtype=np.int16)
        files.append(folder/f'{i}.jpg')
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(files[-1], quality=85)
    return files


def memory(pid):
    "Resident memory of a process now and at its peak, in MB"
    lines = dict(o.split(':', 1) for o in Path(f'/proc/{pid}/status').read_text().splitlines())
    return [int(lines[o].split()[0])//1024 for o in ('VmRSS', 'VmHWM')]


def visitor(url):
    "A function that asks about a file: `(seconds, answer)`, or `(seconds, the error)`"
    from gradio_client import Client, handle_file
    client = Client(url, verbose=False, analytics_enabled=False)
    def ask(file):
        start = time.perf_counter()
        try: said = client.predict(handle_file(str(file)), api_name='/ask')
        except Exception as e: said = e
        return time.perf_counter()-start, said
    return ask


def measure(url, pid, files, clients, requests):
    ask = visitor(url)
    ask(files[0]) # to warm up
    before,_ = memory(pid)
    start = time.perf_counter()
    alone = {o: ask(o)[1] for o in files}
    one_by_one = (time.perf_counter()-start)/len(files)*requests
    visitors = [visitor(url) for _ in range(clients)]
    def visit(k): return [(o, *visitors[k](o)) for o in (files[i%len(files)] for i in range(k, requests, clients))]
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool: rows = [o for part in pool.map(visit, range(clients)) for o in part]
    total = time.perf_counter()-start
    after,peak = memory(pid)
    seconds = [o[1] for o in rows]
    errors = [o[2] for o in rows if isinstance(o[2], Exception)]
    return dict(requests=len(rows), clients=clients, errors=len(errors), first_error=str(errors[:1]), differ=sum(o[2]!=alone[o[0]] for o in rows),
                median_seconds=round(median(seconds), 3), p95_seconds=round(quantiles(seconds, n=20)[-1], 3), per_second=round(len(rows)/total, 1),
                memory_before_mb=before, memory_peak_mb=peak, memory_after_mb=after, ratio=round(one_by_one/total, 2))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--clients', type=int, default=20)
    p.add_argument('--requests', type=int, default=200)
    p.add_argument('--side', type=int, default=3000)
    p.add_argument('--json', action='store_true')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        bundle,files = made_bundle(tmp),photos(tmp, 10, args.side)
        page = subprocess.Popen([sys.executable, '-c', SERVER, str(bundle)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        try: res = measure(page.stdout.readline().strip(), page.pid, files, args.clients, args.requests)
        finally: page.communicate('', timeout=30)
    if args.json: print(json.dumps(res))
    else: print(*(f'{k}: {v}' for k,v in res.items()), sep='\n')


if __name__=='__main__': main()
