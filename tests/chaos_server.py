"""A web server of this machine that fails in every way that the web does, and the word that belongs to each.

    python tests/chaos_server.py

runs the list through fastclass and through fastai's `download_images`, `verify_images` and `resize_images`, and prints both side by side.
"""
import contextlib, gzip, io, socket, socketserver, struct, threading, time, zlib
from collections import Counter
from email.utils import formatdate
from functools import cache
from urllib.parse import unquote

import numpy as np
from PIL import Image, ImageDraw

from fastclass.engine.collect.source import Hit

LONGEST = 12. # seconds after which a drip or a stall of this server ends; far over the deadline of the tests
MOST = 60_000_000 # bytes after which the endless body ends


# ---- pictures

@cache
def photo(name, size=(320, 240)):
    "A picture that no other name has"
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)


def saved(im, format='JPEG', **kwargs):
    f = io.BytesIO()
    im.save(f, format, **kwargs)
    return f.getvalue()


def card():
    im = Image.new('RGB', (300, 220), (240, 240, 240))
    ImageDraw.Draw(im).text((90, 100), 'Image not found', fill=(90, 90, 90))
    return saved(im)


def bomb():
    chunk = lambda kind, data: struct.pack('>I', len(data))+kind+data+struct.pack('>I', zlib.crc32(kind+data))
    return b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR', struct.pack('>IIBBBBB', 20000, 20000, 8, 2, 0, 0, 0))+chunk(b'IDAT', zlib.compress(bytes(999)))+chunk(b'IEND', b'')


@cache
def gzip_bomb(): return gzip.compress(bytes(200_000_000), 1)


def turned(n): # a photo as a phone stores it, with the note that turns it upright
    back = {1:None, 2:Image.Transpose.FLIP_LEFT_RIGHT, 3:Image.Transpose.ROTATE_180, 4:Image.Transpose.FLIP_TOP_BOTTOM, 5:Image.Transpose.TRANSPOSE,
            6:Image.Transpose.ROTATE_90, 7:Image.Transpose.TRANSVERSE, 8:Image.Transpose.ROTATE_270}[n]
    exif = Image.Exif()
    exif[0x0112] = n
    im = photo(f'exif {n}')
    return saved(im if back is None else im.transpose(back), exif=exif, quality=95)


# ---- ways to answer

def page(status, body=b'', **headers):
    heads = {'Content-Length':len(body), 'Content-Type':'image/jpeg', 'Connection':'close', **{k.replace('_', '-'):v for k,v in headers.items()}}
    return f'HTTP/1.1 {status} X\r\n'.encode()+''.join(f'{k}: {v}\r\n' for k,v in heads.items() if v is not None).encode('latin-1')+b'\r\n'+body


def send(*args, **kwargs): return lambda c: c.write(page(*args, **kwargs))
def picture(name, **kwargs): return send(200, saved(photo(name), **kwargs))
def moved(to): return send(302, Location=to)
def at_first(n, answer, then): return lambda c: (answer if c.visits<=n else then)(c)


def drip(head, body, pause=.2):
    def answer(c):
        c.write(head)
        end = time.monotonic()+LONGEST
        for i in range(len(body)):
            if time.monotonic()>end: return
            c.write(body[i:i+1])
            time.sleep(pause)
    return answer


def stall(head):
    def answer(c):
        c.write(head)
        c.wait(LONGEST)
    return answer


