"""What differs between settings."""

from collections.abc import Sequence
from typing import Any


def differing_keys(configs: Sequence[dict[str, Any]], left_out: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Return the keys whose values are not the same in all configs.

    Parameters
    ----------
    configs : sequence of dict
        Keys joined by dots, with their values.
    left_out : sequence of str
        Keys that are of no interest.

    Returns
    -------
    dict of str to list
        The value in each config, None where it has no such key. Keys are in the order of the configs; one that an
        earlier config lacks comes after the key that is before it.
    """
    keys: list[str] = []
    for config in configs:
        place = 0
        for key in config:
            if key not in keys:
                keys.insert(place, key)
            place = keys.index(key) + 1
    keys = [key for key in keys if key not in left_out]
    values = {key: [config.get(key) for config in configs] for key in keys}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found)}
