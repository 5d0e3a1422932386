"Every source against answers made by hand in its documented form, and both DuckDuckGo libraries as they are installed."
import inspect, json, time, warnings
from pathlib import Path

import httpx
import pytest

from fastclass.engine.base import errors
from fastclass.engine.collect import search, sources
from fastclass.engine.base.errors import (BadQueryError, BlockedError, NoInternetError, NothingFoundError,
    RateLimitedError, SourceError)
from fastclass.engine.collect.source import Hit, SearchSource, user_agent

RECORDED = Path(__file__).parent/'recorded'


def recorded(name): return json.loads((RECORDED/f'{name}.json').read_text(encoding='utf-8'))


class Web:
    "An httpx transport that gives prepared answers in turn and keeps what was asked"
    def __init__(self, *answers): self.answers,self.asked = list(answers),[]
    def __call__(self, request):
        self.asked.append(request)
        o = self.answers.pop(0)
        if isinstance(o, Exception): raise o
        return httpx.Response(200, json=recorded(o)) if isinstance(o, str) else o


def made(cls, *answers):
    "A source that is asked without waiting, and the web behind it"
    web = Web(*answers)
    source = cls(transport=httpx.MockTransport(web))
    source.interval = 0
    return source,web


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv('FASTCLASS_HOME', str(tmp_path/'home'))
    monkeypatch.setattr('fastclass.engine.base.machine.has_internet', lambda *a, **k: True)
    search.default_sources.cache_clear()
    yield
    search.default_sources.cache_clear()


# --- Commons ---------------------------------------------------------------------------------------------------------

def test_commons_reads_pages_in_the_order_of_their_index():
    source,web = made(sources.Commons, 'commons_page1', 'commons_page2')
    hits = source.search('cyclist photo', 10)
    assert [h.title for h in hits] == ['Cyclist? in Ghent', 'Small cyclist', 'Radfahrer in Köln']
    assert [h.rank for h in hits] == [0, 1, 2]
    assert hits[0].url.endswith('/Cyclist%3F_in_Ghent.jpg/1280px-Cyclist%3F_in_Ghent.jpg') and '/330px-' in hits[0].thumbnail
    assert (hits[0].licence, hits[0].creator, hits[0].width, hits[0].height) == ('CC BY-SA 4.0', 'Ada & Co', 1280, 960)
    assert hits[1].url==hits[1].thumbnail and hits[1].licence=='Public domain'
    assert 'Ada & Co' in hits[0].attribution and 'Commons' in hits[0].attribution


def test_commons_asks_by_its_rules():
    source,web = made(sources.Commons, 'commons_page1', 'commons_page2')
    source.search('cyclist photo', 10)
    one,two = (dict(o.url.params) for o in web.asked)
    assert one['gsrsearch']=='cyclist filetype:bitmap' and one['gsrnamespace']=='6' and int(one['gsrlimit'])<=50 and one['maxlag']=='5'
    assert 'extmetadata' in one['iiprop'] and 'gsroffset' not in one and two['gsroffset']=='3'
    assert web.asked[0].headers['user-agent']==user_agent() and 'https://' in user_agent()


def test_commons_without_safe_search_gives_what_the_words_kept_out():
    source,_ = made(sources.Commons, 'commons_page1', 'commons_page2')
    assert any('naked' in h.title for h in source.search('cyclist', 10, safe=False))


def test_commons_stops_asking_when_it_has_enough():
    source,web = made(sources.Commons, 'commons_page1')
    assert len(source.search('cyclist', 2))==2 and len(web.asked)==1


@pytest.mark.parametrize('answer,error', [
    ('commons_empty', NothingFoundError), ('commons_maxlag', RateLimitedError), ('commons_error', SourceError), ('commons_malformed', SourceError),
    (httpx.Response(403, text='Please set a user-agent'), BlockedError), (httpx.Response(429, headers={'retry-after':'7'}), RateLimitedError),
    (httpx.Response(200, text='<html>'), SourceError), (httpx.Response(200, json=[]), SourceError), (httpx.Response(500), SourceError)])
