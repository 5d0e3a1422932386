"""Collecting against fastai's `download_images`, `verify_images` and `resize_images`, from the same local server in the same run.

    python benchmarks/collect.py [--n 300] [--latency .1] [--hosts 30] [--drip 60] [--json]

The server is a process of its own on this machine. It has 300 different photos of 1.7 to 12 megapixels, on several ports that count as hosts, and
waits 100 ms before every answer. In the second part 5% of the addresses, drawn at random, stall: of these, every other one says nothing at all, and every
other one sends a byte every 2 seconds for as long as --drip says. Both sides do ten photos before the clock starts. Both sides make pictures of at most 640 pixels; fastai has its own defaults (8 threads, 4 s a read).
fastclass also looks for doubles, placeholders and blanks in that time, and writes the manifest. At the end it collects again, which must ask nobody.
"""
import argparse, asyncio, io, json, multiprocessing, random, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = (1600, 1066),(2048, 1536),(3264, 2448),(4032, 3024) # of cameras, phones and pages, in turn


def photo(i):
    "The bytes of a photo-like picture: soft shapes, texture and noise"
    rng,size = np.random.default_rng(i),SIZES[i%len(SIZES)]
    soft = Image.fromarray(rng.integers(0, 256, (7, 10, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = Image.fromarray(rng.integers(0, 256, (size[1]//4, size[0]//4, 3), dtype=np.uint8)).resize(size, Image.Resampling.BILINEAR)
    out = io.BytesIO()
    Image.blend(soft, grain, .22).save(out, 'JPEG', quality=85)
    return out.getvalue()


def serve(photos, hosts, latency, drip, pipe):
    "Serve on several ports until the process is ended; paths are /<number>.jpg, /silent/<number> and /drip/<number>"
    asked = [0]
    async def answer(reader, writer):
        try:
            while line := await reader.readline():
                while (await reader.readline()).strip(): continue
                path = line.split()[1].decode()
                asked[0] += 1
                await asyncio.sleep(latency)
                if path=='/asked': body = str(asked[0]-1).encode()
                elif path.startswith('/silent'): return await asyncio.sleep(drip)
                else: body = photos[int(path.split('/')[-1].split('.')[0])]
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n' % len(body))
                if path.startswith('/drip'):
                    for k in range(int(drip/2)):
                        writer.write(body[k:k+1])
                        await writer.drain()
                        await asyncio.sleep(2)
                    return
                writer.write(body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError): return
        finally: writer.close()
    async def main():
        servers = [await asyncio.start_server(answer, '127.0.0.1', 0, backlog=256) for _ in range(hosts)]
        pipe.send([s.sockets[0].getsockname()[1] for s in servers])
        await asyncio.gather(*(s.serve_forever() for s in servers))
    asyncio.run(main())


def ours(urls, dest):
    "`(seconds, pictures, requests)` of fastclass"
    from fastclass.engine.collect.download import download_all
    from fastclass.engine.collect.source import Hit
    hosts = {u.split('/')[2] for u in urls}
    start = time.perf_counter()
    m = download_all([('photo', 'benchmark', Hit(u)) for u in urls], dest, allow_hosts=hosts, progress=False)
    return time.perf_counter()-start, sum(o['status']=='ok' for o in m), m.requests


def theirs(urls, dest):
    "`(seconds, pictures)` of fastai's three functions"
    from fastai.data.transforms import get_image_files
    from fastai.vision.utils import download_images, resize_images, verify_images
    start = time.perf_counter()
    download_images(dest/'raw', urls=urls)
    got = time.perf_counter()-start
    verify_images(get_image_files(dest/'raw')).map(Path.unlink)
    resize_images(dest/'raw', dest=dest/'small', max_size=640)
    seconds = time.perf_counter()-start
    print(f'  fastai: {got:.1f} s download, {seconds-got:.1f} s verify and resize')
    return seconds, len(get_image_files(dest/'small'))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name,value in (('n', 300), ('latency', .1), ('hosts', 30), ('drip', 60.)): parser.add_argument(f'--{name}', type=type(value), default=value)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args()
    with redirect_stdout(sys.stderr): res = compare(args)
    print(json.dumps(res) if args.json else f"{res['ratio']:.1f} times as fast, {res['ratio_stall']:.1f} times with {res['stalling']} addresses that stall; {res['second_run_requests']} requests in a second run")


def compare(args):
    "Both sides, without and with addresses that stall"
    with ThreadPoolExecutor() as pool: photos = list(pool.map(photo, range(args.n)))
    print(f'{args.n} photos of {SIZES[0][0]} to {SIZES[-1][0]} pixels, {sum(map(len, photos))/args.n/1e3:.0f} kB each, {args.hosts} hosts, {args.latency*1000:.0f} ms before each answer')
    here,there = multiprocessing.Pipe()
    server = multiprocessing.get_context('fork').Process(target=serve, args=(photos, args.hosts, args.latency, args.drip, there), daemon=True)
    server.start()
    ports,res = here.recv(),{}
    try:
        with tempfile.TemporaryDirectory() as d:
            for side in (ours, theirs):
                (Path(d)/side.__name__).mkdir()
                side([f'http://127.0.0.1:{ports[i]}/{i}.jpg' for i in range(10)], Path(d)/side.__name__)
            for part in ('', 'stall'):
                folder = Path(d)/f'part {part}'
                (folder/'theirs').mkdir(parents=True)
                stalling = random.Random(0).sample(range(args.n), args.n//20 if part else 0)
                kind = [('silent', 'drip')[stalling.index(i)%2] if i in stalling else '' for i in range(args.n)]
                urls = [f'http://127.0.0.1:{ports[i%args.hosts]}/{k+"/" if k else ""}{i}.jpg' for i,k in enumerate(kind)]
                mine,n,_ = ours(urls, folder/'ours')
                yours,m = theirs(urls, folder/'theirs')
                print(f'{"with stalls" if part else "no stalls"}: fastclass {mine:.1f} s for {n} pictures, fastai {yours:.1f} s for {m}: {yours/mine:.1f} times')
                tail = '_stall' if part else ''
                res |= {f'ratio{tail}':yours/mine, f'seconds{tail}':mine, f'fastai_seconds{tail}':yours, f'pictures{tail}':n, f'fastai_pictures{tail}':m}
                if part: res['stalling'] = sum(map(bool, kind))
                again = ours(urls, folder/'ours')
                res['second_run_requests'] = max(again[2], res.get('second_run_requests', 0))
                res[f'second_run_seconds{tail}'] = again[0]
    finally: server.terminate()
    return res


if __name__ == '__main__': main()
