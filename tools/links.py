"The links of the lessons: those inside the course must lead to a file and a heading; those outside are listed, and asked with --check."
import argparse, json, re, sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from first_cell import notebooks
from house import ROOT

_address = re.compile(r'https?://(?:\([^\s()]*\)|[^\s()<>"\'`\]}\\|,])+')
_link = re.compile(r'\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)')
FINE = (401, 403, 405, 429) # there, though not for programs


@lru_cache
def prose(path) -> str: # Markdown
    "What a page says, without its blocks of code"
    text = path.read_text(encoding='utf-8')
    if path.suffix=='.ipynb': text = '\n\n'.join(''.join(o['source']) for o in json.loads(text)['cells'] if o['cell_type']=='markdown')
    return re.sub(r'^```.*?^```$', '', text, flags=re.M|re.S)


def pages(root=ROOT) -> list: # Paths
    "What has links that a reader may follow"
    return [*notebooks(root), root/'nbs/index.ipynb', root/'README.md']


def anchors(path) -> set: # Such as 'learning-rate'
    "The names of a page's headings, as JupyterLab makes them"
    found = re.findall(r'^#+ (.+?)\s*$', prose(path), re.M)
    return {re.sub(r'[*`]', '', o).replace(' ', '-') for o in found}


def broken(
    path, # A notebook or a page of markdown
) -> list: # Targets
    "Links of a page to files and headings that are not there"
    bad = []
    for target in _link.findall(prose(path)):
        if re.match(r'[a-z]+:', target): continue
        file,_,anchor = target.partition('#')
        other = (path.parent/file).resolve() if file else path
        if not other.is_file() or (anchor and anchor not in anchors(other)): bad.append(target)
    return bad


def addresses(text) -> list: # In order
    "What a text links to outside"
    return [o.rstrip('.:;!?') for o in _address.findall(text)]


def outside(paths) -> dict: # Address -> the first page that links to it
    "All addresses outside of the course"
    found = {}
    for path in paths:
        for address in addresses(prose(path)): found.setdefault(address, path)
    return dict(sorted(found.items()))


def answer(address) -> str: # '' where all is well
    "What is wrong with an address"
    import httpx
    try: status = httpx.get(address, follow_redirects=True, timeout=30, headers={'User-Agent':'fastclass-links/1'}).status_code
    except httpx.HTTPError as e: return f'{type(e).__name__}: {e}'
    return '' if status<400 or status in FINE else f'status {status}'


def main(argv=None) -> int: # 0 when every link leads somewhere
    "List them, or ask them"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--check', action='store_true', help='ask every address, with the internet')
    p.add_argument('--report', type=Path, help='with --check: also write what is gone to this file')
    args = p.parse_args(argv)
    found = outside(pages())
    gone = [f'{o.relative_to(ROOT)}: {target}: no such file or heading' for o in pages() for target in broken(o)]
    if args.check:
        with ThreadPoolExecutor(8) as pool: said = list(pool.map(answer, found))
        gone += [f'{path.relative_to(ROOT)}: {address}: {what}' for (address,path),what in zip(found.items(), said) if what]
    else: print(*(f'{path.relative_to(ROOT)}: {address}' for address,path in found.items()), sep='\n')
    print(*gone, sep='\n')
    print(f'{len(found)} addresses outside, {len(gone)} links that lead nowhere')
    if args.report: args.report.write_text('\n'.join(f'- {o}' for o in gone)+'\n', encoding='utf-8')
    return 1 if gone else 0


if __name__ == '__main__': sys.exit(main())