def test_commons_refusals_have_types(answer, error):
    source,_ = made(sources.Commons, answer)
    with pytest.raises(error) as e: source.search('cyclist', 5)
    assert type(e.value) is error and e.value.next


def commons_pages(*infos):
    pages = [dict(pageid=i, title=f'File:Cyclist {i}.jpg', index=i, imageinfo=[info]) for i,info in enumerate(infos)]
    return httpx.Response(200, json=dict(query=dict(pages=pages)))


def test_one_odd_page_of_commons_does_not_cost_the_others():
    good = dict(url='https://e.org/1.jpg', mime='image/jpeg')
    source,_ = made(sources.Commons, commons_pages(dict(url='https://e.org/0.jpg'), good, dict(mime='image/jpeg'), dict(good, url=7), dict(good, extmetadata=7)))
    assert [h.url for h in source.search('cyclist', 5)]==['https://e.org/0.jpg', 'https://e.org/1.jpg'] # where no type is said, the bytes will tell
    source,_ = made(sources.Commons, commons_pages(dict(mime='image/jpeg')))
    with pytest.raises(SourceError, match='another form'): source.search('cyclist', 5)


@pytest.mark.parametrize('said,want', [(10**400, None), (-1, None), (640., 640), ('640', None), (float('nan'), None), (True, None), ({}, None), (640, 640)])
def test_a_hit_has_numbers_and_texts_whatever_was_said(said, want):
    hit = sources.Hit('https://e.org/1.jpg', width=said, title=said)
    assert hit.width==want and isinstance(hit.title, str)


# --- Openverse -------------------------------------------------------------------------------------------------------

def test_openverse_reads_pages_and_leaves_out_what_is_marked():
    source,web = made(sources.Openverse, 'openverse_page1', 'openverse_page2')
    hits = source.search('cyclist photo', 50)
    assert [h.licence for h in hits] == ['CC BY 2.0', 'CC0 1.0', 'CC BY-NC-SA 4.0']
    assert hits[0].url.endswith('1_a%20b.jpg') and hits[0].page.startswith('https://www.flickr.com') and hits[0].attribution
    assert (hits[1].creator, hits[1].title, hits[1].width) == ('', '', None)
    params = [dict(o.url.params) for o in web.asked]
    assert [o['page'] for o in params]==['1', '2'] and params[0]['page_size']=='20' and params[0]['mature']=='false' and params[0]['q']=='cyclist'
    assert params[0]['license_type']=='modification'


def test_openverse_throttles_with_a_time():
    source,_ = made(sources.Openverse, httpx.Response(429, json=recorded('openverse_throttled'), headers={'Retry-After':'58'}))
    with pytest.raises(RateLimitedError, match='58 s') as e: source.search('cyclist', 5)
    assert e.value.retry_after==58


def test_a_failure_after_the_first_page_keeps_its_hits():
    source,_ = made(sources.Openverse, 'openverse_page1', httpx.Response(429))
    with pytest.raises(RateLimitedError) as e: source.search('cyclist', 50)
    assert [h.rank for h in e.value.hits]==[0]
    source,_ = made(sources.Openverse, 'openverse_page1', httpx.Response(429))
    found = search.find_hits('cyclist', 50, [source])
    assert len(found)==1 and source.circuit.wait()>0


@pytest.mark.parametrize('answer,error', [('openverse_empty', NothingFoundError), ('openverse_malformed', SourceError),
                                          (httpx.Response(401), BlockedError), (httpx.Response(400), BadQueryError), (httpx.Response(503), SourceError)])
def test_openverse_refusals_have_types(answer, error):
    source,_ = made(sources.Openverse, answer)
    with pytest.raises(error) as e: source.search('cyclist', 5)
    assert type(e.value) is error


# --- iNaturalist -----------------------------------------------------------------------------------------------------

