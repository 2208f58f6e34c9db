"""The stopwatch asks the model as it will be used."""

import numpy as np

from ferlib.model.timing import ms_per_face


def test_one_face_per_call_with_the_augmentation_that_was_asked_for():
    class Model:
        class_names, input_shape, calls = ("happy", "sad"), (40, 30, 1), []

        def predict(self, faces, tta="none"):
            self.calls.append((faces.shape, faces.dtype, tta))
            return np.full((len(faces), 2), 0.5)

    model = Model()
    assert 0 < ms_per_face(model, "ten", calls=5) < 1000
    assert model.calls == [((1, 40, 30), np.uint8, "ten")] * 15
