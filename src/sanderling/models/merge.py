"""A trained network in the form that ships: parallel branches merged, every number it says the same."""

from __future__ import annotations

from sanderling.models.layers.reparameterised import RepConv
from sanderling.models.network import DetectorNetwork


def merge(network: DetectorNetwork) -> DetectorNetwork:
    """Make the network of `config.merged()` with the weights of this one; the network itself where nothing differs.

    The result says the same as the network does in eval mode, up to rounding, and is in eval mode.

    >>> from sanderling.models import zoo
    >>> network = zoo.config("nanodet-debug").build()
    >>> merge(network) is network
    True
    """
    config = network.config.merged()
    if config == network.config:
        return network
    merged = config.build()
    state = network.state_dict()
    for name, module in network.named_modules():
        if isinstance(module, RepConv):
            state.update({f"{name}.{key}": value for key, value in module.merged_state().items()})
    merged.load_state_dict({key: state[key] for key in merged.state_dict()})
    device = next(network.parameters()).device
    return merged.to(device).eval()
