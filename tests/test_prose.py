"What a reader of a lesson may rely on: short sentences, words that are explained, pictures that are described, links that lead somewhere, results that were measured."
import ast, json, re
from functools import lru_cache
from itertools import takewhile

import nbformat
import pytest

import first_cell, links
from house import ROOT
from make_readme import lessons

GLOSSARY = ROOT/'nbs/glossary.ipynb'
NOTEBOOKS = first_cell.notebooks()
MOST_WORDS = 30
of_each = pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
of_each_lesson = pytest.mark.parametrize('path', lessons(), ids=lambda path: path.stem)


@lru_cache
def cells(path): return nbformat.read(path, 4).cells
def markdown(path): return [cell.source for cell in cells(path) if cell.cell_type=='markdown']
def code(path): return [cell.source for cell in cells(path) if cell.cell_type=='code']
def none(found, what): assert not found, f'{what}:\n' + '\n'.join(map(str, found))


# ---- sentences

def without_code(text):
    "Markdown without blocks of code, tables and the addresses of links"
    text = re.sub(r'^```.*?^```$', '', text, flags=re.M|re.S)
    text = re.sub(r'^[|>!].*$|^\*\*Time:\*\*.*?· ', '', text, flags=re.M)
    text = re.sub(r'!\[[^\]]*\]\([^)]*\)', '', text)
    return re.sub(r'\]\([^)]*\)', ']', text)


def paragraphs(text):
    "Paragraphs, points of a list and headings, each by itself"
    parts = re.split(r'\n\s*\n|\n(?=[ ]*(?:[-*] |\d+\. |#+ |</?\w))|(?<=\n)(?=#)', without_code(text))
    return [part.strip() for part in parts if part.strip()]


def sentences(text):
    "The sentences of a paragraph; what stands in backticks is never taken apart"
    kept = []
    def put_aside(found):
        kept.append(found[0])
        return f'\0{len(kept)-1}\0'
    plain = re.sub(r'`[^`]*`|\]\([^)]*\)', put_aside, ' '.join(text.split()))
    ends = r'([.?!][*)"]*|:) +(?=[*("\[]*[A-Z])|([.?!][*)"]*) +(?=[*("]*(?:[\[\0\d]|fast))' # a colon before a capital
    parts = re.sub(ends, r'\1\2\n', plain).splitlines()
    return [re.sub(r'\0(\d+)\0', lambda found: kept[int(found[1])], part) for part in parts]


def sentences_of(text):
    "Each sentence of a markdown cell with the marks behind it, such as <!-- claim 3.a -->"
    for paragraph in paragraphs(text):
        if paragraph.startswith('#'): continue
        together = re.sub(r'([.?!:][*)"]*)\s*((?:<!--.*?-->\s*)+)', r' \2\1 ', paragraph, flags=re.S)
        yield from sentences(re.sub(r'^(?:[-*]|\d+\.) ', '', together))


def words(sentence):
    "Words as they are read aloud; code in backticks is one"
    plain = re.sub(r'<!--.*?-->|<[^>]*>', '', re.sub(r'`[^`]*`', 'code', sentence))
    return re.findall(r"\w[\w'’./,+-]*", plain)


def long_sentences(path):
    return [f'{len(words(o))} words: {o}' for text in markdown(path) for o in sentences_of(text) if len(words(o))>MOST_WORDS]


@of_each
def test_a_sentence_has_at_most_thirty_words(path): none(long_sentences(path), 'say it in two sentences')


# ---- abbreviations

@lru_cache
def glossary():
    "The words of the glossary: its headings of the third level"
    return set(re.findall(r'^### (.+)$', '\n'.join(markdown(GLOSSARY)), re.M))


NO_WORDS = re.compile(r'`[^`]*`|"[^"]*"|<[^>]*>') # code, what is quoted, tags


def abbreviations(path):
    "Each word of capitals in the prose, such as IoU or GPUs -> the text of the cell where it stands first"
    found = {}
    for text in markdown(path):
        for sentence in sentences_of(text):
            for word in re.findall(r"(?<![\w/.#'-])(?:[A-Z]{2}[A-Z\d]*|IoU|NaN)(?=s?\b)(?!\w*[/'])", NO_WORDS.sub('', sentence)):
                found.setdefault(word, text)
    return found


def is_explained(word, text):
    "Is it spelled out there? `support vector machine (SVM)`, `SVM (support vector machine)`, `SVM is for support vector machine`"
    return bool(re.search(rf'[(\s]{word}\)|\b{word}\**(?:,? (?:is|are|means|stands))? (?:\(|the |an? |for )|\*\*{word}\*\*, ', text))


def unexplained(path):
    known = {word.removesuffix('s') for word in glossary()}
    return [f'{word}: {text[:80]}' for word,text in abbreviations(path).items() if word not in known and not is_explained(word, text)]


@of_each
def test_abbreviations_are_spelled_out_or_in_the_glossary(path): none(unexplained(path), 'spell it out where it first comes')


