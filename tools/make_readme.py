"Make README.md from nbs/index.ipynb and the first cell of each lesson, and the table of lessons in both. With --check nothing is written: exit 1 where one is out of date."
import argparse, base64, json, re, sys
from pathlib import Path

import nbformat

from house import ROOT, settings

PICTURE = Path('nbs/images/index.jpg') # the first picture of index.ipynb, as a file that the README can show
MAX_PICTURE = 120_000                  # bytes
INDEX = Path('nbs/index.ipynb')
LESSONS = '<!-- lessons -->'           # what follows it in its cell of index.ipynb is the table of lessons
RAN = '<!-- receipts -->'              # and what follows this, to the table of what ran where
RECEIPTS = Path('fastclass/course/receipts.json') # as tools/platform_run.py writes it

_facts = re.compile(r'^\*\*Time:\*\* (?P<read>\d+) minutes to read, (?P<minutes>\d+) to run on a CPU · '
                    r'\*\*After it you can\*\* (?P<can>.+?)(?:\n\s*\n|\Z)', re.M|re.S)
_link = re.compile(r'(!?\[[^\]]*\]\()([^)\s]+)(\))')


def lesson_facts(
    nb, # A notebook as nbformat reads it
) -> dict: # `title`, `summary`, `read` and `minutes` (to run), `can`; a key is missing where the cell does not say it
    "What the first cell of a notebook says: `# title`, `> summary`, `**Time:** 20 minutes to read, 2 to run on a CPU · **After it you can** ...`"
    src = nb.cells[0].source if nb.cells and nb.cells[0].cell_type=='markdown' else ''
    facts = {}
    if m := re.search(r'^# (.+)$', src, re.M): facts['title'] = m[1].strip()
    if m := re.search(r'^> (.+)$', src, re.M): facts['summary'] = m[1].strip()
    if m := _facts.search(src): facts |= {'read':int(m['read']), 'minutes':int(m['minutes']), 'can':' '.join(m['can'].split())}
    return facts


def lessons(root=ROOT) -> list: # Paths of the notebooks
    "The lessons, in order"
    return sorted((root/'nbs').glob('[0-9][0-9]_*.ipynb'))


def badges(
    path,   # A notebook, relative to the root
    config, # The settings, with `repository` and `branch`
) -> str: # Markdown
    "Badges that open a notebook in Colab and in Kaggle"
    repo,branch = config['repository'].rstrip('/'),config['branch']
    owner = repo.removeprefix('https://github.com/')
    if owner==repo: raise SystemExit(f'The repository in settings.ini is {repo}: Colab and Kaggle open notebooks from https://github.com/ only.')
    colab = f'https://colab.research.google.com/github/{owner}/blob/{branch}/{path}'
    kaggle = f'https://kaggle.com/kernels/welcome?src={repo}/blob/{branch}/{path}'
    return (f'[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) '
            f'[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]({kaggle})')


def rows_of(root) -> list: # `(path, first four columns)` of each lesson
    "One row a lesson: what you can do after it, and how long it takes"
    found = []
    for p in lessons(root):
        f = lesson_facts(nbformat.read(p, 4))
        missing = [k for k in ('title','summary','read','minutes','can') if k not in f]
        if missing: raise SystemExit(f'{p.name}: its first cell does not say {", ".join(missing)}. It needs "# title", "> one sentence" '
                                     'and "**Time:** 20 minutes to read, 2 to run on a CPU · **After it you can** do this."')
        found.append((p, f['title'], f"{f['read']} | {f['minutes']} | {f['can'].rstrip('.')}"))
    return found


def lesson_table(root, config) -> str: # Markdown
    "The table of the README, with badges"
    rows = ['| Lesson | Minutes to read | To run on a CPU | After it you can | Open it in |', '|---|---|---|---|---|']
    for p,title,more in rows_of(root):
        rel = p.relative_to(root).as_posix()
        rows.append(f'| [{title}]({rel}) | {more} | {badges(rel, config)} |')
    return '\n'.join(rows)


def indexed(root) -> str: # The text of index.ipynb
    "The notebook with the table of lessons as it should be: a link leads to the notebook beside it"
    text = (Path(root)/INDEX).read_text(encoding='utf-8')
    nb = json.loads(text)
    table = '\n'.join(['| Lesson | Minutes to read | To run on a CPU | After it you can |', '|---|---|---|---|',
                       *(f'| [{title}]({p.name}) | {more} |' for p,title,more in rows_of(root))])
    marked = [c for c in nb['cells'] if c['cell_type']=='markdown' and LESSONS in ''.join(c['source'])]
    for c in marked:
        before = ''.join(c['source']).partition(LESSONS)[0]
        c['source'] = f'{before}{LESSONS}\n\n{table}'.splitlines(keepends=True)
    return json.dumps(nb, sort_keys=True, indent=1, ensure_ascii=False)+'\n' if marked else text


