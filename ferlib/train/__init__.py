"""Networks, augmentation, recipes and the training itself; baselines without a network; export."""

from ferlib.common.lazy import lazy_attributes

__getattr__ = lazy_attributes(
    __name__,
    {
        ".augment": "AUGMENTATIONS Augmentation augment_batch training_batches",
        ".baselines": "fit_svm save_svm",
        ".export": "check_faces export_bundle",
        ".fit": "TrainingData fast_precision fit_network",
        ".recipes": "get_recipe",
        ".teach": "teach_classes",
        "ferlib.common.backend": "import_keras",
    },
)
