"Behind a school's proxy and its certificate: what is fetched goes through them, and does not get further into the network than it would without"
import http.server, os, select, shutil, socket, ssl, subprocess, threading, warnings
from importlib.util import find_spec

import pytest

from chaos_server import photo, saved
from fastclass.engine.base import machine
from fastclass.engine.base.errors import NoInternetError, SourceError, UnsupportedError
from fastclass.engine.base.fetch import download_file
from fastclass.engine.base.network import CA_VARIABLES, proxy_for, tls_context, web_client
from fastclass.engine.collect.download import download_all
from fastclass.engine.collect.source import Hit

QUIET = dict(progress=False, deadline=6)
ADDRESSES = ('a.example', 'b.example') # names that only the proxy knows: example is nobody's


class Proxy(http.server.BaseHTTPRequestHandler):
    "Forwards plain http, opens tunnels for https; every name leads to the server of the test"
    protocol_version = 'HTTP/1.1'

    def allowed(self):
        "Does the request bring the password, where one is wanted?"
        self.server.asked.append(f'{self.command} {self.path}')
        if self.server.password in ('', self.headers.get('Proxy-Authorization', '')): return True
        self.answer(407)

    def answer(self, status, body=b''):
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.allowed(): self.answer(self.server.status, self.server.body)
    do_HEAD = do_GET

    def do_CONNECT(self):
        if not self.allowed(): return
        if self.server.status!=200: return self.answer(self.server.status)
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.server.behind) as far: pump(self.connection, far)
        self.close_connection = True

    def log_message(self, *args): return


def pump(a, b):
    "Bytes in both directions, until one side ends"
    while True:
        for ready in select.select([a, b], [], [], 5)[0] or [a]:
            data = ready.recv(1<<16) if select.select([ready], [], [], 0)[0] else b''
            if not data: return
            (b if ready is a else a).sendall(data)


def started(handler):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    server.daemon_threads = True
    threading.Thread(target=lambda: server.serve_forever(.02), daemon=True).start()
    return server


@pytest.fixture
def alone(monkeypatch):
    "No setting of this machine's own"
    for name in (*CA_VARIABLES, *(f'{k}_proxy' for k in ('http', 'https', 'all', 'no'))):
        for o in (name, name.upper(), name.lower()): monkeypatch.delenv(o, raising=False)
    machine._ASKED.clear()
    yield monkeypatch
    machine._ASKED.clear()


@pytest.fixture
def proxy(alone):
    server = started(Proxy)
    server.asked,server.password,server.status,server.body = [],'',200,saved(photo('by proxy'))
    server.address = f'127.0.0.1:{server.server_port}'
    yield server
    server.shutdown()
    server.server_close()


def statuses(folder, *urls, **options):
    made = download_all([('cat', '', Hit(o)) for o in urls], folder, **QUIET, **options)
    return [made.get('cat', o)['status'] for o in urls]


def message(folder, url, **options):
    return download_all([('cat', '', Hit(url))], folder, **QUIET, **options).get('cat', url)['message']


# which way

