"""R's random numbers as R 1.6 made them: data sets that R's own test files draw and print.

`RNGversion("1.6.2"); set.seed(2)`: Marsaglia's multiply-with-carry generator seeded by a linear
congruential one; `rexp` by Ahrens and Dieter (1972); `sample` by rounding down.
"""

import math

_PART = [math.fsum(math.log(2) ** j / math.factorial(j) for j in range(1, k)) for k in range(2, 18)]
_UNIT = 2.328306437080797e-10
_MASK = 0xFFFFFFFF


class RandomOfR16:
    """One stream of R's random numbers."""

    def __init__(self, seed: int) -> None:
        for _ in range(50):
            seed = (69069 * seed + 1) & _MASK
        self._state = []
        for _ in range(2):
            seed = (69069 * seed + 1) & _MASK
            self._state.append(seed or 1)

    def uniform(self) -> float:
        """`runif(1)`."""
        high, low = self._state
        high = (36969 * (high & 0xFFFF) + (high >> 16)) & _MASK
        low = (18000 * (low & 0xFFFF) + (low >> 16)) & _MASK
        self._state = [high, low]
        value = (((high << 16) & _MASK) ^ (low & 0xFFFF)) * _UNIT
        return min(max(value, _UNIT / 2), 1 - _UNIT / 2)

    def exponential(self) -> float:
        """`rexp(1)`."""
        whole, u = 0.0, 2 * self.uniform()
        while u <= 1:
            whole, u = whole + _PART[0], 2 * u
        u -= 1
        if u <= _PART[0]:
            return whole + u
        least, place = self.uniform(), 0
        while True:
            least, place = min(least, self.uniform()), place + 1
            if u <= _PART[place]:
                return whole + least * _PART[0]

    def below(self, n: int) -> int:
        """One of `sample(0:(n - 1), replace = TRUE)`."""
        return math.floor(n * self.uniform())


def cmprsk_test_data() -> tuple[list[float], list[int], list[int], list[int]]:
    """Times, groups 0 to 2, causes 0 to 2 and strata 0 and 1 of cmprsk's tests/test.R."""
    stream = RandomOfR16(2)
    times = [stream.exponential() for _ in range(100)]
    return (times, *([stream.below(n) for _ in range(100)] for n in (3, 3, 2)))
