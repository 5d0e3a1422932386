"Is a figure of a notebook large enough to be read without zooming? run_notebooks --strict has each kernel look at the figures that it shows."
import sys
from contextlib import contextmanager

COLUMN = 1000 # pixels of the screen that a notebook gives a picture; a wider one is made smaller
SMALLEST_TEXT = 8     # points, as shown
SMALLEST_PICTURE = 96 # pixels of the longer side in a sheet of pictures, as shown
A_SHEET = 4    # so many pictures in a figure are a sheet
A_PICTURE = 24 # pixels of the longer side; what has fewer is a matrix or a filter


@contextmanager
def texts_drawn(): # A list that is filled
    "The texts that are drawn in the block; those of a hidden axis are not"
    from matplotlib.text import Text
    drawn,draw = [],Text.draw

    def remember(self, *args, **kwargs):
        if self.get_visible() and self.get_text().strip(): drawn.append(self)
        return draw(self, *args, **kwargs)
    Text.draw = remember
    try: yield drawn
    finally: Text.draw = draw


def scale(fig) -> float: # At most 1
    "How much smaller a figure is shown"
    return min(1, COLUMN/(fig.get_figwidth()*fig.dpi))


def small_texts(fig, drawn) -> list: # Such as '7.3 pt: step 4'
    "Texts that are too small where a figure is shown: a screen has 96 pixels an inch"
    sizes = {o.get_text(): o.get_fontsize()*fig.dpi/96*scale(fig) for o in drawn}
    return [f'{size:.1f} pt: {text!r}' for text,size in sizes.items() if size<SMALLEST_TEXT-.05]


def small_pictures(fig) -> list: # Such as '84 pixels'
    "Pictures of a sheet that are too small where it is shown"
    axes = [o for o in fig.axes if any(im.get_visible() and max(im.get_array().shape[:2])>=A_PICTURE for im in o.images)]
    if len(axes)<A_SHEET: return []
    boxes = [o.get_window_extent() for o in axes]
    sizes = [max(box.width, box.height)*scale(fig) for box in boxes]
    return [f'a picture of {size:.0f} pixels' for size in sizes if size<SMALLEST_PICTURE-1]


def watch():
    "From now on, say on stderr what is too small in a figure that this kernel shows"
    from IPython.core import pylabtools
    show = pylabtools.print_figure

    def look(fig, *args, **kwargs):
        with texts_drawn() as drawn: shown = show(fig, *args, **kwargs)
        small = [*small_texts(fig, drawn), *small_pictures(fig)[:1]]
        if small and shown: print('Too small to read:', '; '.join(small[:5]), file=sys.stderr)
        return shown
    pylabtools.print_figure = look