@pytest.mark.parametrize('name', ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'])
@pytest.mark.parametrize('form', ['http://{}', '{}', 'http://{}/'])
def test_a_picture_comes_through_the_proxy(name, form, proxy, tmp_path):
    os.environ[name] = form.format(proxy.address) # monkeypatch of `alone` takes it away again
    try: assert statuses(tmp_path/'set', 'http://a.example/1.jpg')==['ok']
    finally: del os.environ[name]
    assert proxy.asked==['GET http://a.example/1.jpg']


@pytest.mark.parametrize('no,straight', [
    ('a.example', True), ('.example', True), ('example', True), ('*.example', True), ('*', True), ('b.example, a.example', True), ('b.example a.example', True),
    ('A.EXAMPLE', True), ('a.example:80', True), ('a.example:8080', False), ('le', False), ('b.a.example', False), ('', False)])
@pytest.mark.parametrize('capital', [True, False])
def test_no_proxy(no, straight, capital, alone):
    alone.setenv('http_proxy', 'http://p.example:3128')
    alone.setenv('NO_PROXY' if capital else 'no_proxy', no)
    assert proxy_for('http://a.example/1.jpg')==('' if straight else 'http://p.example:3128')


@pytest.mark.parametrize('url,straight', [
    ('http://10.2.3.4/', True), ('http://11.2.3.4/', False), ('http://[fd00::5]/', True), ('http://[fe80::5]:8/', False), ('http://127.0.0.1/', True), ('http://127.9.9.9/', True),
    ('http://localhost:8000/', True), ('http://x.localhost/', True), ('http://[::1]:80/', True), ('https://a.example/', True)])
def test_networks_and_this_machine(url, straight, alone):
    alone.setenv('HTTP_PROXY', 'http://p.example:3128')
    alone.setenv('NO_PROXY', '10.0.0.0/8,fd00::/8')
    assert proxy_for(url)==('' if straight else 'http://p.example:3128')


def test_what_no_proxy_names_is_fetched_directly(proxy, tmp_path, alone):
    alone.setenv('HTTP_PROXY', f'http://{proxy.address}')
    alone.setenv('NO_PROXY', 'a.example')
    assert statuses(tmp_path/'set', 'http://a.example/1.jpg', 'http://b.example/2.jpg')==['no_such_host', 'ok']
    assert proxy.asked==['GET http://b.example/2.jpg']


def test_a_server_of_this_machine_needs_no_proxy(proxy, tmp_path, alone):
    alone.setenv('HTTP_PROXY', 'http://127.0.0.1:9')
    assert statuses(tmp_path/'set', f'http://{proxy.address}/1.jpg', allow_hosts=(proxy.address,))==['ok']


def test_the_password_of_a_proxy(proxy, tmp_path, alone):
    proxy.password = 'Basic bWU6c2UgY3JldA==' # me:se cret
    alone.setenv('HTTP_PROXY', f'http://me:se%20cret@{proxy.address}')
    assert statuses(tmp_path/'set', 'http://a.example/1.jpg')==['ok']
    alone.setenv('HTTP_PROXY', f'http://{proxy.address}')
    alone.setenv('HTTPS_PROXY', f'http://{proxy.address}')
    with pytest.raises(NoInternetError, match='name and a password'): statuses(tmp_path/'other', 'http://a.example/1.jpg', 'https://a.example/1.jpg')


@pytest.mark.parametrize('scheme', ['socks5', 'socks5h'])
def test_a_proxy_of_the_socks_kind(scheme, alone, tmp_path):
    pytest.importorskip('socksio')
    body,asked = saved(photo('socks')),[]
    server = socket.create_server(('127.0.0.1', 0))
    def answer():
        client,_ = server.accept()
        with client:
            client.recv(client.recv(2)[1])
            client.sendall(bytes([5, 0]))
            client.recv(4)
            asked.append(client.recv(client.recv(1)[0]))
            client.recv(2)
            client.sendall(bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
            client.recv(1<<16)
            client.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body)+body)
    threading.Thread(target=answer, daemon=True).start()
    alone.setenv('ALL_PROXY', f'{scheme}://127.0.0.1:{server.getsockname()[1]}')
    assert statuses(tmp_path/'set', 'http://a.example/1.jpg', 'http://10.0.0.1/1.jpg')==['ok', 'private_address'] and asked==[b'a.example']
    server.close()


# where it may lead

@pytest.mark.parametrize('host', [
    '10.0.0.1', '192.168.1.1:8080', '169.254.169.254', '0.0.0.0', '[fe80::1]', '[::ffff:10.0.0.1]', '2852039166', '0xa9fea9fe', '0xA.1', '010.0.0.1', '08.8.8.8.', '10.1', 'router',
    'router.', 'metadata.google.internal', 'nas.local', 'box.LAN', 'printer.home.arpa', 'localhost.localdomain'])