def test_inaturalist_takes_one_licensed_photo_of_each_observation():
    source,web = made(sources.INaturalist, 'inaturalist_taxa', 'inaturalist_observations')
    hits = source.search('brown bears photo', 30)
    assert [h.url.rsplit('/', 2)[1:] for h in hits] == [['2', 'large.jpeg'], ['4', 'large.jpeg']]
    assert (hits[0].licence, hits[0].creator, hits[0].width, hits[0].height, hits[0].title) == ('CC BY 4.0', 'Ada Lovelace', 1024, 768, 'Brown Bear')
    assert (hits[1].licence, hits[1].width) == ('CC0 1.0', None) and hits[0].licence_url.endswith('/licenses/by/4.0/')
    params = dict(web.asked[1].url.params)
    assert params['taxon_id']=='41641' and 'cc-by-nd' not in params['photo_license'] and params['quality_grade']=='research'


def test_inaturalist_answers_for_species_only():
    source,web = made(sources.INaturalist, 'inaturalist_taxa_none')
    with pytest.raises(NothingFoundError, match='no species'): source.search('cyclist photo', 30)
    assert len(web.asked)==1


@pytest.mark.parametrize('answer,error', [('inaturalist_malformed', SourceError), (httpx.Response(429), RateLimitedError),
                                          (httpx.Response(403), BlockedError), (httpx.Response(422, json={'status':422}), BadQueryError)])
def test_inaturalist_refusals_have_types(answer, error):
    source,_ = made(sources.INaturalist, 'inaturalist_taxa', answer)
    with pytest.raises(error) as e: source.search('brown bear', 5)
    assert type(e.value) is error


# --- what all sources share ------------------------------------------------------------------------------------------

def test_no_connection_is_told_from_a_source_that_is_down(monkeypatch):
    source,_ = made(sources.Commons, httpx.ConnectError('refused'), httpx.ConnectError('refused'), httpx.ReadTimeout('slow'))
    with pytest.raises(SourceError, match='there is internet') as e: source.search('cyclist', 5)
    assert type(e.value) is SourceError
    monkeypatch.setattr('fastclass.engine.base.machine.has_internet', lambda *a, **k: False)
    with pytest.raises(NoInternetError, match='Kaggle'): source.search('cyclist', 5)
    with pytest.raises(SourceError, match='within 10 s'): source.search('cyclist', 5)


@pytest.mark.parametrize('query,n', [('', 5), ('  ', 5), ('?!', 5), ('a'*201, 5), (None, 5), (['cat'], 5), ('cat', 0), ('cat', -1), ('cat', '5'), ('cat', True)])
def test_bad_queries_ask_nobody(query, n):
    source,web = made(sources.Commons)
    with pytest.raises(BadQueryError): source.search(query, n)
    with pytest.raises(BadQueryError): search.find_hits(query, n, [source])
    assert not web.asked


def test_requests_keep_their_distance():
    source,_ = made(sources.Commons, 'commons_page1', 'commons_page2')
    source.interval = .2
    start = time.monotonic()
    source.search('cyclist', 10)
    assert time.monotonic()-start>=.2


def test_every_default_source_says_how_it_keeps_safe_search_and_comes_in_order():
    assert list(search.default_sources()) == ['commons', 'openverse', 'inaturalist', 'ddgs', 'duckduckgo_search', 'bundled']
    assert all(o.keeps_safe for o in search.default_sources().values())


# --- find_hits -------------------------------------------------------------------------------------------------------

class Shelf(SearchSource):
    name,label,keeps_safe,interval = 'shelf','shelf','mine',0
    def __init__(self, name='shelf', urls=(), error=None):
        super().__init__()
        self.name = self.label = name
        self.urls,self.error,self.calls = urls,error,0
    def _pages(self, query, n, safe):
        self.calls += 1
        if self.error: raise self.error
        yield [Hit(f'https://example.org/{o}.jpg') for o in self.urls]


def test_hits_are_merged_without_doubles_until_there_are_enough():
    a,b,c = Shelf('a', 'xy'),Shelf('b', 'yz'),Shelf('c', 'q')
    found = search.find_hits('cat', 3, [a, b, c])
    assert [h.url[-5] for h in found]==['x', 'y', 'z'] and c.calls==0
    assert found.said=='asked 3, got 3 (a 2, b 1)'