def endless(c):
    c.write(page(200, Content_Length=None))
    for _ in range(MOST//100_000): c.write(bytes(100_000))


def reset(c):
    c.write(page(200, saved(photo('reset')))[:2000])
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def soon(c): c.write(page(429, Retry_After=formatdate(time.time()+1.2, usegmt=True)))


def address(base, name): return f'{base}/{name.replace(" ", "%20")}'


def cases(base, closed):
    "`(name, label, address, status, answer)` for each way; no answer where no request reaches this server"
    good = lambda o: saved(photo(o))
    half = lambda o, **k: send(200, saved(photo(o), **k)[:2500])
    served = [
        ('good', 'ok', picture('good')), ('wrong type', 'ok', send(200, good('type'), Content_Type='text/html')), ('packed', 'ok', send(200, gzip.compress(good('packed')), Content_Encoding='gzip')),
        *((f'status {o}', f'http_{o}', send(o)) for o in (202, 204, 206, 400, 401, 403, 404, 410, 418, 451, 500, 501, 503, 429)),
        ('429, then fine', 'ok', at_first(1, send(429), picture('429'))), ('429, wait a second', 'ok', at_first(1, send(429, Retry_After=1), picture('429 s'))),
        ('429, wait until', 'ok', at_first(1, soon, picture('429 d'))), ('429, wait an hour', 'http_429', send(429, Retry_After=3600)),
        ('500, then fine', 'ok', at_first(2, send(500), picture('500'))), ('503, wait a second', 'ok', at_first(1, send(503, Retry_After=1), picture('503'))),
        ('503, wait for ever', 'http_503', send(503, Retry_After='Fri, 31 Dec 2100 23:59:59 GMT')), ('503, odd wait', 'http_503', send(503, Retry_After='soon')),
        ('drip in the body', 'timeout', drip(page(200, Content_Length=9000), good('drip'))), ('drip in the headers', 'timeout', drip(b'', page(200, good('h'), X_Long='y'*999))),
        ('stall before headers', 'timeout', stall(b'')), ('stall in the headers', 'timeout', stall(b'HTTP/1.1 200 OK\r\nContent-')), ('stall in the body', 'timeout', stall(page(200, good('stall'), Content_Length=99999))),
        ('endless body', 'too_big', endless), ('says it is huge', 'too_big', send(200, good('huge'), Content_Length=10**11)), ('gzip bomb', 'too_big', lambda c: c.write(page(200, gzip_bomb(), Content_Encoding='gzip'))),
        ('says more than comes', 'incomplete', send(200, good('more'), Content_Length=99999)), ('says less than comes', 'truncated', send(200, good('less'), Content_Length=2500)),
        ('chunk that breaks', 'incomplete', lambda c: c.write(page(200, Content_Length=None, Transfer_Encoding='chunked')+b'fff\r\nabc')),
        ('reset', 'incomplete', reset), ('closes at once', 'connection', lambda c: None), ('speaks no HTTP', 'connection', lambda c: c.write(b'SSH-2.0-OpenSSH\r\n\r\n')),
        ('half a JPEG', 'truncated', half('half')), ('half a PNG', 'truncated', half('half png', format='PNG')), ('half a WebP', 'truncated', half('half webp', format='WEBP', quality=100)),
        ('HTML', 'not_a_picture', send(200, b'<!doctype html><title>Log in</title>')), ('text', 'not_a_picture', send(200, b'not here')), ('JSON', 'not_a_picture', send(200, b'{"error": 1}')),
        ('SVG', 'format_not_allowed', send(200, b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')), ('EPS', 'format_not_allowed', send(200, b'%!PS-Adobe-3.0 EPSF-3.0\n')),
        ('PDF', 'format_not_allowed', send(200, b'%PDF-1.7\n')), ('zip', 'not_a_picture', send(200, b'PK\3\4'+bytes(99))), ('zero bytes', 'empty', send(200)), ('noise', 'not_a_picture', send(200, bytes(range(200, 256))*9)),
        ('one pixel', 'too_small', send(200, saved(Image.new('RGB', (1, 1))))), ('banner', 'too_thin', send(200, saved(photo('thin', (900, 60))))), ('blank', 'blank', send(200, saved(Image.new('RGB', (300, 200), 'teal')))),
        ('placeholder', 'placeholder', send(200, card())), ('bomb', 'too_many_pixels', send(200, bomb())),
        ('animated', 'ok', send(200, saved(photo('gif'), 'GIF', save_all=True, append_images=[photo('gif 2')]))), ('16 bits', 'ok', send(200, saved(Image.fromarray(np.asarray(photo('16').convert('L')).astype('uint16')*257), 'PNG'))),
        ('CMYK', 'ok', send(200, saved(photo('cmyk').convert('CMYK')))), ('palette', 'ok', send(200, saved(photo('pal').quantize(64), 'PNG'))), ('alpha', 'ok', send(200, saved(photo('alpha').convert('RGBA'), 'PNG'))),
        ('WebP', 'ok', picture('webp', format='WEBP')), ('TIFF', 'ok', picture('tiff', format='TIFF')), *((f'EXIF {o}', 'ok', send(200, turned(o))) for o in range(1, 9)),
        ('redirect', 'ok', moved('/target of redirect'.replace(' ', '%20'))), ('redirect 5 times', 'ok', moved('/hop?5')), ('redirect 6 times', 'redirect_loop', moved('/hop?6')), ('redirect loop', 'redirect_loop', moved('/redirect%20loop')),
        ('redirect to loopback', 'private_address', moved(f'http://127.0.0.1:{closed}/a.jpg')), ('redirect to localhost', 'private_address', moved(f'{base.replace("127.0.0.1", "localhost")}/good')), ('redirect to metadata', 'private_address', moved('http://169.254.169.254/latest/meta-data/')),
        ('redirect to decimals', 'private_address', moved(f'http://2130706433:{closed}/a.jpg')), ('redirect to IPv6', 'private_address', moved('http://[::ffff:127.0.0.1]/a.jpg')), ('redirect to a file', 'bad_redirect', moved('file:///etc/passwd')),
        ('redirect to nowhere', 'bad_redirect', send(302)), ('redirect to nonsense', 'bad_redirect', moved('http://e.org:99999/a.jpg')),
        ('noai', 'opted_out', send(200, good('noai'), X_Robots_Tag='noindex, noai')), ('noimageai', 'opted_out', send(200, good('noimageai'), X_Robots_Tag='anybot: NoImageAI')),
        ('escapes%3A%20%2F', 'ok', picture('escapes')), ('naïve 熊 🐻', 'ok', picture('unicode')), ('../../../etc/passwd', 'ok', picture('path trick')), ('..%5C..%5Cevil', 'ok', picture('backslash')), ('no suffix', 'ok', picture('suffix')),
        ('a '+'very '*40+'long name', 'ok', picture('long')), ('photo?id=1', 'ok', picture('id 1')), ('photo?id=2', 'ok', picture('id 2')),
    ]
    twins = [('twin', 'cat', 'ok', picture('twin')), ('twin again', 'cat', 'duplicate', picture('twin')), ('twin saved again', 'cat', 'near_duplicate', picture('twin', quality=40)),
             ('in two classes', 'cat', 'two_labels', picture('two')), ('in two classes too', 'dog', 'two_labels', picture('two')), ('nearly in two classes', 'cat', 'two_labels', picture('near two')),
             ('nearly in two classes too', 'dog', 'two_labels', picture('near two', quality=50)), ('a dog', 'dog', 'ok', picture('dog')), ('evil label', '../evil', 'ok', picture('evil'))]
    rows = [(n, 'cat', address(base, n), s, a) for n,s,a in served]+[(n, k, address(base, n), s, a) for n,k,s,a in twins]
    nowhere = [('TLS', base.replace('http:', 'https:')+'/good', 'tls'), ('no such name', 'http://no-such-host.invalid/a.jpg', 'no_such_host'), ('closed port', f'http://127.0.0.1:{closed+1}/a.jpg', 'connection'), ('a file', 'file:///etc/passwd', 'bad_url'),
               ('FTP', 'ftp://127.0.0.1/a.jpg', 'bad_url'), ('script', 'javascript:alert(1)', 'bad_url'), ('no address', 'a cat', 'bad_url'), ('empty address', '', 'bad_url'), ('a zero inside', 'http://127.0.0.1/\0.jpg', 'bad_url'),
               ('odd port', 'http://127.0.0.1:99999/a.jpg', 'bad_url'), ('private', 'http://10.0.0.1/a.jpg', 'private_address'), ('link-local', 'http://169.254.169.254/a.jpg', 'private_address'), ('loopback', f'http://127.0.0.1:{closed}/a.jpg', 'private_address'),
               ('short loopback', f'http://127.1:{closed}/a.jpg', 'private_address'), ('IPv6 loopback', f'http://[::1]:{closed}/a.jpg', 'private_address')]
    return rows+[(n, 'cat', u, s, None) for n,u,s in nowhere]


# ---- the server

class Call:
    "One request, and the ways to answer it"
    def __init__(self, server, sock, path, visits): self.server,self.sock,self.path,self.visits = server,sock,path,visits
    def write(self, data): self.sock.sendall(data)
    def wait(self, seconds): # until the other side has gone
        self.sock.settimeout(seconds)
        with contextlib.suppress(OSError): self.sock.recv(1)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            if self.connection.recv(1, socket.MSG_PEEK)==b'\x16': return self.connection.sendall(b'HTTP/1.1 400 no TLS here\r\n\r\n')
            path = self.rfile.readline(70_000).decode('latin-1').split(' ')[1:2]
            while self.rfile.readline(70_000).strip(): continue
            if path: self.server.answer(self.connection, path[0])


def free_port():
    "A port of this machine at which nobody listens"
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class ChaosServer(socketserver.ThreadingTCPServer):
    "Serves `cases`; `log` has the paths that were asked for"
    daemon_threads,allow_reuse_address,request_queue_size = True,True,128
    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.port,self.log,self.seen,self.lock = self.server_address[1],[],Counter(),threading.Lock()
        self.base = f'http://127.0.0.1:{self.port}'
        self.closed = free_port() # nor does anybody listen at the next one
        self.cases = cases(self.base, self.closed)
        self.answers = {c[0]:c[4] for c in self.cases if c[4]} | {'etc/passwd':picture('path trick'), 'target of redirect':picture('redirected'), 'thumbnail':picture('thumbnail')}
        threading.Thread(target=self.serve_forever, args=(.05,), daemon=True).start()
    def hits(self): return [(label, 'chaos', Hit(url, title=name)) for name,label,url,_,_ in self.cases]
    def answer(self, sock, path):
        raw = path.removeprefix('/').replace('%20', ' ')
        name = next((o for o in (raw, path.removeprefix('/'), unquote(raw)) if o in self.answers), raw)
        with self.lock:
            self.log.append(path)
            self.seen[name] += 1
            call = Call(self, sock, path, self.seen[name])
        self.find(name)(call)
    def find(self, name):
        if name.startswith('hop?'): return moved(f'/hop?{int(name[4:])-1}') if name[4:]!='1' else picture('hop')
        return self.answers.get(name) or send(404)
    def close(self):
        self.shutdown()
        self.server_close()


def fastai_words(server, dest, seconds):
    "What becomes of each case with fastai's three functions: each alone, so that one cannot stop the others"
    from fastai.vision.utils import download_images, resize_images, verify_images
    from fastai.data.transforms import get_image_files
    out = {}
    for i,(name,_,url,_,_) in enumerate(server.cases):
        folder,start = dest/str(i),time.monotonic()
        try:
            download_images(folder, urls=[url], n_workers=0, timeout=seconds)
            files = get_image_files(folder)
            bad = verify_images(files)
            bad.map(lambda o: o.unlink())
            resize_images(folder, dest=folder/'small', max_size=640, max_workers=0)
            word = 'in the set' if len(files)>len(bad) else 'deleted' if bad else 'nothing, and no word'
        except Exception as e: word = f'stops: {type(e).__name__}'
        out[name] = f'{word} ({time.monotonic()-start:.0f} s)'
    return out


def main():
    import tempfile
    from pathlib import Path
    from fastclass.engine.collect.download import download_all
    server = ChaosServer()
    allow = (f'127.0.0.1:{server.port}', f'127.0.0.1:{server.closed+1}')
    with tempfile.TemporaryDirectory() as d:
        start = time.monotonic()
        m = download_all(server.hits(), Path(d)/'ours', allow_hosts=allow, per_host=16, host_failures=10**6, deadline=4, max_bytes=20_000_000, progress=False)
        print(f'fastclass: {len(m)} addresses in {time.monotonic()-start:.0f} s')
        theirs = fastai_words(server, Path(d), 4)
        print(f'{"":28}{"fastclass":20}fastai')
        for name,label,url,_,_ in server.cases: print(f'{name[:27]:28}{m.get(label, url)["status"]:20}{theirs[name]}')
    server.close()


if __name__ == '__main__': main()
