"""What differs from task to task between a config, its data, a trainer and a checkpoint: one module a task."""

from rnncli.config import RunConfig
from rnncli.tasks.base import Task
from rnncli.tasks.classification import Classification
from rnncli.tasks.language import LanguageModelling
from rnncli.tasks.tagging import Tagging

TASKS: dict[str, Task] = {
    "classification": Classification(),
    "tagging": Tagging(),
    "language_model": LanguageModelling(),
}


def task_of(config: RunConfig) -> Task:
    """Return what a config's task needs."""
    return TASKS[config.task]
