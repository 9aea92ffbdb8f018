"""The errors a user can cause, each with what to do about it.

Everything rnncli refuses is a :class:`RnncliError`. The command line prints it as one line and exits with its
``exit_code``: 1 when something failed, 2 when the command or the config was misused.
"""


class RnncliError(Exception):
    """Something the user can mend.

    Parameters
    ----------
    what : str
        What came and what is allowed, without a closing full stop.
    where : str, optional
        The file (with the line after a colon) or the config key that is at fault; printed first.
    remedy : str, optional
        What to do or type; printed last.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text}. {remedy}" if remedy else text)


class ConfigError(RnncliError):
    """A config file, a ``--set`` or a command line that cannot be used."""

    exit_code = 2


class DataError(RnncliError):
    """A data file that is missing, damaged or not what the config says."""


class CheckpointError(RnncliError):
    """A checkpoint that is damaged, of another format or does not fit."""


class GradientError(RnncliError):
    """A gradient or a loss that is not finite, or not what finite differences say."""
