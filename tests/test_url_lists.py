"Lists of addresses as people have them: each gives just its addresses, or says what is wrong with it"
import json, unicodedata, warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fastclass.collect import collect_urls
from fastclass.engine.base.errors import DataError
from fastclass.engine.collect.url_lists import local_file, read_labelled, read_urls

U = [f'https://img.example/{i}.jpg' for i in range(6)]
LABELS = ['bee', 'ant']*3
BY_LABEL = dict(bee=U[::2], ant=U[1::2])


def written(folder, text, name='list.txt', encoding='utf-8'):
    path = folder/name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def lines(form, urls=U): return '\n'.join(form.format(u=u, l=l, i=i) for i,(u,l) in enumerate(zip(urls, LABELS)))


# one address a line

ODD = [
    'https://img.example/it/u={i},99&fm=15', 'https://img.example/it/u={i},99', 'https://img.example/w_300,h_200/{i}.jpg', 'https://img.example/Dog,_cat_{i}.jpg', 'https://img.example/Paris,France',
    'https://img.example/{i}.jpg;jsessionid=A{i}?x=1', 'https://img.example/a;b;{i}', 'https://img.example/a|b|{i}', 'https://img.example/x?y=1%3A2,{i}&z=a;b', 'https://img.example/my photo {i}.jpg',
    'https://img.example/{i}.jpg#top', 'HTTPS://img.example/{i}.JPG', 'http://[2001:db8::1]/{i},1.jpg', 'https://img.example/?q="a",{i}', 'ftp://img.example/{i}.jpg', 'https://img.example/{i}.jpg?size=10,20',
    'data:image/png;base64,AA{i},BB', 'https://img.example/({i},2).jpg', 'https://img.example/get?u=https://e.org/{i}.jpg,2', "https://img.example/it's,{i}"]


@pytest.mark.parametrize('form', ODD)
def test_a_line_that_is_an_address_is_one_address(form, tmp_path):
    want = list(dict.fromkeys(form.format(i=i) for i in range(6)))
    for text in ('\n'.join(want), '\r\n\r\n'.join(want)+'\r\n', 'url\n'+'\n'.join(want)): assert read_urls(written(tmp_path, text))==want
    assert read_urls(written(tmp_path, want[0]))==want[:1] and read_urls(want)==want


@pytest.mark.parametrize('form', ['{u} # nice', '{u}\t# nice, really; yes', '  {u}  ', '"{u}"', "'{u}',", '<{u}>', '"{u}", # nice', '- {u}', '* {u}', '{i}. {u}', '[a bee]({u})', '{u}\n# a comment', '#{u}\n{u}', '#\n{u}',
                                  '{u},', '{u};', '{u},bee', '{u};{l}', '{u}, {l}', '{u} {l}', '{u} {i}', '{u}|{l}', '{u}\t{l}', '{i},{u}', '{i};{u};{l}', '{i}\t{u}\t{l}', '"{u}","{l}"', '{l},{u}', '{l} {u}', '{u},3.5,{l}'])
def test_what_stands_around_an_address(form, tmp_path):
    assert read_urls(written(tmp_path, lines(form)))==U


@pytest.mark.parametrize('form', ['{u},{l}', '{u};{l}', '{u}|{l}', '{u}\t{l}', '{u} {l}', '{l},{u}', '"{u}"; "{l}"', '{u}, {l}'])
def test_labels_without_names_of_columns(form, tmp_path):
    assert read_labelled(written(tmp_path, lines(form)))==BY_LABEL


def test_addresses_without_an_ending_and_their_labels(tmp_path):
    urls = [f'https://img.example/images?q=tbn:A{i}&s' for i in range(6)]
    assert read_labelled(written(tmp_path, lines('{u},{l}', urls)))==dict(bee=urls[::2], ant=urls[1::2])
    assert read_urls(written(tmp_path, lines('{u},{l}', urls)))==urls


# tables

