"How much stands in a line? Syntax nodes a code line of each module of the library, and their median."
import argparse, ast, statistics, sys

from house import ROOT

LEAST = 20 # modules with fewer code lines than this do not count


def density(path) -> tuple: # Syntax nodes a code line, and the number of code lines
    "All nodes of `ast.walk` over a module, divided by its lines that are neither blank nor comment"
    text = path.read_text(encoding='utf-8')
    lines = [o for o in text.splitlines() if o.strip() and not o.strip().startswith('#')]
    nodes = sum(1 for _ in ast.walk(ast.parse(text)))
    return nodes/max(1, len(lines)), len(lines)


def modules(root=ROOT) -> dict: # Path below the library to what `density` gives
    "The modules of the library that are large enough to say something"
    paths = [o for o in sorted((root/'fastclass').rglob('*.py')) if not o.name.startswith('_')]
    found = {o.relative_to(root/'fastclass').as_posix():density(o) for o in paths}
    return {name:o for name,o in found.items() if o[1]>LEAST}


def median(root=ROOT) -> float:
    "The median over the modules"
    return statistics.median(o for o,_ in modules(root).values())


def main(argv=None) -> int:
    "Print the densest first"
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--most', type=int, default=15, help='how many modules to show')
    most = p.parse_args(argv).most
    densest = sorted(modules().items(), key=lambda o: -o[1][0])
    for name,(nodes,lines) in densest[:most]:
        print(f'{nodes:5.1f} in each of {lines:4d} lines  {name}')
    print(f'{median():5.1f} median of {len(densest)} modules')
    return 0


if __name__ == '__main__': sys.exit(main())
