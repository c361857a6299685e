"""From tokens back to the picture: where in the original each patch of a view looked."""

import numpy as np
from numpy.typing import NDArray

from isthmus.images.views import Box


def patch_boxes(view_box: Box, rows: int, columns: int) -> NDArray[np.float32]:
    """The boxes of a view's patches: [rows * columns, 4] float32 (left, top, right, bottom), row by row.

    In pixels of the original picture, like `view_box`, which they divide evenly.
    """
    x = np.linspace(view_box.left, view_box.right, columns + 1)
    y = np.linspace(view_box.top, view_box.bottom, rows + 1)
    boxes = np.empty((rows, columns, 4), np.float32)
    boxes[..., 0], boxes[..., 2] = x[:-1], x[1:]
    boxes[..., 1], boxes[..., 3] = y[:-1, None], y[1:, None]
    return boxes.reshape(-1, 4)
