"""What a caller may catch.

RegionmedError
├── FrameError        a place that does not fit its picture, or two frames mixed
├── CorpusError       a source, a table or a corpus folder that cannot be read as asked
├── RecipeError       a recipe, a stage or a training run that cannot start or go on
├── RunStoppedError   a training run that a signal asked to leave; all is saved
├── CheckpointError   a model name, folder or file that cannot be loaded
├── StaleIndexError   an index asked with a checkpoint that is not its own
└── UsageError        everything else a person can put right: a picture, a port, a missing extra

Each message is one sentence or two: where, what came, what is needed, what to do next.
Picture and report contents never stand in a message.
"""


class RegionmedError(Exception):
    """Base of every explained failure: one line on the command line, exit status 1."""


class FrameError(RegionmedError):
    """A place that does not fit its picture, or values of two frames mixed."""


class CorpusError(RegionmedError):
    """A source, a table or a corpus folder that cannot be read as asked."""


class RecipeError(RegionmedError):
    """A recipe, a stage or a training run that cannot start or go on."""


class RunStoppedError(RegionmedError):
    """A training run that a signal asked to leave; all is saved, and it can be resumed."""


class CheckpointError(RegionmedError):
    """A model name, folder or file that cannot be loaded."""


class StaleIndexError(RegionmedError):
    """An index asked with a checkpoint that is not its own."""


class UsageError(RegionmedError):
    """Anything else a person can put right: an unreadable picture, a busy port, a missing extra."""
