"""How fast ours learns: seconds of training until happy against neutral is read as well as system A's tables say.

    python tests/tools/bench_train.py --data fer2013.csv.gz --votes fer2013new.csv [--whole]

Both networks learn from all happy and neutral Training rows; PublicTest's happy and neutral rows are
read again and again (the mean of each face and its mirror image, for both), whose time does not count. A with
A's settings: SGD 0.01 with Nesterov's momentum, batches of 128, 200 of them an epoch, float32. Ours is
the recipe `quick-pair`, half of whose targets are FER+'s votes on the same rows. Asked for: 90.7 % in at most
a fifth of A's seconds; where A has not got there after 60 epochs, those 60 count. A is stopped after five
times our seconds, when that is decided; `--whole` lets it go on to its 60 epochs, an hour and more. Nothing
here is a test.
"""

import argparse
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from ferlib.common.backend import import_keras
from ferlib.common.labels import map_labels
from ferlib.dataset import build, ferplus
from ferlib.train.augment import AUGMENTATIONS, training_batches
from ferlib.train.fit import build_compiled_model, one_hot
from ferlib.train.recipes import RECIPES, get_recipe

GOAL = 0.907
CLASSES = ("happy", "neutral")
LONGEST = 60
"""Epochs after which A's time counts although it has not got there."""


class StopNow(Exception):
    """The goal is reached, or the time is up."""


@contextmanager
def averaged_weights(model, there: bool):
    """The model with the running mean of its weights, where its optimizer keeps one."""
    if not there:
        yield
        return
    trained = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    yield
    for variable, values in zip(model.trainable_variables, trained, strict=True):
        variable.assign(values)


def seconds_to_goal(settings, rows, votes, every: int, limit: float) -> tuple[float, float, int]:
    """(training seconds, best accuracy, batches) until GOAL or the end; the accuracy is read after `every` batches."""
    keras = import_keras()  # quietly, before TensorFlow's own import would speak
    import tensorflow as tf

    learn, judge = rows.part("Training"), rows.part("PublicTest")
    steps = settings.steps_per_epoch or len(learn) // settings.batch_size
    model = build_compiled_model(settings, len(CLASSES), steps)
    faces = tf.constant(judge.pixels[..., None], tf.float32)
    forward = tf.function(lambda x: model(x, training=False))
    forward(faces[:256])  # compiled before the clock runs

    class Watch(keras.callbacks.Callback):
        """The clock stands still while the accuracy is read."""

        seconds, best, batches = 0.0, 0.0, 0

        def on_train_begin(self, logs=None):
            self.started = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            if self.batches % every and self.batches < steps * settings.epochs:
                return
            self.seconds += time.perf_counter() - self.started
            with averaged_weights(model, settings.ema):
                averaged = [
                    forward(part) + forward(part[:, :, ::-1])
                    for part in (faces[k : k + 256] for k in range(0, len(faces), 256))
                ]
            right = float((np.concatenate(averaged).argmax(axis=1) == judge.labels).mean())
            self.best = max(self.best, right)
            print(f"  {self.batches:6} batches {self.seconds:7.1f} s  {right:.2%}", flush=True)
            if right >= GOAL or self.seconds > limit:
                raise StopNow  # Keras' own `stop_training` is read at the end of an epoch only
            self.started = time.perf_counter()

    watch = Watch()
    targets = one_hot(learn.labels, len(CLASSES))
    if settings.vote_weight:
        shares = ferplus.label_shares(votes[rows.usage == "Training"], learn.labels, len(CLASSES))
        targets = ((1 - settings.vote_weight) * targets + settings.vote_weight * shares).astype(np.float32)
    batches = training_batches(
        learn.pixels,
        targets,
        settings.batch_size,
        AUGMENTATIONS[settings.augmentation],
        settings.seed,
        epochs=-(-settings.epochs * steps // (len(learn) // settings.batch_size)),
    )
    with suppress(StopNow):
        model.fit(
            batches,
            steps_per_epoch=steps,
            epochs=settings.epochs,
            callbacks=[watch],
            shuffle=False,
            verbose=0,
        )
    return watch.seconds, watch.best, watch.batches


def main() -> None:
    """Print both times and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a FER2013 CSV with Training and PublicTest")
    parser.add_argument("--votes", type=Path, required=True, help="FER+'s fer2013new.csv")
    parser.add_argument("--whole", action="store_true", help="let A go on to its 60 epochs")
    options = parser.parse_args()
    rows = build.read_fer2013(options.data)
    votes = ferplus.read_votes(options.votes, rows)
    pair = map_labels(rows.labels, rows.class_names, CLASSES) >= 0
    rows, votes = rows.with_classes(CLASSES), votes[pair]
    taken, end = {}, {}
    for name, settings, every in (
        ("ours", get_recipe("quick-pair", vote_weight=0.5), 100),
        ("A", replace(RECIPES["A"], epochs=LONGEST), 50),
    ):
        print(f"{name}: {settings}")
        limit = float("inf") if name == "ours" or options.whole else 5 * taken["ours"]
        taken[name], best, batches = seconds_to_goal(settings, rows, votes, every, limit)
        end[name] = "reached" if best >= GOAL else f"not reached (best {best:.2%})"
        print(f"{name}: {GOAL:.1%} {end[name]} after {taken[name]:.1f} s of training, {batches} batches")
    print(f"ours took {taken['ours'] / taken['A']:.3f} of these seconds of A; asked for: at most 0.2")


if __name__ == "__main__":
    main()
