"""Hand-counted worksheets of layers whose input is spikes: additions at their measured rate, no products."""

from __future__ import annotations

import torch
from torch import nn
from worksheets import counted


class Spiking(nn.Module):
    """A layer that says its input is spikes."""

    spike_driven = True

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(values)
        return result


def test_spikes_cost_additions_at_their_measured_rate() -> None:
    spikes = torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
    # 3 spikes reach 4 neurons each: 12 additions. Silent input costs nothing; a rate of 1 costs 10 x 4.
    layer = Spiking(nn.Linear(5, 4))
    assert counted(layer, spikes) == (0, 12, 0)
    assert counted(layer, torch.zeros(2, 5)) == (0, 0, 0)
    assert counted(layer, torch.ones(2, 5)) == (0, 40, 0)
    # analogue input of the same layer: 2 x 20 products
    assert counted(layer, spikes * 0.5) == (40, 0, 0)
    # and the same layer that does not claim spikes
    assert counted(nn.Linear(5, 4), spikes) == (40, 0, 0)


def test_a_list_that_says_spikes_says_it_for_its_layers() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.driven, self.analogue = nn.ModuleList([nn.Linear(5, 4, bias=False)]), nn.Linear(4, 2)
            self.driven.spike_driven = True  # type: ignore[assignment]

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.analogue(self.driven[0](values))
            return result

    # 2 spikes x 4 neurons = 8 additions; then 4 x 2 = 8 products
    assert counted(Two(), torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.0]])) == (8, 8, 0)


def test_spikes_in_a_convolution() -> None:
    spikes = torch.zeros(1, 1, 6)
    spikes[0, 0, 0] = spikes[0, 0, 3] = 1
    # kernel 3, no padding, 4 outputs (0-2, 1-3, 2-4, 3-5): sample 0 is in 1 of them, sample 3 in 3; 2 filters: 8
    assert counted(Spiking(nn.Conv1d(1, 2, 3)), spikes) == (0, 8, 0)


def test_spiking_attention_counts_pairs_of_spikes() -> None:
    class QueryKey(nn.Module):
        spike_driven = True

        def forward(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
            return query @ key.transpose(-1, -2)

    query = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    key = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    # row 1 meets keys in 2 and 1 places, row 2 in 1 and 0: 4 additions
    assert counted(QueryKey(), query, key) == (0, 4, 0)