HEADS = [('url;label', '{u};{l}'), ('URL,Label', '{u},{l}'), ('url\tlabel', '{u}\t{l}'), ('url|label', '{u}|{l}'), ('label,url', '{l},{u}'), ('ImageID,Subset,OriginalURL,label', '{i:04},train,{u},{l}'),
         ('id;bild;class', '{i};{u};{l}'), ('name,address,category', 'cat {i},{u},{l}'), ('file,where,labels', '{i}.x,{u},{l}'), ('"url", "label"', '"{u}", "{l}"'), ('id,page,image_url,label', '{i},https://e.org/p{i},{u},{l}'),
         ('id,page,photo,label', '{i},https://e.org/p{i},{u},{l}'), ('url,thumbnail,label', '{u},https://e.org/t{i}.jpg,{l}'), ('n,where,label', '{i},  {u},{l}'), ('# list of mine\nurl,label', '{u},{l}')]


@pytest.mark.parametrize('head,form', HEADS)
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r', '\r\r\n'])
def test_the_column_is_found_by_what_is_in_it(head, form, end, tmp_path):
    path = written(tmp_path, f'{head}\n{lines(form)}\n'.replace('\n', end), 'list.csv')
    assert read_urls(path)==U and read_labelled(path)==BY_LABEL
    if head[0]!='#' and '|' not in head: assert read_urls(pd.read_csv(path, sep=None, engine='python', skipinitialspace=True))==U


@pytest.mark.parametrize('sign', [',', ';'])
def test_addresses_with_the_sign_of_the_table(sign, tmp_path):
    urls = [f'https://img.example/u={i}{sign}9&f=1' for i in range(6)]
    for head,form in (('url,label', '{u},{l}'), ('id,url', '{i},{u}'), ('label,url,n', '{l},{u},{i}')):
        head,form = head.replace(',', sign),form.replace(',', sign)
        assert read_urls(written(tmp_path, f'{head}\n{lines(form, urls)}'))==urls
        quoted = form.replace('{u}', '"{u}"')
        assert read_urls(written(tmp_path, f'{head}\n{lines(quoted, urls)}'))==urls
    assert read_labelled(written(tmp_path, f'url{sign}label\n'+lines('{u}%s{l}' % sign, urls)))==dict(bee=urls[::2], ant=urls[1::2])


def test_a_table_that_says_nothing_is_refused_with_its_columns(tmp_path):
    with pytest.raises(DataError, match='id, subset') as e: read_urls(written(tmp_path, 'id,subset\n1,train\n2,train'))
    assert 'column=' in e.value.next
    assert read_urls(written(tmp_path, 'id,subset\n1,train\n2,test'), column='id')==['1', '2']
    with pytest.raises(DataError, match='no column of labels'): read_labelled(written(tmp_path, lines('{i},{u}')))
    with pytest.raises(DataError, match='between quotation marks|fields'): read_urls(written(tmp_path, 'url,title\nhttps://e.org/1.jpg,a bee, asleep'))


def test_missing_addresses_do_not_hide_the_column(tmp_path):
    rows = [f'{i},{u if i%3 else ""},bee' for i,u in enumerate(U)]
    assert read_urls(written(tmp_path, 'id,where,label\n'+'\n'.join(rows)))==[u for i,u in enumerate(U) if i%3]


def test_lines_without_a_word_are_none(tmp_path):
    assert read_urls(written(tmp_path, '[\n'+lines(' "{u}",')+'\n]\n---\n'))==U
    assert read_labelled(written(tmp_path, '| url | label |\n|---|---|\n'+lines('| {u} | {l} |')))==BY_LABEL
    assert read_urls(written(tmp_path, '\n'.join(f'bees, no {i}.jpg' for i in range(3))))==[f'bees, no {i}.jpg' for i in range(3)]
    assert read_labelled(written(tmp_path, lines('{u},{l}', U[:2])))==dict(bee=U[:1], ant=U[1:2])


# JSON

RECORDS = [dict(id=i, where=u, label=l) for i,(u,l) in enumerate(zip(U, LABELS))]
JSON = dict(
    plain=U, records=RECORDS, one_a_line='\n'.join(map(json.dumps, RECORDS)), strings_a_line='\n'.join(map(json.dumps, U)), wrapped=dict(info=dict(year=2024), images=RECORDS),
    deep=dict(result=dict(data=dict(items=[dict(id=o['id'], src=dict(large=o['where']), label=o['label']) for o in RECORDS]))), columns=dict(url=U, label=LABELS), frame=dict(url=dict(enumerate(U)), label=dict(enumerate(LABELS))),
    classes=dict(bee=U[::2], ant=U[1::2]), by_address=dict(zip(U, LABELS)), lists_by_address={u:[l] for u,l in zip(U, LABELS)}, records_by_class=dict(bee=[dict(id=0, at=u) for u in U[::2]], ant=[dict(at=u) for u in U[1::2]]), mixed=[U[0], None, *RECORDS[1:]], rows=[[u, l] for u,l in zip(U, LABELS)], one_key=dict(urls=U), coco=dict(info=dict(url='https://coco.example'), licenses=[dict(url='https://cc.example/1'), dict(url='https://cc.example/2')], images=[dict(id=i, file_name=f'{i}.jpg', coco_url=u) for i,u in enumerate(U)], categories=[dict(id=1, name='bee')]))