def test_answers_are_remembered_and_serve_smaller_questions(monkeypatch):
    a = Shelf('a', 'xyz')
    for n in (3, 2, 1, 3): assert len(search.find_hits('cat', n, [a]))==n
    assert a.calls==1
    search.find_hits('cat', 9, [a])
    search.find_hits('cat', 12, [a]) # it had no more than 3 the last time
    assert a.calls==2
    search.find_hits('cat', 3, [a], safe=False)
    assert a.calls==3
    real = time.time
    monkeypatch.setattr(search.time, 'time', lambda: real()+31*86400)
    search.find_hits('cat', 3, [a])
    assert a.calls==4


def test_a_broken_memory_is_no_memory(tmp_path):
    a = Shelf('a', 'xyz')
    search.find_hits('cat', 3, [a])
    for o in (tmp_path/'home'/'search').glob('*.json'): o.write_text('{"time": 1, "hits"')
    search.find_hits('cat', 3, [a])
    assert a.calls==2 and not list((tmp_path/'home'/'search').glob('.*'))


def test_a_source_that_failed_is_left_alone_then_tried_again(monkeypatch):
    bad,good = Shelf('bad', error=BlockedError('no', 'x')),Shelf('good', 'xyz')
    for q in ('cat', 'dog', 'owl'):
        assert search.find_hits(q, 2, [bad, good]).counts=={'good':2}
    assert bad.calls==1 and search.find_hits('fox', 2, [bad, good]).passed==[('bad', 'blocked')]
    bad.error,bad.urls = None,'ab'
    bad.circuit.until = 0
    assert search.find_hits('cow', 2, [bad, good]).counts=={'bad':2} and bad.circuit.failures==0


def test_nothing_found_does_not_open_the_circuit():
    a = Shelf('a')
    for q in ('cat', 'dog'):
        with pytest.raises(NothingFoundError): search.find_hits(q, 2, [a])
    assert a.calls==2


@pytest.mark.parametrize('error', [NoInternetError('x', 'y'), BlockedError('x', 'y'), RateLimitedError('x', 'y', 9.), SourceError('x', 'y')])
def test_the_gravest_reason_is_the_error(error):
    with pytest.raises(type(error), match='nothing found') as e: search.find_hits('cat', 2, [Shelf('a'), Shelf('b', error=error)])
    assert getattr(e.value, 'retry_after', 9.)==9. and e.value.next=='y'


def test_after_no_internet_the_other_remote_sources_are_not_asked():
    a,b = Shelf('a', error=NoInternetError('x', 'y')),Shelf('b', 'xy')
    with pytest.raises(NoInternetError): search.find_hits('cat', 2, [a, b])
    assert b.calls==0 and a.circuit.wait()==0 # the source is not to blame


def test_a_source_that_cannot_keep_safe_search_is_passed_over():
    a = Shelf('a', 'xy')
    a.keeps_safe = ''
    with pytest.raises(BlockedError, match='safe search'): search.find_hits('cat', 2, [a])
    assert len(search.find_hits('cat', 2, [a], safe=False))==2


def test_a_second_way_is_asked_only_when_the_first_failed():
    first,second = Shelf('first', 'xy'),Shelf('second', 'xyz')
    second.second_way_of = 'first'
    assert search.find_hits('cat', 9, [first, second]).counts=={'first':2} and second.calls==0
    first.error = BlockedError('no', 'x')
    assert search.find_hits('dog', 9, [first, second]).counts=={'second':3}
    assert search.default_sources()['duckduckgo_search'].second_way_of=='ddgs'


def test_an_unknown_source_is_named():
    with pytest.raises(BadQueryError, match='bing.*commons'): search.find_hits('cat', 2, ['bing'])


def test_a_bundled_run_asks_the_bundled_packs_only(monkeypatch):
    monkeypatch.setenv('FASTCLASS_SOURCE', 'bundled')
    monkeypatch.setattr(sources.Bundled, '_pages', lambda self, query, n, safe: iter([[Hit('http://127.0.0.1/1.jpg')]]))
    assert search.find_hits('cyclist', 1).counts=={'bundled packs':1}
    assert list(search.search_images('cyclist', 1))==['http://127.0.0.1/1.jpg'] and type(search.search_images('cyclist')).__name__=='L'