def entries():
    "Word of the glossary -> what stands below it"
    text = '\n'.join(markdown(GLOSSARY)).partition('\n## What is often believed')[0]
    parts = re.split(r'^### (.+)$', text, flags=re.M)
    return {word: re.sub(r'^## .+$', '', said, flags=re.M).strip() for word,said in zip(parts[1::2], parts[2::2])}


def test_the_glossary_is_in_order_and_short():
    words_of_it = list(entries())
    assert len(words_of_it)>=60 and words_of_it==sorted(words_of_it, key=str.lower)
    none([word for word,said in entries().items() if not 2<=len(list(sentences_of(said)))<=3], 'one or two sentences, and where it comes first')


@pytest.mark.parametrize('word', entries())
def test_a_word_of_the_glossary_comes_in_the_lesson_that_it_names(word):
    found = re.search(r' First in \[lesson (\d+)\]\((\S+)\)\.$', entries()[word])
    assert found and int(found[2][:2])==int(found[1])
    lesson = '\n'.join(cell.source for cell in cells(ROOT/'nbs'/found[2]))
    assert word[:5].lower() in lesson.lower()


@of_each_lesson
def test_a_lesson_links_to_the_glossary(path): assert '(glossary.ipynb' in '\n'.join(markdown(path))


# ---- parts of a lesson

def headings(path):
    text = '\n'.join(re.sub(r'^```.*?^```$', '', o, flags=re.M|re.S) for o in markdown(path))
    return re.findall(r'^(#{1,6}) (.+)$', text, re.M)


@of_each_lesson
def test_a_lesson_has_objectives_a_summary_and_a_turn(path):
    names = [name for level,name in headings(path) if level=='##']
    assert '**After it you can**' in markdown(path)[0]
    assert {'Summary', 'Your turn'} <= set(names) and names.index('Summary')<names.index('Your turn')


def jumps(path):
    levels = [len(level) for level,_ in headings(path)]
    return [f'{a} to {b}: {name}' for a,b,(_,name) in zip(levels, levels[1:], headings(path)[1:]) if b>a+1 or b==1]


@of_each
def test_headings_are_in_order(path): none(jumps(path), 'a level of headings is left out')


# ---- pictures

def shows_picture(cell): return any(name.startswith('image/') for o in cell.get('outputs', []) for name in o.get('data', {}))
def is_folded(cell): return bool(cell.metadata.get('jupyter', {}).get('source_hidden'))
def first_paragraph(text): return re.split(r'\n\s*\n', text.strip())[0]
def last_paragraph(text): return re.split(r'\n\s*\n', text.strip())[-1]
def is_caption(paragraph): return bool(re.fullmatch(r'\*[^*\s].{15,}\*(?:\s*<!--.*?-->)*', paragraph.strip(), re.S))


def has_text(path, i):
    "Does cell `i` say what its picture shows: in a comment for screen readers, or in a caption above or below?"
    if re.search(r"""^#\|\s*fig-alt:.{15,}$|\balt=f?['"].{15,}""", cells(path)[i].source, re.M): return True
    above = cells(path)[i-1]
    below = next((o for o in cells(path)[i+1:] if o.cell_type=='markdown'), above)
    return any(o.cell_type=='markdown' and is_caption(part(o.source)) for o,part in ((above, last_paragraph), (below, first_paragraph)))


def html_of(cell): return '\n'.join(''.join(o.get('data', {}).get('text/html', '')) for o in cell.get('outputs', []))
def bare_tags(path): return [tag[:80] for cell in cells(path) for tag in re.findall(r'<img\b[^>]*>', html_of(cell)) if not re.search(r'\balt="[^"]{15,}"', tag)]
def bare_pictures(path): return [cell.source[:150] for i,cell in enumerate(cells(path)) if shows_picture(cell) and not has_text(path, i)]
def without_alt(path): return [found[0] for text in markdown(path) for found in re.finditer(r'!\[([^\]]*)\]\([^)]+\)', text) if len(found[1])<15]


@of_each
def test_pictures_are_described(path):
    none(without_alt(path), 'a text in the brackets says what it shows')
    none(bare_tags(path), 'pictures on a page without alt="what it shows"')
    none(bare_pictures(path), 'pictures without an italic line above or below, and without "#| fig-alt: what it shows"')


SHEETS = {'contact_sheet', 'picture_grid', 'show_grid'} # with the parameters `side` and `columns`


def small_sheets(path):
    "Calls that make pictures of fewer than 96 pixels, or a row that a screen of 1000 pixels makes smaller"
    for node in nodes(path):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in SHEETS: continue
        given = {o.arg: o.value.value for o in node.keywords if isinstance(o.value, ast.Constant)}
        side,columns = given.get('side', 96),given.get('columns', 8)
        if side<96 or side*columns>1000: yield ast.unparse(node)


@of_each
def test_pictures_of_a_sheet_can_be_seen(path): none(list(small_sheets(path)), 'at least 96 pixels a picture, at most 1000 a row')


# ---- links

@of_each
def test_links_inside_the_course_lead_somewhere(path): none(links.broken(path), 'no such file or heading')