def test_the_proxy_is_not_asked_for_private_addresses(host, proxy, tmp_path, alone):
    for o in ('HTTP_PROXY', 'HTTPS_PROXY'): alone.setenv(o, f'http://{proxy.address}')
    assert set(statuses(tmp_path/'set', f'http://{host}/1.jpg', f'https://{host}/1.jpg'))<={'private_address', 'bad_url'}
    assert proxy.asked==[]


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost', '[::1]'])
def test_this_machine_stays_private_behind_a_proxy(host, proxy, tmp_path, alone):
    alone.setenv('ALL_PROXY', f'http://{proxy.address}')
    assert statuses(tmp_path/'set', f'http://{host}:{proxy.server_port}/1.jpg')==['private_address'] # the address of the proxy itself, too
    assert proxy.asked==[]


def test_a_name_that_leads_inside_is_not_asked_for(proxy, tmp_path, alone):
    alone.setenv('HTTP_PROXY', f'http://{proxy.address}')
    look_up = socket.getaddrinfo
    alone.setattr(socket, 'getaddrinfo', lambda host, *a, **k: look_up('10.9.8.7' if host=='a.example' else host, *a, **k))
    assert statuses(tmp_path/'set', 'http://a.example/1.jpg')==['private_address'] and proxy.asked==[]
    assert statuses(tmp_path/'own', 'http://a.example/1.jpg', allow_hosts=('a.example',))==['ok']


def test_a_redirect_through_the_proxy_is_checked(proxy, tmp_path, alone):
    alone.setenv('HTTP_PROXY', f'http://{proxy.address}')
    proxy.status = 302
    alone.setattr(Proxy, 'answer', lambda self, status, body=b'': (self.send_response(status), self.send_header('Location', 'http://10.0.0.1/a.jpg'),
                                                                  self.send_header('Content-Length', '0'), self.end_headers()))
    assert statuses(tmp_path/'set', 'http://a.example/1.jpg')==['private_address']
    assert proxy.asked==['GET http://a.example/1.jpg']


def test_a_slow_look_up_does_not_cost_the_picture(proxy, tmp_path, alone):
    alone.setenv('HTTP_PROXY', f'http://{proxy.address}')
    look_up = socket.getaddrinfo
    def slow(host, *a, **k):
        if host=='a.example': threading.Event().wait(20)
        return look_up(host, *a, **k)
    alone.setattr(socket, 'getaddrinfo', slow)
    assert statuses(tmp_path/'set', 'http://a.example/1.jpg', 'http://a.example/2.jpg')==['ok', 'duplicate']


# what goes wrong

def test_a_proxy_that_does_not_answer(alone, tmp_path):
    for o in ('HTTP_PROXY', 'HTTPS_PROXY'): alone.setenv(o, 'http://127.0.0.1:9')
    with pytest.raises(NoInternetError, match='The proxy 127.0.0.1:9 cannot be reached'):
        statuses(tmp_path/'set', 'http://a.example/1.jpg', 'https://b.example/1.jpg')


@pytest.mark.parametrize('status,word', [(403, 'proxy'), (502, 'connection'), (407, 'proxy')])
def test_a_tunnel_that_is_refused(status, word, proxy, tmp_path, alone):
    alone.setenv('HTTPS_PROXY', f'http://{proxy.address}')
    alone.setattr(machine, 'has_internet', lambda *a: True)
    proxy.status = status
    assert statuses(tmp_path/'set', 'https://a.example/1.jpg')==[word]


@pytest.mark.parametrize('odd', ['ftp://p.example', 'http://', 'http://p.example:port', 'socks5://p.example:1080'])
def test_an_odd_proxy_is_said_at_once(odd, alone, tmp_path):
    if odd.startswith('socks') and find_spec('socksio'): pytest.skip('socksio is there')
    alone.setenv('HTTP_PROXY', odd)
    with pytest.raises(UnsupportedError, match='The proxy'): statuses(tmp_path/'set', 'http://a.example/1.jpg')
    with web_client() as client, pytest.raises(UnsupportedError): client.get('http://a.example/')