@pytest.mark.parametrize('kind', JSON)
@pytest.mark.parametrize('name', ['list.json', 'list.txt'])
@pytest.mark.parametrize('indent', [None, 2])
def test_json(kind, name, indent, tmp_path):
    data = JSON[kind]
    if name=='list.txt' and kind=='strings_a_line': name = 'list.jsonl'
    path = written(tmp_path, data if isinstance(data, str) else json.dumps(data, indent=indent), name)
    assert sorted(read_urls(path))==U
    if kind in ('records', 'one_a_line', 'wrapped', 'deep', 'columns', 'frame', 'classes', 'by_address', 'rows', 'lists_by_address', 'records_by_class'): assert read_labelled(path)==BY_LABEL
    if kind in ('records', 'rows'): assert read_urls(data)==U


@pytest.mark.parametrize('text', ['["https://e.org/1.jpg",', '{}', '[]', '7', '[7, null]', 'null', '{"a":{"b":[]}}', '['*100_000, '{"a":'*100_000, '{"info":"none"}'])
def test_json_without_addresses_is_said(text, tmp_path):
    with pytest.raises(DataError): read_urls(written(tmp_path, text, 'list.json'))


# encodings

@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'cp1252', 'latin-1'])
@pytest.mark.parametrize('form', ['csv', 'json', 'txt'])
def test_encodings(encoding, form, tmp_path):
    urls = ['https://img.example/café-1.jpg', 'https://img.example/é,2', 'https://img.example/3.jpg']
    text = dict(csv='url;label\n'+'\n'.join(f'{u};abeille à miel' for u in urls), json=json.dumps(urls, ensure_ascii=False), txt='\n'.join(urls))[form]
    path = written(tmp_path, text, f'list.{form}', encoding)
    assert read_urls(path)==urls
    if form=='csv': assert read_labelled(path)=={'abeille à miel':urls}


def test_a_text_in_place_of_a_file():
    for text in ('\n'.join(U), '# mine\n'+'\n'.join(U), 'id;at\n'+lines('{i};{u}'), json.dumps(U, indent=1)): assert read_urls(text)==U


def test_a_number_with_a_sign_is_no_comment(tmp_path):
    assert read_labelled(written(tmp_path, 'url,label\n'+lines('{u},no. #{l}')))=={f'no. #{k}':v for k,v in BY_LABEL.items()}
    assert read_urls(written(tmp_path, '#1.jpg\n#2.jpg\n# 3.jpg\nmy cat #4.jpg'))==['#1.jpg', '#2.jpg', 'my cat #4.jpg']


def test_lines_of_two_encodings(tmp_path):
    assert read_urls(written(tmp_path, 'http://e.org/ä\n'.encode()+'http://e.org/ö€'.encode('cp1252')))==['http://e.org/ä', 'http://e.org/ö€']


# files of one's own

@pytest.fixture
def photos(tmp_path):
    "Three photos in a folder beside that of the list"
    folder = tmp_path/'my photos'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3): Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((200, 160), Image.Resampling.BICUBIC).save(folder/f'bée {i}.jpg')
    (tmp_path/'lists').mkdir()
    return sorted(folder.iterdir())


@pytest.mark.parametrize('shape', ['text', 'file', 'file_localhost', 'table', 'frame', 'list', 'paths', 'json', 'cp1252', 'nfd'])
def test_whole_paths_and_file_addresses(shape, photos, tmp_path):
    text = '\n'.join(map(str, photos))
    source = dict(text=text, file='\n'.join(o.as_uri() for o in photos), file_localhost='\n'.join(o.as_uri().replace('file://', 'file://localhost') for o in photos), cp1252=text, nfd=text,
                  table='id,where\n'+'\n'.join(f'{i},"{o}"' for i,o in enumerate(photos)), json=json.dumps(list(map(str, photos))), list=list(map(str, photos)), paths=photos, frame=pd.DataFrame(dict(id=range(3), where=list(map(str, photos)))))[shape]
    if isinstance(source, str): source = written(tmp_path/'lists', source, encoding='cp1252' if shape=='cp1252' else 'utf-8')
    with pytest.warns(UserWarning, match='3 pictures'): made = collect_urls(dict(bee=source), tmp_path/'set', min_ok=1, progress=False)
    assert made.counts['bee']=={'ok':3} and all(o.is_file() for o in photos)


