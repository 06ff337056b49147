"""Small published data sets, typed in or shipped with lifelines, and one weight for all."""

import numpy as np
import pandas as pd
from lifelines.datasets import load_rossi

# Freireich et al. (1963) Blood 21: weeks of remission, 6-mercaptopurine and placebo.
# R: MASS::gehan.
WEEKS_6MP = np.array(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float
)
RELAPSED_6MP = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
WEEKS_PLACEBO = np.array(
    [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], dtype=float
)
WEEKS = np.concatenate([WEEKS_6MP, WEEKS_PLACEBO])
RELAPSED = np.concatenate([RELAPSED_6MP, np.ones(21, dtype=bool)])
PLACEBO = np.repeat([0.0, 1.0], 21)


def rossi() -> pd.DataFrame:
    """Rossi et al. (1980): 432 released prisoners, weeks to arrest (lifelines ships it)."""
    return load_rossi()


def age_weight(age: pd.Series) -> np.ndarray:
    """An arbitrary weight; in R: w <- 0.5 + (age %% 7) / 4."""
    return 0.5 + (age.to_numpy(dtype=float) % 7) / 4
