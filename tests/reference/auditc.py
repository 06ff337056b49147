"""Fourteen studies of the AUDIT-C questionnaire (Kriston et al. 2008): tp, fn, fp, tn of each."""

import numpy as np
import pandas as pd

TP = [47, 126, 19, 36, 130, 84, 68, 752, 59, 142, 137, 57, 34, 152]
FN = [9, 51, 10, 3, 19, 2, 0, 0, 5, 50, 24, 3, 1, 51]
FP = [101, 272, 12, 78, 211, 68, 112, 3226, 55, 571, 107, 103, 21, 88]
TN = [738, 1543, 192, 276, 959, 89, 423, 2977, 136, 2788, 358, 437, 56, 264]
FRAME = pd.DataFrame({"study": range(1, 15), "tp": TP, "fp": FP, "fn": FN, "tn": TN})
ALTERNATE = np.tile([0.0, 1.0], 7)
