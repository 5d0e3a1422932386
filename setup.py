"Reads everything from settings.ini, the one home of metadata and requirements."
import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

cfg = ConfigParser(delimiters=['='])
cfg.read(Path(__file__).parent/'settings.ini', encoding='utf-8')
cfg = cfg['DEFAULT']


def lines(key): return [o.strip() for o in cfg.get(key, '').splitlines() if o.strip()]


LESSONS = ('[0-9][0-9]_*.ipynb', 'quickstart.ipynb', 'glossary.ipynb', 'projects/*.ipynb', 'images/*') # as in fastclass/course/lessons.py


class WithLessons(build_py):
    "The lessons go into the wheel and the archive; an editable install reads nbs/ itself"
    def lessons(self): return [o for pattern in LESSONS for o in sorted(Path('nbs').glob(pattern)) if o.is_file()]
    def home(self): return Path(self.build_lib)/'fastclass/course/notebooks'
    def get_source_files(self): return [*super().get_source_files(), *(o.as_posix() for o in self.lessons())]
    def get_outputs(self, include_bytecode=True):
        own = [] if self.editable_mode else [str(self.home()/o.relative_to('nbs')) for o in self.lessons()]
        return [*super().get_outputs(include_bytecode), *own]

    def run(self):
        super().run()
        if self.editable_mode: return
        shutil.rmtree(self.home(), ignore_errors=True) # of an earlier build
        for o in self.lessons():
            to = self.home()/o.relative_to('nbs')
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(o, to)


setup(
    cmdclass={'build_py': WithLessons},
    name=cfg['dist_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=(Path(__file__).parent/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    keywords=cfg['keywords'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    license=cfg['license'],
    url=cfg['repository'],
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=[cfg['lib_name'], f"{cfg['lib_name']}.*"]),
    include_package_data=True,
    install_requires=lines('requirements'),
    extras_require={o.removesuffix('_requirements'): lines(o) for o in cfg if o.endswith('_requirements')},
    entry_points={'console_scripts': lines('console_scripts') + lines('dev_console_scripts'),
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    classifiers=['Intended Audience :: Education', 'Programming Language :: Python :: 3.11',
                 'Programming Language :: Python :: 3.12', 'Programming Language :: Python :: 3.13'],
    zip_safe=False,
)