def test_names_beside_the_list_need_no_word(photos, tmp_path):
    path = written(photos[0].parent, '\n'.join(o.name for o in photos))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert collect_urls(dict(bee=path), tmp_path/'set', min_ok=1, progress=False).counts['bee']=={'ok':3}


def test_names_in_another_form_of_unicode(photos, tmp_path):
    nfd = [unicodedata.normalize('NFD', o.name) for o in photos]
    assert collect_urls(dict(bee=nfd), tmp_path/'set', root=photos[0].parent, min_ok=1, progress=False).counts['bee']=={'ok':3}


def test_a_list_takes_nothing_but_pictures_from_elsewhere(photos, tmp_path):
    secret = tmp_path/'secret.txt'
    secret.write_text('secret')
    (tmp_path/'link.jpg').symlink_to(secret)
    (tmp_path/'folder.jpg').mkdir()
    for name in (secret, secret.as_uri(), tmp_path/'link.jpg', tmp_path/'folder.jpg', tmp_path/'none.jpg', f'{photos[0].parent}/../{photos[0].parent.name}/{photos[0].name}'):
        found = local_file(str(name), tmp_path/'lists')
        assert found is None or found.is_relative_to(tmp_path/'lists'), name


# lists of real kinds

def test_lists_of_real_kinds(shared):
    lists = shared/'url_lists'
    for name in ('.json', '_comments.txt', '_other_column.csv', '_semicolon.csv'): assert read_urls(lists/f'made_up_urls{name}')==[f'https://img.example/{i}.jpg' for i in range(12)]
    assert read_urls(lists/'made_up_urls_commas.txt')==[f'https://img.example/it/u={i},99&fm=15' for i in range(12)]
    assert {k:len(v) for k,v in read_labelled(lists/'made_up_urls_semicolon.csv').items()}==dict(bee=6, ant=6)


def test_two_whole_addresses_in_a_line_are_two(tmp_path):
    (tmp_path/'list.txt').write_text('https://e.org/1.jpg,https://e.org/2.jpg\nhttps://e.org/3.jpg\nhttps://e.org/x?from=https://e.org/4.jpg\n')
    assert read_urls(tmp_path/'list.txt')==['https://e.org/1.jpg', 'https://e.org/2.jpg', 'https://e.org/3.jpg', 'https://e.org/x?from=https://e.org/4.jpg']


LACKING = [{'url': U[0], 'label': 'bee'}, {'title': 'no address', 'label': 'bee'}, {'url': None, 'label': 'ant'}, {'url': U[1], 'label': 'ant'}]


@pytest.mark.parametrize('source', [LACKING, {"photos": LACKING}, pd.DataFrame(LACKING), json.dumps(LACKING, indent=1), "\n".join(map(json.dumps, LACKING))], ids=['records', 'inside', 'table', 'json', 'lines'])
def test_entries_without_an_address_are_counted(source, tmp_path):
    given = written(tmp_path, source, 'list.json') if isinstance(source, str) else source
    if isinstance(source, dict): given = written(tmp_path, json.dumps(source), 'list.json')
    with pytest.warns(UserWarning, match='^2 entries of the list have no address, and are left out.$'): assert read_urls(given)==U[:2]
    with pytest.warns(UserWarning, match='2 entries'): assert read_labelled(given)==dict(bee=U[:1], ant=U[1:2])


@pytest.mark.parametrize('source', [[U[0], '', U[1]], [U[0], None, U[1]], pd.Series([U[0], np.nan, U[1]]), f'url,label\n{U[0]},bee\n,ant\n{U[1]},ant'])
def test_one_entry_without_an_address(source):
    with pytest.warns(UserWarning, match='^1 entry of the list has no address, and is left out.$'): assert read_urls(source)==U[:2]