def test_the_password_is_not_shown(alone, tmp_path):
    alone.setenv('HTTP_PROXY', 'http://me:secret@p.example:port')
    with pytest.raises(UnsupportedError) as e: statuses(tmp_path/'set', 'http://a.example/1.jpg')
    assert 'secret' not in str(e.value)


# whom to trust

def openssl(folder, *words): subprocess.run(['openssl', *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope='module')
def authority(tmp_path_factory):
    "A folder with ca.pem, and a certificate for the names of the test that it vouches for"
    if not shutil.which('openssl'): pytest.skip('needs the program openssl')
    folder = tmp_path_factory.mktemp('ca')
    openssl(folder, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=School', '-days', '2')
    openssl(folder, 'req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=a.example')
    (folder/'names').write_text('subjectAltName=DNS:a.example,DNS:localhost,IP:127.0.0.1')
    openssl(folder, 'x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'server.pem', '-days', '2', '-extfile', 'names')
    return folder


@pytest.fixture
def secret(authority, alone):
    "A server that speaks https, with a certificate of that authority"
    class Picture(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = saved(photo('secret'))
            self.send_response(200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        do_HEAD = do_GET
        def log_message(self, *args): return
    server = started(Picture)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority/'server.pem', authority/'server.key')
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize('name', CA_VARIABLES)
def test_a_certificate_of_ones_own(name, secret, authority, alone, tmp_path):
    here = f'127.0.0.1:{secret.server_port}'
    alone.setattr(machine, 'has_internet', lambda *a: True)
    assert statuses(tmp_path/'without', f'https://{here}/1.jpg', allow_hosts=(here,))==['tls']
    assert 'SSL_CERT_FILE' in message(tmp_path/'without', f'https://{here}/1.jpg', allow_hosts=(here,))
    with pytest.raises(SourceError): download_file(f'https://{here}/1.jpg', tmp_path/'1.jpg')
    place = authority/'ca.pem'
    if name=='SSL_CERT_DIR':
        place = tmp_path/'certificates'
        place.mkdir()
        hashed = subprocess.run(['openssl', 'x509', '-hash', '-noout', '-in', str(authority/'ca.pem')], check=True, capture_output=True, text=True).stdout.strip()
        shutil.copy(authority/'ca.pem', place/f'{hashed}.0')
    alone.setenv(name, str(place))
    assert statuses(tmp_path/'with', f'https://{here}/1.jpg', allow_hosts=(here,))==['ok']
    assert download_file(f'https://{here}/1.jpg', tmp_path/'1.jpg').stat().st_size>100


def test_a_file_of_no_certificates_is_said(alone, tmp_path):
    alone.setenv('SSL_CERT_FILE', str(tmp_path/'none.pem'))
    with pytest.warns(UserWarning, match='SSL_CERT_FILE'): tls_context()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        tls_context() # once


@pytest.mark.parametrize('name', ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY'])
def test_https_goes_through_a_tunnel(name, secret, authority, proxy, alone, tmp_path):
    proxy.behind = ('127.0.0.1', secret.server_port)
    alone.setenv(name, f'http://{proxy.address}')
    alone.setenv('REQUESTS_CA_BUNDLE', str(authority/'ca.pem'))
    assert statuses(tmp_path/'set', 'https://a.example/1.jpg')==['ok'] and proxy.asked==['CONNECT a.example:443']
    assert download_file('https://a.example/1.jpg', tmp_path/'1.jpg').stat().st_size>100
    assert machine._probe_internet(3, hosts=('a.example',)) and not machine._probe_internet(3, hosts=('b.example',)) # its certificate is not for b