def test_without_internet_a_word_that_no_pack_has_names_the_switch_and_the_packs(monkeypatch):
    monkeypatch.delenv('FASTCLASS_SOURCE', raising=False)
    monkeypatch.setattr('fastclass.engine.base.machine.has_internet', lambda *a, **k: False)
    with pytest.raises(NoInternetError, match='Kaggle.*cyclist, pedestrian'): search.find_hits('whale photo', 5)


# --- ddgs, as installed ----------------------------------------------------------------------------------------------

class Answer:
    "What primp's client gives back"
    def __init__(self, text='', status=200, url='https://duckduckgo.com/i.js'):
        self.status_code,self.text,self.content,self.url = status,text,text.encode(),url


@pytest.fixture
def duck(monkeypatch):
    "DuckDuckGo with the network stubbed: `duck(answers...)`, one for each request for results; the token page is answered by itself"
    def stub(*answers, token='<script>vqd="4-123";</script>'):
        left,asked = list(answers),[]
        def request(self, method, url, **kwargs):
            asked.append((url, kwargs.get('params') or {}))
            if not url.endswith('i.js'): return Answer(token)
            o = left.pop(0)
            if isinstance(o, Exception): raise o
            return Answer(json.dumps(recorded(o))) if isinstance(o, str) else o
        class Client:
            def __init__(self, *args, **kwargs): return
            def headers_update(self, headers): return
            headers = cookies = {}
        Client.request = request
        for name in ('ddgs.http_client.primp.Client', 'duckduckgo_search.duckduckgo_search.primp.Client'): monkeypatch.setattr(name, Client)
        monkeypatch.setattr('duckduckgo_search.duckduckgo_search.sleep', lambda s: None)
        return asked
    return stub


def quick(cls):
    source = cls()
    source.interval = 0
    return source


def results(asked): return [p for url,p in asked if url.endswith('i.js')]


def test_contract_of_ddgs():
    from ddgs import DDGS
    from ddgs.engines import ENGINES
    from ddgs.engines.duckduckgo_images import DuckduckgoImages
    from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException
    from ddgs.results import ImagesResult
    assert ENGINES['images']['duckduckgo'] is DuckduckgoImages
    assert issubclass(RatelimitException, DDGSException) and issubclass(TimeoutException, DDGSException)
    assert {'title', 'image', 'thumbnail', 'url', 'height', 'width', 'source'} <= set(vars(ImagesResult()))
    params = inspect.signature(DDGS()._search_sync).parameters
    assert {'safesearch', 'max_results', 'page', 'backend'} <= set(params)
    assert isinstance(DDGS()._engines_cache, dict)
    assert {'query', 'safesearch', 'page'} <= set(inspect.signature(DuckduckgoImages.search).parameters)


def test_ddgs_keeps_escapes_whole_and_pages_on(duck):
    asked = duck('duckduckgo_page1', 'duckduckgo_page2', 'duckduckgo_empty')
    hits = quick(sources.DDGS).search('cyclist', 50)
    assert [h.url for h in hits]==[f'https://img.example.com/a%2Fb%20c/{i}.jpg?u=x%3Ay' for i in range(4)]
    assert (hits[0].page, hits[0].width, hits[0].height, hits[0].source, hits[0].licence)==('https://www.example.com/page%200', 1200, 800, 'ddgs', '')
    assert [p.get('s') for p in results(asked)]==[None, '100', '200'] and all(p['p']=='1' for p in results(asked))
    assert {url for url,_ in asked}=={'https://duckduckgo.com', 'https://duckduckgo.com/i.js'} # no other engine was asked


def test_ddgs_by_itself_undoes_escapes(duck):
    "The reason for our way round; when this fails, it can go"
    from ddgs import DDGS
    duck('duckduckgo_page1')
    assert DDGS().images('cyclist', backend='duckduckgo')[0]['image']=='https://img.example.com/a/b+c/0.jpg?u=x:y'


def test_ddgs_by_itself_says_nothing_found_when_blocked(duck):
    "The reason for our way round; when this fails, it can go"
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException
    duck(Answer('', 403))
    with pytest.raises(DDGSException, match='No results found'): DDGS().images('cyclist', backend='duckduckgo')