def receipt_table(root, config) -> str: # Markdown
    "One row a notebook and machine: what really ran, on what, how long, and what it measured. Dates and no ages: this text must not change by itself"
    kept = json.loads((root/RECEIPTS).read_text(encoding='utf-8')) if (root/RECEIPTS).is_file() else []
    if not kept: return 'No run is on record.'
    def numbers(r): return '; '.join(f'{k} {v:.3g}' for k,v in r['metrics'].items())
    def made(r): return ', '.join(f"{o} {r['versions'][o]}" for o in ('python', 'fastai', 'torch') if o in r['versions'])
    rows = ['| Notebook | Where | On | Minutes | Measured | Versions | Date |', '|---|---|---|---|---|---|---|']
    rows += [f"| [{r['title']}](nbs/{r['notebook']}.ipynb) | {r['platform']} | {r['device']} | {r['minutes']:.1f} | {numbers(r)} | {made(r)} | {r['date']} |"
             for r in kept if (root/f"nbs/{r['notebook']}.ipynb").is_file()]
    return '\n'.join(rows)


TABLES = {LESSONS:lesson_table, RAN:receipt_table}


def fix_links(
    text, # Markdown of a notebook in nbs/
    root, # The root of the project
) -> str: # The same for a page in the root
    "Links relative to nbs/ made relative to the root; a link to what is not there stops the tool"
    def fix(m):
        url,_,anchor = m[2].partition('#')
        if not url or re.match(r'[a-z]+:', url): return m[0]
        target = (root/'nbs'/url).resolve()
        if not target.exists(): raise SystemExit(f'index.ipynb links to {url}, which is not there.')
        return f"{m[1]}{target.relative_to(root.resolve()).as_posix()}{'#'+anchor if anchor else ''}{m[3]}"
    parts = re.split(r'(^```.*?^```$)', text, flags=re.M|re.S) # code is left as it is
    return ''.join(o if i%2 else _link.sub(fix, o) for i,o in enumerate(parts))


def _directives(src): return dict(re.findall(r'^#\|\s*([\w-]+):?[ \t]*(.*)$', src, re.M))


def _picture(output): # The bytes of a picture, or None
    data = output.get('data', {})
    if 'image/png' in data: raise SystemExit('The picture in index.ipynb is a PNG. Show it as a JPEG: it is far smaller.')
    return base64.b64decode(data['image/jpeg']) if 'image/jpeg' in data else None


def _text(output): # What an output says in words
    if output.output_type=='stream': return output.text if output.name=='stdout' else ''
    data = output.get('data', {})
    return '' if set(data)&{'text/html','image/jpeg'} else data.get('text/plain', '')


def render(root=ROOT, config=None) -> tuple: # The text of README.md, and the bytes of its picture or None
    "The README as it should be"
    config,root = config or settings(),Path(root)
    out,picture = [],None
    for c in nbformat.read(root/INDEX, 4).cells:
        if c.cell_type=='markdown':
            mark = next((o for o in TABLES if o in c.source), None)
            out += [fix_links(c.source.partition(mark)[0] if mark else c.source, root), TABLES[mark](root, config) if mark else '']
        if c.cell_type!='code' or 'hide' in (d := _directives(c.source)): continue
        code = '\n'.join(o for o in c.source.splitlines() if not o.startswith('#|')).strip()
        if code and d.get('echo')!='false': out.append(f'```python\n{code}\n```')
        text = ''.join(map(_text, c.outputs)).strip()
        if text: out.append(f'```\n{text}\n```')
        shown = next(filter(None, map(_picture, c.outputs)), None)
        if shown and picture is None:
            if not d.get('fig-alt'): raise SystemExit('The picture in index.ipynb needs a text: "#| fig-alt: what it shows" in its cell.')
            if len(shown)>MAX_PICTURE: raise SystemExit(f'The picture in index.ipynb has {len(shown)//1000} KB: over {MAX_PICTURE//1000} KB is too much for a README.')
            picture = shown
            out.append(f"![{d['fig-alt'].strip()}]({PICTURE.as_posix()})")
    made = '<!-- Made from nbs/index.ipynb by tools/make_readme.py: change that, not this. -->'
    return '\n\n'.join([made, *(o.strip() for o in out if o.strip())])+'\n', picture


def stale(root=ROOT) -> list: # Names of files that are not as they should be
    "What `make` would change"
    text,picture = render(root)
    index = Path(root)/INDEX
    is_stale = {'README.md': not (root/'README.md').is_file() or (root/'README.md').read_text(encoding='utf-8')!=text,
                INDEX.as_posix(): index.read_text(encoding='utf-8')!=indexed(root),
                PICTURE.as_posix(): picture!=((root/PICTURE).read_bytes() if (root/PICTURE).is_file() else None)}
    return [k for k,v in is_stale.items() if v]


def make(root=ROOT) -> None:
    "Write README.md and its picture, and the table of lessons in index.ipynb"
    (root/INDEX).write_text(indexed(root), encoding='utf-8')
    text,picture = render(root)
    (root/'README.md').write_text(text, encoding='utf-8')
    if picture:
        (root/PICTURE).parent.mkdir(exist_ok=True)
        (root/PICTURE).write_bytes(picture)
    else: (root/PICTURE).unlink(missing_ok=True)


def main(argv=None) -> int: # 0 when README.md is, or now is, as it should be
    "Make it, or check it"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--check', action='store_true', help='write nothing; exit 1 where README.md is out of date')
    if not p.parse_args(argv).check: make()
    elif names := stale():
        print(f'out of date: {", ".join(names)}. Run: python tools/make_readme.py')
        return 1
    print('README.md is as nbs/index.ipynb says')
    return 0


if __name__ == '__main__': sys.exit(main())
