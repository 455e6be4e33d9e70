"""Work of each kind, with results that are known."""

import io
import pickle

import numpy as np

# Linear algebra: LAPACK, which numpy opens as a library.
a = np.array([[3.0, 1.0], [1.0, 2.0]])
assert np.allclose(np.linalg.solve(a, [9.0, 8.0]), [2.0, 3.0])
assert round(float(np.linalg.det(a)), 9) == 5.0
print("solved")
u, s, v = np.linalg.svd(np.arange(12.0).reshape(4, 3), full_matrices=False)
assert np.allclose(u * s @ v, np.arange(12.0).reshape(4, 3))
values, vectors = np.linalg.eigh(a)
assert np.allclose(vectors @ np.diag(values) @ vectors.T, a)
print("decomposed")

wave = np.sin(2 * np.pi * 5 * np.arange(64) / 64)
assert int(np.argmax(np.abs(np.fft.rfft(wave)))) == 5
assert np.allclose(np.fft.ifft(np.fft.fft(wave)).real, wave)
print("transformed")

# The stream of a seeded generator is promised by numpy.
random = np.random.default_rng(1)
assert random.integers(0, 100, 3).tolist() == [47, 51, 75]
assert abs(float(random.normal(size=10_000).mean())) < 0.05
np.random.seed(1)
assert round(float(np.random.rand()), 6) == 0.417022
print("drawn")

np.save("/tmp/a.npy", a)
np.savez_compressed("/tmp/both.npz", a=a, wave=wave)
assert (np.load("/tmp/a.npy") == a).all()
with np.load("/tmp/both.npz") as both:
    assert (both["wave"] == wave).all()
print("kept")
mapped = np.lib.format.open_memmap("/tmp/a.npy", mode="r+")
mapped[0, 0] = 4.0
mapped.flush()
assert np.load("/tmp/a.npy")[0, 0] == 4.0
print("memory mapped")
assert (pickle.loads(pickle.dumps(a)) == a).all()
print("pickled")
text = io.StringIO()
np.savetxt(text, a, fmt="%.1f", delimiter=",")
assert (np.loadtxt(io.StringIO(text.getvalue()), delimiter=",") == a).all()
assert np.datetime64("2020-02-28") + 2 == np.datetime64("2020-03-01")
assert str(np.array(["é"])) == "['é']"
print("written down")