@pytest.mark.parametrize('answer,error', [
    ('duckduckgo_empty', NothingFoundError), (Answer('', 403), BlockedError), (Answer('', 418), BlockedError), (Answer('', 202), RateLimitedError),
    (Answer('', 429), RateLimitedError), (Answer('', 500), SourceError), (Answer('<html>are you human?'), BlockedError)])
def test_ddgs_tells_blocked_from_nothing_found(duck, answer, error):
    duck(answer)
    with pytest.raises(error) as e: quick(sources.DDGS).search('qqzx', 5)
    assert type(e.value) is error


@pytest.mark.parametrize('source', [sources.DDGS, sources.OldDDGS])
def test_no_token_means_blocked(duck, source):
    duck(token='<html>are you human?')
    with pytest.raises(BlockedError): quick(source).search('cyclist', 5)


@pytest.mark.parametrize('source', [sources.DDGS, sources.OldDDGS])
def test_a_connection_error_is_told_from_a_block(duck, monkeypatch, source):
    duck(ConnectionError('no route to host'))
    monkeypatch.setattr('fastclass.engine.base.machine.has_internet', lambda *a, **k: False)
    with pytest.raises(NoInternetError): quick(source).search('cyclist', 5)


def test_a_stub_of_the_public_call_is_enough_for_ddgs(monkeypatch):
    monkeypatch.setattr('ddgs.ddgs.DDGS.images', lambda self, query, **kw: [dict(image='https://e.org/1.jpg')] if kw['page']==1 and kw['backend']=='duckduckgo' else [])
    assert [h.url for h in quick(sources.DDGS).search('cyclist', 5)]==['https://e.org/1.jpg']


# --- duckduckgo-search, as installed ---------------------------------------------------------------------------------

def test_contract_of_duckduckgo_search():
    from duckduckgo_search import DDGS
    from duckduckgo_search.exceptions import DuckDuckGoSearchException, RatelimitException, TimeoutException
    assert issubclass(RatelimitException, DuckDuckGoSearchException) and issubclass(TimeoutException, DuckDuckGoSearchException)
    assert {'keywords', 'safesearch', 'max_results'} <= set(inspect.signature(DDGS.images).parameters)
    assert 'timeout' in inspect.signature(DDGS.__init__).parameters
    assert list(inspect.signature(DDGS._get_url).parameters)[1:3]==['method', 'url']


def test_the_second_way_keeps_escapes_whole_and_pages_on(duck):
    asked = duck('duckduckgo_page1', 'duckduckgo_page2')
    hits = quick(sources.OldDDGS).search('cyclist', 50)
    assert [h.url for h in hits]==[f'https://img.example.com/a%2Fb%20c/{i}.jpg?u=x%3Ay' for i in range(4)]
    assert [p.get('s') for p in results(asked)][1]=='100' and all(p['p']=='1' for p in results(asked))


def test_the_second_way_leaves_the_warnings_filters_alone(duck):
    duck('duckduckgo_page2')
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('default')
        before = list(warnings.filters)
        quick(sources.OldDDGS).search('cyclist', 5)
        assert list(warnings.filters)==before and not said


@pytest.mark.parametrize('answer,error', [('duckduckgo_empty', NothingFoundError), (Answer('', 403), BlockedError), (Answer('', 202), RateLimitedError),
                                          (Answer('', 500), SourceError), (Answer('<html>are you human?'), SourceError)])
def test_the_second_way_tells_blocked_from_nothing_found(duck, answer, error):
    duck(answer)
    with pytest.raises(error): quick(sources.OldDDGS).search('qqzx', 5)


# --- start-up --------------------------------------------------------------------------------------------------------

def test_importing_search_loads_nothing_heavy():
    import subprocess, sys
    code = "import sys, fastclass.engine.collect.search; print([o for o in ('torch','fastai','pandas','numpy','ddgs','duckduckgo_search','httpx','PIL') if o in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip()=='[]'


def test_the_error_family_is_the_engines():
    assert all(issubclass(o, errors.SourceError) for o in (NoInternetError, BlockedError, NothingFoundError, BadQueryError, RateLimitedError))