def test_links_outside_are_found():
    found = links.outside(links.pages())
    assert len(found)>10 and all(address.startswith('https://') for address in found), found


@pytest.mark.parametrize('text,address', [('[a](https://x.org/b_(c)).', 'https://x.org/b_(c)'), ('See https://x.org/a.', 'https://x.org/a'),
                                          ('![a](https://x.org/p.png)', 'https://x.org/p.png'), ('<https://x.org>', 'https://x.org')])
def test_an_address_ends_where_it_ends(text, address): assert links.addresses(text)==[address]


# ---- results

NUMBER = r'(?:\d[\d.,]*|two|three|four|five|six|seven|eight|nine|ten|twenty|hundred|thousand)'
RESULT = re.compile(rf'\d ?%|\b{NUMBER} seconds\b|(?<!at least )\b{NUMBER} times (?:as|the|more|less|fewer|faster|slower|better|worse)\b', re.I)
MEASURES = re.compile(r'\baccura|\berror|\bloss\b|\blosses\b|\bIoU\b', re.I)
MARK = re.compile(r'<!-- (claim \d+\.[a-z]|given|receipt [\w-]+) -->')
NO_RESULT = re.compile(r'95% interval|100%|`[^`]*`|<!--.*?-->') # the usual interval, "all", code


def is_result(sentence):
    "Does it state a measured number?"
    plain = NO_RESULT.sub('', sentence)
    if plain.rstrip('*_) ').endswith('?') or 'It is often believed' in plain: return False # asked, or refuted further down
    return bool(RESULT.search(plain) or (re.search(r'\d\.\d', plain) and MEASURES.search(plain)))


def taught(path):
    "The prose of a notebook, without the exercises, whose numbers are part of the question"
    return '\n\n'.join(markdown(path)).partition('\n## Your turn')[0]


def unmarked(path): return [o for o in sentences_of(taught(path)) if is_result(o) and not MARK.search(o)]


def wrong_marks(path):
    "Marks that say nothing, or of what is not there"
    text = '\n'.join(code(path))
    for mark in re.findall(r'<!--(.*?)-->', '\n'.join(markdown(path)), re.S):
        kind,_,name = mark.strip().partition(' ')
        if kind=='claim' and not re.search(rf"""claim\(['"]{re.escape(name)}['"]""", text): yield f'{mark}: no cell claims it'
        elif kind=='receipt' and not (ROOT/f'benchmarks/{name}.json').is_file(): yield f'{mark}: no benchmarks/{name}.json'
        elif kind not in ('claim', 'receipt') and mark.strip()!='given': yield f'{mark}: what is it?'


@of_each
def test_results_in_prose_were_measured(path):
    none(unmarked(path), 'let a cell print the number, or write <!-- claim 3.a -->, <!-- receipt NAME --> or <!-- given --> behind it')
    none(list(wrong_marks(path)), 'marks')


@pytest.mark.parametrize('sentence,result', [
    ('Squish loses 3% less.', True), ('It is 3.4 times as fast.', True), ('It takes 20 seconds.', True), ('The error is 0.000 and wrong.', True),
    ('The 95% interval is wide.', False), ('What is 80% sure?', False), ('Python 3.11 runs it.', False), ('`loss<0.5` stops it.', False),
    ('Look at it ten times.', False), ('It is often believed that 40 pictures measure 1%.', False), ('It costs ten times the time.', True), ('At all times it loses.', False)])
def test_a_result_is_recognised(sentence, result): assert is_result(sentence)==result


# ---- code of lessons

LOOPS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
EFFECTS = {'add', 'append', 'extend', 'mkdir', 'pop', 'remove', 'save', 'setdefault', 'unlink', 'update', 'write_bytes', 'write_text'}


def shown_code(path):
    "Code that a reader meets: not folded, and no part of the library"
    return [cell.source for cell in cells(path) if cell.cell_type=='code' and not is_folded(cell) and not re.search(r'^#\|\s*export', cell.source, re.M)]


def nodes(path):
    for source in shown_code(path):
        plain = re.sub(r'^\s*[%!].*$', 'pass', source, flags=re.M)
        yield from ast.walk(ast.parse(plain))


def is_nested(node):
    "A comprehension in another, or with two loops"
    if not isinstance(node, LOOPS): return False
    return len(node.generators)>1 or any(isinstance(o, LOOPS) for o in ast.walk(node) if o is not node)


def calls(node): return {o.func.attr for o in ast.walk(node) if isinstance(o, ast.Call) and isinstance(o.func, ast.Attribute)}


def is_for_its_effect(node):
    "`a or b` where something is done on the way"
    if isinstance(node, ast.Expr): return isinstance(node.value, ast.BoolOp)
    return isinstance(node, ast.BoolOp) and bool(calls(node) & EFFECTS)


@of_each
def test_a_line_of_a_lesson_can_be_read_aloud(path):
    none([ast.unparse(o) for o in nodes(path) if is_nested(o)], 'a comprehension in another: write a loop, or name the inner one')
    none([ast.unparse(o) for o in nodes(path) if is_for_its_effect(o)], '"or" and "and" that do something: write an if')
